using System.Buffers.Binary;
using System.ComponentModel;
using System.Runtime.InteropServices;
using OsBuild.Images.Trees;

namespace OsBuild.OracleTests;

/// <summary>The system calls with which tests look at mounted file systems. Paths are bytes: names need not be UTF-8.</summary>
internal static partial class Kernel
{
    /// <summary>What the kernel says of one path.</summary>
    public sealed record Status(int Mode, uint Uid, uint Gid, long Size, long Sectors, ulong Inode, uint Links, long Seconds, int Nanoseconds, uint Major, uint Minor);

    public static Status Stat(string path)
    {
        var buffer = new byte[256];
        Check(statx(-100, Path(path), 0x100, 0x7FF, buffer), "statx", path);
        ReadOnlySpan<byte> b = buffer;
        return new Status(
            BinaryPrimitives.ReadUInt16LittleEndian(b[0x1C..]), BinaryPrimitives.ReadUInt32LittleEndian(b[0x14..]), BinaryPrimitives.ReadUInt32LittleEndian(b[0x18..]),
            BinaryPrimitives.ReadInt64LittleEndian(b[0x28..]), BinaryPrimitives.ReadInt64LittleEndian(b[0x30..]), BinaryPrimitives.ReadUInt64LittleEndian(b[0x20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(b[0x10..]), BinaryPrimitives.ReadInt64LittleEndian(b[0x70..]), BinaryPrimitives.ReadInt32LittleEndian(b[0x78..]),
            BinaryPrimitives.ReadUInt32LittleEndian(b[0x80..]), BinaryPrimitives.ReadUInt32LittleEndian(b[0x84..]));
    }

    public static string ReadLink(string path)
    {
        var buffer = new byte[8192];
        return UnixText.Decode(buffer.AsSpan(0, (int)Check(readlink(Path(path), buffer, buffer.Length), "readlink", path)));
    }

    public static List<Xattr> Xattrs(string path)
    {
        var names = new byte[65536];
        var length = (int)Check(llistxattr(Path(path), names, names.Length), "llistxattr", path);
        var found = new List<Xattr>();
        for (var at = 0; at < length;)
        {
            var end = Array.IndexOf(names, (byte)0, at);
            var name = names[at..end];
            var value = new byte[65536];
            var size = (int)Check(lgetxattr(Path(path), [.. name, 0], value, value.Length), "lgetxattr", path);
            found.Add(new Xattr(UnixText.Decode(name), value.AsMemory(0, size)));
            at = end + 1;
        }

        found.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return found;
    }

    public static Stream Open(string path) =>
        new FileStream(new Microsoft.Win32.SafeHandles.SafeFileHandle(checked((int)Check(open(Path(path), 0), "open", path)), true), FileAccess.Read, 0);

    /// <summary>Names in a directory, found by readdir.</summary>
    public static List<string> Names(string path)
    {
        var names = new List<string>();
        var directory = checked((int)Check(open(Path(path), 0x10000), "open", path));
        var buffer = new byte[1 << 20];
        try
        {
            for (long got; (got = Check(getdents64(directory, buffer, buffer.Length), "getdents64", path)) > 0;)
            {
                for (var at = 0; at < got; at += BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(at + 16)))
                {
                    var name = buffer.AsSpan(at + 19, buffer.AsSpan(at + 19).IndexOf((byte)0));
                    if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8)) names.Add(UnixText.Decode(name));
                }
            }
        }
        finally
        {
            _ = close(directory);
        }

        return names;
    }

    /// <summary>Whether this process may grow file systems (CAP_SYS_RESOURCE, bit 24); containers of root may lack it.</summary>
    public static bool MayGrow => (Convert.ToUInt64(File.ReadLines("/proc/self/status").First(line => line.StartsWith("CapEff:"))[7..].Trim(), 16) >> 24 & 1) != 0;

    /// <summary>Grows the mounted file system (EXT4_IOC_RESIZE_FS).</summary>
    public static void Grow(string mountPoint, long blocks)
    {
        var directory = checked((int)Check(open(Path(mountPoint), 0), "open", mountPoint));
        try
        {
            Check(ioctl(directory, 0x40086610, ref blocks), "EXT4_IOC_RESIZE_FS", mountPoint);
        }
        finally
        {
            _ = close(directory);
        }
    }

    private static byte[] Path(string path) => [.. UnixText.Encode(path), 0];

    private static nint Check(nint result, string call, string path) =>
        result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError(), $"{call} of {path}: {Marshal.GetLastPInvokeErrorMessage()}");

    [LibraryImport("libc", SetLastError = true)]
    private static partial int statx(int directory, byte[] path, int flags, uint mask, byte[] buffer);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint readlink(byte[] path, byte[] buffer, nint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint llistxattr(byte[] path, byte[] list, nint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint lgetxattr(byte[] path, byte[] name, byte[] value, nint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int open(byte[] path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int descriptor);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint getdents64(int descriptor, byte[] buffer, nint size);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(int descriptor, nuint request, ref long argument);
}
