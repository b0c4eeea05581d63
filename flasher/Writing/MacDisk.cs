using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OsBuild.Flasher.Drives;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>A disk of macOS through its raw device, unmounted and opened with an exclusive lock. Compiled; not run on a Mac.</summary>
internal sealed unsafe partial class MacDisk : IMedium
{
    private const int ReadWrite = 2, ExclusiveLock = 0x20, NonBlock = 4, NoCache = 48;
    private const uint GetBlockSize = 0x40046418, GetBlockCount = 0x40086419, Synchronize = 0x20006416;
    private readonly SafeFileHandle _file;

    private MacDisk(SafeFileHandle file, Disk disk)
    {
        _file = file;
        (Name, Size, SectorSize) = (disk.Device, disk.Size, disk.SectorSize);
    }

    public string Name { get; }

    public long Size { get; }

    public int SectorSize { get; }

    /// <exception cref="RefusedException">It cannot be held alone or is another disk now.</exception>
    public static MacDisk Open(Disk disk, bool write)
    {
        if (write && !MacOs.Unmount(disk.Node)) throw new RefusedException($"{disk.Device} cannot be unmounted; close what uses it and try again. Nothing was written.");
        var raw = "/dev/r" + disk.Node;
        var descriptor = OpenFile(raw, write ? ReadWrite | ExclusiveLock | NonBlock : 0);
        if (descriptor < 0) throw new RefusedException($"{raw} cannot be opened ({Marshal.GetLastPInvokeErrorMessage()}); nothing was written. Allow full disk access and run with sudo.");
        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        uint block = 0;
        ulong count = 0;
        var told = IoControl(file, GetBlockSize, &block) == 0 && IoControl(file, GetBlockCount, &count) == 0;
        FileControl(file, NoCache, 1);
        if (told && (long)count * block == disk.Size && block == disk.SectorSize) return new MacDisk(file, disk);
        file.Dispose();
        throw new RefusedException($"{disk.Device} is not the disk that was checked; nothing was written. Look at the list again.");
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_file, bytes, offset);

    public void Read(long offset, Span<byte> into)
    {
        for (var done = 0; done < into.Length;)
        {
            var got = RandomAccess.Read(_file, into[done..], offset + done);
            if (got == 0) throw new IOException($"Reading {Name} failed at offset {offset + done}: the medium ends there.");
            done += got;
        }
    }

    public void Flush()
    {
        if (IoControl(_file, Synchronize, null) != 0) throw new IOException($"Flushing {Name} failed: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    public void DropCaches()
    {
        // The raw device has no cache of this machine.
    }

    public bool TryDiscard(long offset, long length) => false;

    public void Dispose() => _file.Dispose();

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoControl(SafeFileHandle file, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FileControl(SafeFileHandle file, int command, int argument);
}
