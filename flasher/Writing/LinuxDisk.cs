using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OsBuild.Flasher.Drives;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>A block device of Linux, held for this program alone: opened with O_EXCL (never without it), locked with flock against udev and
/// others, compared with the disk that was judged, and written with O_DIRECT.</summary>
internal sealed unsafe class LinuxDisk : IMedium
{
    private const int LockExclusiveNow = 2 | 4;
    private readonly SafeFileHandle _file;

    private LinuxDisk(SafeFileHandle file, Disk disk)
    {
        _file = file;
        (Name, Size, SectorSize) = (disk.Device, disk.Size, disk.SectorSize);
    }

    public string Name { get; }

    public long Size { get; }

    public int SectorSize { get; }

    /// <summary>Opens the disk and makes sure that it is the one that was judged.</summary>
    /// <exception cref="RefusedException">It is in use, is another disk now, or cannot be written.</exception>
    public static LinuxDisk Open(Disk disk)
    {
        var descriptor = Libc.OpenAlone(disk.Device, Libc.ReadWrite | Libc.Direct);
        if (descriptor < 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            throw new RefusedException(errno == Libc.Busy
                ? $"{disk.Device} is in use by something else and cannot be held alone; nothing was written. Close what uses it and try again."
                : $"{disk.Device} cannot be opened for writing: {Libc.Text(errno)}. Nothing was written.");
        }

        var opened = new LinuxDisk(new SafeFileHandle(descriptor, ownsHandle: true), disk);
        try
        {
            opened.MustBe(disk);
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Opens the disk for reading only, whoever uses it.</summary>
    public static LinuxDisk OpenForReading(Disk disk)
    {
        var descriptor = Libc.Open(disk.Device, Libc.ReadOnly | Libc.Direct | Libc.CloseOnExec, 0);
        return descriptor >= 0 ? new LinuxDisk(new SafeFileHandle(descriptor, ownsHandle: true), disk)
            : throw new RefusedException($"{disk.Device} cannot be opened for reading: {Libc.Text(Marshal.GetLastPInvokeError())}.");
    }

    private void MustBe(Disk disk)
    {
        if (Libc.FLock(_file, LockExclusiveNow) != 0) throw new RefusedException($"{disk.Device} is locked by another program (udev or another flasher); nothing was written. Try again.");
        long size = 0, sequence = 0;
        int sector = 0, readOnly = 0;
        if (Libc.IoControl(_file, Libc.GetSize64, &size) != 0 || Libc.IoControl(_file, Libc.SectorSize, &sector) != 0)
            throw new RefusedException($"{disk.Device} does not tell its size ({Libc.Text(Marshal.GetLastPInvokeError())}); nothing was written.");
        var number = Libc.DeviceNumberOf("/proc/self/fd/" + _file.DangerousGetHandle());
        var sameSequence = disk.Sequence == 0 || Libc.IoControl(_file, Libc.DiskSequence, &sequence) != 0 || sequence == disk.Sequence;
        if (number != disk.Number || size != disk.Size || sector != disk.SectorSize || !sameSequence)
            throw new RefusedException($"{disk.Device} is not the disk that was checked: it was swapped in between. Nothing was written; look at the list again.");
        if (Libc.IoControl(_file, Libc.GetReadOnly, &readOnly) == 0 && readOnly != 0)
            throw new RefusedException($"{disk.Device} is write-protected; nothing was written. Move the card's lock or take another one.");
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            for (nint done = 0; done < bytes.Length;)
            {
                var put = Libc.PWrite(_file, start + done, (nuint)(bytes.Length - done), offset + done);
                if (put < 0 && Marshal.GetLastPInvokeError() == Interrupted) continue;
                if (put <= 0) throw Failure("Writing to", offset + done, put == 0 ? Libc.NoSpace : Marshal.GetLastPInvokeError());
                done += put;
            }
        }
    }

    public void Read(long offset, Span<byte> into)
    {
        fixed (byte* start = into)
        {
            for (nint done = 0; done < into.Length;)
            {
                var got = Libc.PRead(_file, start + done, (nuint)(into.Length - done), offset + done);
                if (got < 0 && Marshal.GetLastPInvokeError() == Interrupted) continue;
                if (got <= 0) throw Failure("Reading", offset + done, got == 0 ? Libc.NoSpace : Marshal.GetLastPInvokeError());
                done += got;
            }
        }
    }

    public void Flush()
    {
        if (Libc.FSync(_file) != 0) throw Failure("Flushing", Size, Marshal.GetLastPInvokeError());
    }

    public void DropCaches()
    {
        if (Libc.IoControl(_file, Libc.FlushBuffers, null) != 0) throw Failure("Dropping the caches of", 0, Marshal.GetLastPInvokeError());
    }

    public bool TryDiscard(long offset, long length)
    {
        var range = stackalloc long[] { offset, length };
        return Libc.IoControl(_file, Libc.Discard, range) == 0;
    }

    /// <summary>Lets the kernel see the new partition table.</summary>
    public bool RereadTable() => Libc.IoControl(_file, Libc.RereadTable, null) == 0;

    public bool Eject() => Libc.IoControl(_file, Libc.Eject, null) == 0;

    public void Dispose() => _file.Dispose();

    private const int Interrupted = 4;

    /// <summary>A pulled-out disk reports anything from ENOSPC to EIO: what it was is told by whether the disk is still there.</summary>
    private IOException Failure(string act, long offset, int errno)
    {
        long size = 0;
        var gone = Libc.IoControl(_file, Libc.GetSize64, &size) != 0 || size == 0 || !Path.Exists("/sys/block/" + Name["/dev/".Length..].Replace('/', '!'));
        var cause = gone ? "the drive is gone: it was pulled out or lost its connection"
            : errno == Libc.NoSpace && offset < Size ? "the drive ends before the size it claims"
            : Libc.Text(errno);
        return new IOException($"{act} {Name} failed at offset {offset}: {cause}.");
    }
}
