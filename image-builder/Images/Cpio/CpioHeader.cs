using System.Globalization;
using System.Text;

namespace OsBuild.Images.Cpio;

/// <summary>The header of a newc entry: "070701" and thirteen numbers of eight hex digits
/// (Documentation/driver-api/early-userspace/buffer-format.rst).</summary>
internal readonly record struct CpioHeader
{
    public const int Size = 110;
    public const string Magic = "070701";
    public const string Trailer = "TRAILER!!!";

    public uint Inode { get; init; }

    public uint Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint Links { get; init; }

    public uint ModifiedAt { get; init; }

    public uint FileSize { get; init; }

    public uint DeviceMajor { get; init; }

    public uint DeviceMinor { get; init; }

    /// <summary>Bytes of the name with its closing zero.</summary>
    public uint NameSize { get; init; }

    public byte[] ToBytes()
    {
        uint[] fields = [Inode, Mode, Uid, Gid, Links, ModifiedAt, FileSize, 0, 0, DeviceMajor, DeviceMinor, NameSize, 0];
        return Encoding.ASCII.GetBytes(Magic + string.Concat(fields.Select(f => f.ToString("X8", CultureInfo.InvariantCulture))));
    }

    /// <exception cref="ImageException">The bytes are no header.</exception>
    public static CpioHeader Parse(ReadOnlySpan<byte> bytes)
    {
        // 070702 is the same with a checksum in the last field.
        if (!bytes.StartsWith("070701"u8) && !bytes.StartsWith("070702"u8)) throw Corrupt("does not start with 070701");
        var fields = new uint[13];
        for (var i = 0; i < fields.Length; i++)
            if (!uint.TryParse(bytes.Slice(6 + (8 * i), 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out fields[i])) throw Corrupt("holds a number that is not hexadecimal");
        return new CpioHeader
        {
            Inode = fields[0],
            Mode = fields[1],
            Uid = fields[2],
            Gid = fields[3],
            Links = fields[4],
            ModifiedAt = fields[5],
            FileSize = fields[6],
            DeviceMajor = fields[9],
            DeviceMinor = fields[10],
            NameSize = fields[11],
        };
    }

    private static ImageException Corrupt(string why) => new(ImageErrorKind.Corrupt, $"The cpio archive is damaged: an entry {why}.");
}
