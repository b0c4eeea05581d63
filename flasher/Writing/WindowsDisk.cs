using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OsBuild.Flasher.Drives;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>A physical drive of Windows. Every volume on it is locked and dismounted, and stays so until the last byte. Compiled; not run on Windows.</summary>
internal sealed unsafe class WindowsDisk : IMedium
{
    private const uint ReadAndWrite = 0xc0000000, ShareAll = 3, OpenExisting = 3, NoBuffering = 0x20000000, WriteThrough = 0x80000000;
    private const uint LockVolume = 0x90018, DismountVolume = 0x90020, UpdateProperties = 0x70140, GetLengthInfo = 0x7405c;
    private readonly SafeFileHandle _file;
    private readonly List<SafeFileHandle> _volumes;

    private WindowsDisk(SafeFileHandle file, List<SafeFileHandle> volumes, Disk disk)
    {
        (_file, _volumes) = (file, volumes);
        (Name, Size, SectorSize) = (disk.Device, disk.Size, disk.SectorSize);
    }

    public string Name { get; }

    public long Size { get; }

    public int SectorSize { get; }

    /// <param name="disk">The disk that was judged.</param>
    /// <param name="volumes">Names of all volumes on it.</param>
    /// <param name="write">False for comparing only.</param>
    /// <exception cref="RefusedException">A volume is in use, or it is another disk now.</exception>
    public static WindowsDisk Open(Disk disk, IEnumerable<string> volumes, bool write)
    {
        List<SafeFileHandle> held = [];
        try
        {
            foreach (var volume in write ? volumes : [])
            {
                var handle = Kernel32.CreateFile(volume.TrimEnd('\\'), ReadAndWrite, ShareAll, 0, OpenExisting, 0, 0);
                held.Add(handle);
                if (handle.IsInvalid || !Control(handle, LockVolume) || !Control(handle, DismountVolume))
                    throw new RefusedException($"A volume on {disk.Device} is in use; close its windows and programs and try again. Nothing was written.");
            }

            var file = Kernel32.CreateFile(disk.Device, write ? ReadAndWrite : 0x80000000, ShareAll, 0, OpenExisting, NoBuffering | WriteThrough, 0);
            held.Add(file);
            if (file.IsInvalid) throw new RefusedException($"{disk.Device} cannot be opened ({Marshal.GetLastPInvokeErrorMessage()}); run as administrator. Nothing was written.");
            long size = 0;
            if (!Kernel32.DeviceIoControl(file, GetLengthInfo, null, 0, (byte*)&size, 8, out _, 0) || size != disk.Size)
                throw new RefusedException($"{disk.Device} is not the disk that was checked; nothing was written. Look at the list again.");
            held.Remove(file);
            return new WindowsDisk(file, held, disk);
        }
        catch
        {
            foreach (var handle in held) handle.Dispose();
            throw;
        }
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

    public void Flush() => RandomAccess.FlushToDisk(_file);

    public void DropCaches()
    {
        // FILE_FLAG_NO_BUFFERING goes past the cache.
    }

    public bool TryDiscard(long offset, long length) => false;

    /// <summary>Lets Windows see the new partition table.</summary>
    public void RereadTable() => Control(_file, UpdateProperties);

    public void Dispose()
    {
        _file.Dispose();
        foreach (var volume in _volumes) volume.Dispose();
    }

    private static bool Control(SafeFileHandle handle, uint code) => Kernel32.DeviceIoControl(handle, code, null, 0, null, 0, out _, 0);
}
