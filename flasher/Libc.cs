using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OsBuild.Flasher;

/// <summary>The calls of Linux' C library that .NET does not have. Constants are those of x86-64 and arm64, which agree but for O_DIRECT.</summary>
internal static unsafe partial class Libc
{
    public const int ReadOnly = 0, ReadWrite = 2, Exclusive = 0x80, NonBlock = 0x800, CloseOnExec = 0x80000;
    public const int NotPermitted = 1, Io = 5, NoSuchDevice = 6, AccessDenied = 13, Busy = 16, NoDevice = 19, Invalid = 22, NoSpace = 28, ReadOnlyFileSystem = 30, NoMedium = 123;
    public const uint GetSize64 = 0x80081272, SectorSize = 0x1268, FlushBuffers = 0x1261, RereadTable = 0x125f, Discard = 0x1277, DiskSequence = 0x80081280, GetReadOnly = 0x125e, Eject = 0x5309;

    /// <summary>O_DIRECT differs: arm and arm64 have O_DIRECTORY at x86's place.</summary>
    public static int Direct => RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int descriptor);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    public static partial nint PWrite(SafeFileHandle file, byte* bytes, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    public static partial nint PRead(SafeFileHandle file, byte* bytes, nuint count, long offset);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int FSync(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int FLock(SafeFileHandle file, int operation);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int IoControl(SafeFileHandle file, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoControl(int descriptor, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "umount2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unmount(string path, int flags);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, byte* buffer);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "posix_fadvise", SetLastError = true)]
    public static partial int Advise(SafeFileHandle file, long offset, long length, int advice);

    /// <summary>What errno says, in words.</summary>
    public static string Text(int errno) => errno switch
    {
        Io => "input/output error: the medium is damaged or was pulled out",
        NoSuchDevice or NoDevice => "the drive is gone: it was pulled out or lost its connection",
        NoSpace => "the end of the medium was reached",
        NotPermitted or ReadOnlyFileSystem => "it is write-protected",
        NoMedium => "there is no medium in it",
        _ => Marshal.GetPInvokeErrorMessage(errno).ToLowerInvariant(),
    };

    /// <summary>The name of an errno of the two that deny, as errno(3) lists it.</summary>
    public static string Name(int errno) => errno == NotPermitted ? "EPERM" : errno == AccessDenied ? "EACCES" : $"errno {errno}";

    // struct statx (statx(2)): stx_mode at 0x1c, stx_ino at 0x20, rdev major/minor at 0x80, dev major/minor at 0x88.
    private static bool Stat(string path, byte* buffer) => StatX(-100, path, 0, 0x7ff, buffer) == 0;

    /// <summary>The number (<c>8:1</c>) of the block device at a path, or null.</summary>
    public static string? DeviceNumberOf(string path)
    {
        var buffer = stackalloc byte[256];
        return Stat(path, buffer) && (*(ushort*)(buffer + 0x1c) & 0xf000) == 0x6000 ? $"{*(uint*)(buffer + 0x80)}:{*(uint*)(buffer + 0x84)}" : null;
    }

    public static bool IsRegularFile(string path)
    {
        var buffer = stackalloc byte[256];
        return Stat(path, buffer) && (*(ushort*)(buffer + 0x1c) & 0xf000) == 0x8000;
    }

    /// <summary>The device number and inode of the file at a path, or null.</summary>
    public static (string Device, ulong Inode)? FileIdentity(string path)
    {
        var buffer = stackalloc byte[256];
        return Stat(path, buffer) ? ($"{*(uint*)(buffer + 0x88)}:{*(uint*)(buffer + 0x8c)}", *(ulong*)(buffer + 0x20)) : null;
    }

    /// <summary>The file a loop device is made from, as LOOP_GET_STATUS64 tells it; null when it does not tell.</summary>
    public static (string? Device, ulong Inode, bool IsBlockDevice)? LoopFile(string loop)
    {
        var descriptor = Open(loop, ReadOnly | NonBlock | CloseOnExec, 0);
        if (descriptor < 0) return null;
        var info = stackalloc byte[232];
        var done = IoControl(descriptor, 0x4c05, info) == 0;
        Close(descriptor);
        if (!done) return null;
        ulong device = *(ulong*)info, inode = *(ulong*)(info + 8), raw = *(ulong*)(info + 16);
        // The kernel's "huge" encoding of device numbers (include/linux/kdev_t.h, new_encode_dev).
        var number = $"{(device >> 8) & 0xfff}:{(device & 0xff) | ((device >> 12) & 0xfff00)}";
        return (number, inode, raw != 0);
    }

    /// <summary>What an exclusive open of a device says.</summary>
    public static int TryClaim(string device)
    {
        var descriptor = OpenAlone(device, ReadOnly | NonBlock);
        if (descriptor < 0) return Marshal.GetLastPInvokeError();
        Close(descriptor);
        return 0;
    }

    /// <summary>Opens a device with O_EXCL. One that is busy is asked again twice, some milliseconds later: another program may be asking the same
    /// question at this moment, and is no owner.</summary>
    public static int OpenAlone(string device, int flags)
    {
        for (var attempt = 1; ; attempt++)
        {
            var descriptor = Open(device, flags | Exclusive | CloseOnExec, 0);
            if (descriptor >= 0 || attempt == 3 || Marshal.GetLastPInvokeError() != Busy) return descriptor;
            Thread.Sleep(2);
        }
    }
}
