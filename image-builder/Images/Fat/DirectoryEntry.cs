using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Images.Fat;

/// <summary>Attribute bits of a directory entry.</summary>
[Flags]
internal enum FatAttributes : byte
{
    None = 0,
    ReadOnly = 0x01,
    Hidden = 0x02,
    System = 0x04,
    VolumeId = 0x08,
    Directory = 0x10,
    Archive = 0x20,
    LongName = ReadOnly | Hidden | System | VolumeId,
}

/// <summary>A file or directory under its short name (Microsoft FAT specification 1.03, "FAT Directory Structure").</summary>
internal readonly record struct DirectoryEntry : IOnDisk<DirectoryEntry>
{
    /// <summary>First byte of an entry that was deleted.</summary>
    public const byte Deleted = 0xE5;

    public static int Size => 32;

    /// <summary>Eight bytes of base and three of extension, padded with spaces; bytes as Latin-1.</summary>
    public string? ShortName { get; init; }

    public FatAttributes Attributes { get; init; }

    /// <summary>Windows NT: 0x08 the base is shown in lower case, 0x10 the extension is.</summary>
    public byte CaseBits { get; init; }

    public byte CreatedTenths { get; init; }

    public ushort CreatedTime { get; init; }

    public ushort CreatedDate { get; init; }

    public ushort AccessedDate { get; init; }

    public ushort FirstClusterHigh { get; init; }

    public ushort WrittenTime { get; init; }

    public ushort WrittenDate { get; init; }

    public ushort FirstClusterLow { get; init; }

    public uint FileSize { get; init; }

    public uint FirstCluster => ((uint)FirstClusterHigh << 16) | FirstClusterLow;

    public bool IsDirectory => (Attributes & FatAttributes.Directory) != 0;

    public bool IsLabel => (Attributes & (FatAttributes.VolumeId | FatAttributes.Directory)) == FatAttributes.VolumeId;

    /// <summary>The same entry with other content.</summary>
    public DirectoryEntry With(uint firstCluster, uint size, FatTime written) => this with
    {
        FirstClusterHigh = (ushort)(firstCluster >> 16),
        FirstClusterLow = (ushort)firstCluster,
        FileSize = size,
        WrittenDate = written.Date,
        WrittenTime = written.Time,
        AccessedDate = written.Date,
    };

    /// <summary>A new entry, all of whose time stamps are the same.</summary>
    public static DirectoryEntry For(string shortName, FatAttributes attributes, uint firstCluster, uint size, FatTime time) =>
        new DirectoryEntry { ShortName = shortName, Attributes = attributes, CreatedDate = time.Date, CreatedTime = time.Time }.With(firstCluster, size, time);

    public static DirectoryEntry Read(ReadOnlySpan<byte> from) => new()
    {
        ShortName = Encoding.Latin1.GetString(from[..11]),
        Attributes = (FatAttributes)from[0x0B],
        CaseBits = from[0x0C],
        CreatedTenths = from[0x0D],
        CreatedTime = BinaryPrimitives.ReadUInt16LittleEndian(from[0x0E..]),
        CreatedDate = BinaryPrimitives.ReadUInt16LittleEndian(from[0x10..]),
        AccessedDate = BinaryPrimitives.ReadUInt16LittleEndian(from[0x12..]),
        FirstClusterHigh = BinaryPrimitives.ReadUInt16LittleEndian(from[0x14..]),
        WrittenTime = BinaryPrimitives.ReadUInt16LittleEndian(from[0x16..]),
        WrittenDate = BinaryPrimitives.ReadUInt16LittleEndian(from[0x18..]),
        FirstClusterLow = BinaryPrimitives.ReadUInt16LittleEndian(from[0x1A..]),
        FileSize = BinaryPrimitives.ReadUInt32LittleEndian(from[0x1C..]),
    };

    public void Write(Span<byte> to)
    {
        FixedText.Write(to[..11], ShortName);
        to[0x0B] = (byte)Attributes;
        to[0x0C] = CaseBits;
        to[0x0D] = CreatedTenths;
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x0E..], CreatedTime);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x10..], CreatedDate);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x12..], AccessedDate);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x14..], FirstClusterHigh);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x16..], WrittenTime);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x18..], WrittenDate);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x1A..], FirstClusterLow);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x1C..], FileSize);
    }
}

/// <summary>Thirteen units of a long name; a name's pieces stand before its <see cref="DirectoryEntry"/>, the last piece first.</summary>
internal readonly record struct LongNameEntry : IOnDisk<LongNameEntry>
{
    public const int Units = 13;

    /// <summary>Set in <see cref="Order"/> of the last piece, which comes first.</summary>
    public const byte Last = 0x40;

    private static readonly int[] Offsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

    public static int Size => 32;

    public byte Order { get; init; }

    /// <summary>13 units; a name that ends inside is closed by U+0000 and filled up with U+FFFF.</summary>
    public string? Text { get; init; }

    public FatAttributes Attributes { get; init; }

    public byte Type { get; init; }

    public byte Checksum { get; init; }

    public ushort FirstClusterLow { get; init; }

    public static LongNameEntry Read(ReadOnlySpan<byte> from)
    {
        Span<char> text = stackalloc char[Units];
        for (var i = 0; i < Units; i++) text[i] = (char)BinaryPrimitives.ReadUInt16LittleEndian(from[Offsets[i]..]);
        return new LongNameEntry
        {
            Order = from[0x00],
            Text = new string(text),
            Attributes = (FatAttributes)from[0x0B],
            Type = from[0x0C],
            Checksum = from[0x0D],
            FirstClusterLow = BinaryPrimitives.ReadUInt16LittleEndian(from[0x1A..]),
        };
    }

    public void Write(Span<byte> to)
    {
        to[0x00] = Order;
        for (var i = 0; i < Units; i++) BinaryPrimitives.WriteUInt16LittleEndian(to[Offsets[i]..], i < Text?.Length ? Text[i] : '\uFFFF');
        to[0x0B] = (byte)Attributes;
        to[0x0C] = Type;
        to[0x0D] = Checksum;
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x1A..], FirstClusterLow);
    }
}

/// <summary>A FAT time stamp: 1980 to 2107 in steps of two seconds, without a time zone; we use UTC. Times outside are moved to the
/// nearest end.</summary>
internal readonly record struct FatTime(ushort Date, ushort Time)
{
    public static FatTime Of(long unixSeconds)
    {
        var first = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds();
        var last = new DateTimeOffset(2107, 12, 31, 23, 59, 58, TimeSpan.Zero).ToUnixTimeSeconds();
        var t = DateTimeOffset.FromUnixTimeSeconds(Math.Clamp(unixSeconds, first, last));
        return new FatTime((ushort)(((t.Year - 1980) << 9) | (t.Month << 5) | t.Day), (ushort)((t.Hour << 11) | (t.Minute << 5) | (t.Second / 2)));
    }

    /// <summary>Seconds since 1970; fields out of range, which other systems write, count as their nearest legal value.</summary>
    public long ToUnixSeconds()
    {
        var (year, month) = (1980 + (Date >> 9), Math.Clamp((Date >> 5) & 15, 1, 12));
        var day = Math.Clamp(Date & 31, 1, DateTime.DaysInMonth(year, month));
        var (hour, minute, second) = (Math.Min(Time >> 11, 23), Math.Min((Time >> 5) & 63, 59), Math.Min((Time & 31) * 2, 59));
        return new DateTimeOffset(year, month, day, hour, minute, second, TimeSpan.Zero).ToUnixTimeSeconds();
    }
}
