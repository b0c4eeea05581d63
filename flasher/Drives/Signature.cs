using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Flasher.Drives;

/// <summary>What the first bytes of a disk or partition say it holds.</summary>
/// <param name="Kind">ext4, vfat, LUKS, swap, zfs_member ...</param>
/// <param name="Id">Its UUID as other tools print it, or the empty string.</param>
/// <param name="Label">Its label, or the empty string.</param>
internal sealed record Signature(string Kind, string Id, string Label)
{
    /// <summary>Bytes that <see cref="Of"/> wants to see: up to the first uberblocks of ZFS and the super block of btrfs.</summary>
    public const int Window = 256 << 10;

    public override string ToString() => Label.Length > 0 ? $"{Kind} \"{Label}\"" : Kind;

    /// <summary>Recognises the content; null when it is none of those known here.</summary>
    public static Signature? Of(ReadOnlySpan<byte> b)
    {
        if (At(b, 0, "LUKS\xba\xbe")) return new("LUKS", Text(b, 168, 40), b[7] == 2 ? Text(b, 24, 48) : "");
        if (At(b, 3, "-FVE-FS-")) return new("BitLocker", "", "");
        if (At(b, 3, "NTFS    ")) return new("ntfs", Le64(b, 0x48).ToString("X16"), "");
        if (At(b, 3, "EXFAT   ")) return new("exfat", Fat(b, 100), "");
        if (At(b, 0, "XFSB")) return new("xfs", Uuid(b, 32), Text(b, 108, 12));
        if (At(b, 512, "LABELONE") || At(b, 0, "LABELONE") || At(b, 1024, "LABELONE")) return new("LVM2_member", "", "");
        if (At(b, 0x438, "\x53\xef")) return new("ext4", Uuid(b, 0x468), Text(b, 0x478, 16));
        if (At(b, 0x10040, "_BHRfS_M")) return new("btrfs", Uuid(b, 0x10020), Text(b, 0x1012b, 256));
        foreach (var page in (int[])[4096, 8192, 16384, 65536])
        {
            if (At(b, page - 10, "SWAPSPACE2")) return new("swap", Uuid(b, 0x40c), Text(b, 0x41c, 16));
            if (At(b, page - 10, "S1SUSPEND") || At(b, page - 10, "LINHIB0001")) return new("hibernation", Uuid(b, 0x40c), Text(b, 0x41c, 16));
        }

        foreach (var raid in (int[])[0, 4096])
            if (At(b, raid, "\xfc\x4e\x2b\xa9")) return new("linux_raid_member", Uuid(b, raid + 16), Text(b, raid + 32, 32));
        for (var at = 128 << 10; at + 1024 <= b.Length; at += 1024)
            if (Le64(b, at) is 0x00bab10c or 0x0cb1ba0000000000) return new("zfs_member", "", "");
        if (At(b, 0x1018, "\xc6\x85\x73\xf6")) return new("bcache", "", "");
        if (At(b, 0x400, "\x10\x20\xf5\xf2")) return new("f2fs", "", "");
        if (At(b, 0x400, "\xe2\xe1\xf5\xe0")) return new("erofs", "", "");
        if (At(b, 0, "hsqs")) return new("squashfs", "", "");
        if (At(b, 0x8001, "CD001")) return new("iso9660", "", Text(b, 0x8028, 32));
        if (At(b, 32, "NXSB")) return new("apfs", "", "");
        if (At(b, 510, "\x55\xaa") && At(b, 0x52, "FAT32   ")) return new("vfat", Fat(b, 0x43), Text(b, 0x47, 11));
        if (At(b, 510, "\x55\xaa") && (At(b, 0x36, "FAT16   ") || At(b, 0x36, "FAT12   "))) return new("vfat", Fat(b, 0x27), Text(b, 0x2b, 11));
        return null;
    }

    private static bool At(ReadOnlySpan<byte> b, int offset, string latin)
    {
        if (offset < 0 || offset + latin.Length > b.Length) return false;
        for (var i = 0; i < latin.Length; i++)
            if (b[offset + i] != latin[i]) return false;
        return true;
    }

    private static ulong Le64(ReadOnlySpan<byte> b, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(b[offset..]);

    private static string Uuid(ReadOnlySpan<byte> b, int offset) => offset + 16 > b.Length ? "" : new Guid(b.Slice(offset, 16), bigEndian: true).ToString();

    private static string Fat(ReadOnlySpan<byte> b, int offset)
    {
        var id = BinaryPrimitives.ReadUInt32LittleEndian(b[offset..]);
        return $"{id >> 16:X4}-{id & 0xffff:X4}";
    }

    private static string Text(ReadOnlySpan<byte> b, int offset, int length)
    {
        if (offset + length > b.Length) return "";
        var bytes = b.Slice(offset, length);
        var end = bytes.IndexOf((byte)0);
        return Shown.Clean(Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]));
    }
}
