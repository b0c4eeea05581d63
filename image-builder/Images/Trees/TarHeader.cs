using System.Buffers.Binary;

namespace OsBuild.Images.Trees;

/// <summary>The 512 bytes before an entry (POSIX.1-2017 pax, "ustar Interchange Format", and tar.h of GNU tar).</summary>
internal readonly ref struct TarHeader(ReadOnlySpan<byte> bytes, long offset)
{
    public const int Size = 512;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public char Type => (char)_bytes[156];

    public bool IsZero => !_bytes.ContainsAnyExcept((byte)0);

    /// <summary>POSIX has "ustar", NUL, "00"; GNU has "ustar  ", NUL and other fields where POSIX has the prefix.</summary>
    public bool IsPosix => _bytes.Slice(257, 6).SequenceEqual("ustar\0"u8);

    public int Mode => (int)(Number(100, 8) & 0xFFF);

    public uint Uid => Identity(108);

    public uint Gid => Identity(116);

    public long ContentSize => Number(124, 12) is >= 0 and var size ? size : throw Corrupt("a negative size");

    public long ModifiedAt => Number(136, 12);

    public uint Major => Identity(329);

    public uint Minor => Identity(337);

    public string LinkName => UnixText.Decode(Text(157, 100));

    public string Name
    {
        get
        {
            var name = UnixText.Decode(Text(0, 100));
            var prefix = IsPosix ? Text(345, 155) : default;
            return prefix.IsEmpty ? name : UnixText.Decode(prefix) + "/" + name;
        }
    }

    /// <summary>A field of GNU tar's sparse headers that is zero or not.</summary>
    public bool Flag(int at) => _bytes[at] != 0;

    /// <summary>The sum of all bytes with the sum's own field as blanks; old programs added signed bytes.</summary>
    public void CheckSum()
    {
        int unsigned = 0, signed = 0;
        for (var i = 0; i < Size; i++)
        {
            var value = i is >= 148 and < 156 ? (byte)' ' : _bytes[i];
            unsigned += value;
            signed += (sbyte)value;
        }

        var stored = Number(148, 8);
        if (stored != unsigned && stored != signed) throw Corrupt("a header with a wrong sum");
    }

    /// <summary>A number in octal, or in base 256 when its first bit is set.</summary>
    public long Number(int at, int length)
    {
        var field = _bytes.Slice(at, length);
        if ((field[0] & 0x80) != 0)
        {
            var high = length == 12 ? BinaryPrimitives.ReadInt32BigEndian(field) << 1 >> 1 : field[0] == 0xFF ? -1 : 0;
            if (high is not (0 or -1) || (length == 8 && field[0] is not (0x80 or 0xFF))) throw Corrupt("a number that is too large");
            return length == 12 ? BinaryPrimitives.ReadInt64BigEndian(field[4..]) : SignedTail(field, high);
        }

        var digits = field.Trim(" \0"u8);
        long value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'7') throw Corrupt("a number that is not octal");
            value = (value << 3) | (uint)(digit - '0');
        }

        return value;
    }

    private static long SignedTail(ReadOnlySpan<byte> field, int high)
    {
        long value = high;
        for (var i = 1; i < field.Length; i++) value = (value << 8) | field[i];
        return value;
    }

    private uint Identity(int at) => Number(at, 8) is >= 0 and <= uint.MaxValue and var id ? (uint)id : throw Corrupt("an owner or device number out of range");

    private ReadOnlySpan<byte> Text(int at, int length)
    {
        var field = _bytes.Slice(at, length);
        var end = field.IndexOf((byte)0);
        return end < 0 ? field : field[..end];
    }

    private ImageException Corrupt(string what) => new(ImageErrorKind.Corrupt, $"The tar archive has {what} at byte {offset}; it is not a tar archive or it is damaged.");
}
