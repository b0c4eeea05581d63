using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Images.Trees;

/// <summary>Writes the 512 bytes before an entry of a tar archive (POSIX.1-2017 pax, "ustar Interchange Format"): owner 0, mode 0644 or 0755. A size of
/// 8 GiB and more is written in base 256, as GNU tar, Go and .NET read it.</summary>
public static class UstarHeader
{
    /// <summary>Bytes of a header, and the unit to which contents are filled up.</summary>
    public const int Size = 512;

    private const int NameSize = 100, PrefixSize = 155;
    private const long LargestOctal = (1L << 33) - 1;

    /// <summary>Bytes that an entry takes: its header and its content, filled up.</summary>
    public static long EntrySize(long content) => Size + (content + Size - 1) / Size * Size;

    /// <summary>Whether a path can be told: 100 bytes, and up to 155 before them that end at a slash.</summary>
    public static bool Fits(string path) => Split(Encoding.UTF8.GetBytes(path)) is not null;

    /// <summary>Writes a header.</summary>
    /// <param name="to">Takes <see cref="Size"/> bytes.</param>
    /// <param name="path">Path of the entry; a directory when it ends in /.</param>
    /// <param name="size">Bytes of the content; 0 for a directory.</param>
    /// <param name="time">Time stamp, seconds since 1970.</param>
    /// <exception cref="ImageException">The path is too long for this format.</exception>
    public static void Write(Span<byte> to, string path, long size, long time)
    {
        var bytes = Encoding.UTF8.GetBytes(path);
        var split = Split(bytes) ?? throw new ImageException(ImageErrorKind.Unsupported, $"{path} is too long a path for a tar archive; give the file a shorter name.");
        to = to[..Size];
        to.Clear();
        bytes.AsSpan(split == 0 ? 0 : split + 1).CopyTo(to);
        bytes.AsSpan(0, split).CopyTo(to[345..]);
        var directory = path.EndsWith('/');
        Octal(to[100..108], directory ? 0x1ED : 0x1A4);
        Octal(to[108..116], 0);
        Octal(to[116..124], 0);
        if (size <= LargestOctal)
        {
            Octal(to[124..136], size);
        }
        else
        {
            to[124] = 0x80;
            BinaryPrimitives.WriteInt64BigEndian(to[128..], size);
        }

        Octal(to[136..148], Math.Clamp(time, 0, LargestOctal));
        to[148..156].Fill((byte)' ');
        to[156] = directory ? (byte)'5' : (byte)'0';
        "ustar\0"u8.CopyTo(to[257..]);
        "00"u8.CopyTo(to[263..]);
        var sum = 0;
        foreach (var b in to) sum += b;
        Octal(to[148..155], sum);
    }

    /// <summary>Where a path is cut into prefix and name: 0 when the name takes it all, null when it does not fit.</summary>
    private static int? Split(ReadOnlySpan<byte> path)
    {
        if (path.Length <= NameSize) return path.IsEmpty ? null : 0;
        // The slash of a directory's end is no place to cut.
        for (var cut = Math.Min(PrefixSize, path.Length - 2); cut > 0; cut--)
            if (path[cut] == '/' && path.Length - cut - 1 <= NameSize) return cut;
        return null;
    }

    /// <summary>Digits with leading zeros, and a NUL behind them.</summary>
    private static void Octal(Span<byte> field, long value)
    {
        for (var i = field.Length - 2; i >= 0; i--, value >>= 3) field[i] = (byte)('0' + (value & 7));
    }
}
