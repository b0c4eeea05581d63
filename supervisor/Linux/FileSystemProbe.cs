using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Supervisor.Linux;

/// <summary>What the first 4 KiB of a partition tell about its file system. Pure.</summary>
internal static class FileSystemProbe
{
    private const int Super = 1024; // where ext4 keeps its super block

    /// <summary>ext4, vfat, squashfs, erofs, or the empty string.</summary>
    public static string Type(ReadOnlySpan<byte> head)
    {
        if (IsExt(head)) return "ext4";
        if (head.Length >= Super + 4 && BinaryPrimitives.ReadUInt32LittleEndian(head[Super..]) == 0xE0F5E1E2) return "erofs";
        if (head.Length >= 4 && head[..4].SequenceEqual("hsqs"u8)) return "squashfs";
        return IsFat(head) ? "vfat" : "";
    }

    /// <summary>The volume label, or the empty string.</summary>
    public static string Label(ReadOnlySpan<byte> head) => Type(head) switch
    {
        "ext4" => Text(head.Slice(Super + 0x78, 16)),
        "vfat" when IsFat32(head) => Text(head.Slice(0x47, 11)).ToLowerInvariant(),
        "vfat" => Text(head.Slice(0x2b, 11)).ToLowerInvariant(),
        _ => "",
    };

    /// <summary>Size of an ext4 in bytes as its super block says, or 0.</summary>
    public static long ExtSize(ReadOnlySpan<byte> head)
    {
        if (!IsExt(head)) return 0;
        var super = head[Super..];
        long blocks = BinaryPrimitives.ReadUInt32LittleEndian(super[0x04..]);
        if ((BinaryPrimitives.ReadUInt32LittleEndian(super[0x60..]) & 0x80) != 0) // INCOMPAT_64BIT
            blocks |= (long)BinaryPrimitives.ReadUInt32LittleEndian(super[0x150..]) << 32;
        return blocks * ExtBlockSize(head);
    }

    /// <summary>Block size of an ext4, or 0.</summary>
    public static int ExtBlockSize(ReadOnlySpan<byte> head)
    {
        if (!IsExt(head)) return 0;
        var log = BinaryPrimitives.ReadUInt32LittleEndian(head[(Super + 0x18)..]);
        return log > 6 ? 0 : 1024 << (int)log;
    }

    private static bool IsExt(ReadOnlySpan<byte> head) =>
        head.Length >= Super + 0x154 && BinaryPrimitives.ReadUInt16LittleEndian(head[(Super + 0x38)..]) == 0xEF53;

    private static bool IsFat(ReadOnlySpan<byte> head) =>
        head.Length >= 512 && head[510] == 0x55 && head[511] == 0xAA && head[0] is 0xEB or 0xE9 &&
        (head.Slice(0x52, 5).SequenceEqual("FAT32"u8) || head.Slice(0x36, 3).SequenceEqual("FAT"u8));

    private static bool IsFat32(ReadOnlySpan<byte> head) => head.Slice(0x52, 5).SequenceEqual("FAT32"u8);

    private static string Text(ReadOnlySpan<byte> field) => Encoding.ASCII.GetString(field).TrimEnd('\0', ' ');
}
