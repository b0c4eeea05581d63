using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>A run of blocks of a file (struct ext4_extent). A length above 32768 marks blocks that are allocated but read as zeros.</summary>
internal readonly record struct Extent(uint Logical, ushort RawLength, long Physical) : IOnDisk<Extent>
{
    public const int MaxLength = 32768;

    public static int Size => 12;

    public int Length => RawLength <= MaxLength ? RawLength : RawLength - MaxLength;

    public bool Unwritten => RawLength > MaxLength;

    public static Extent Read(ReadOnlySpan<byte> from) => new(
        ReadUInt32LittleEndian(from),
        ReadUInt16LittleEndian(from[4..]),
        ((long)ReadUInt16LittleEndian(from[6..]) << 32) | ReadUInt32LittleEndian(from[8..]));

    public void Write(Span<byte> to)
    {
        WriteUInt32LittleEndian(to, Logical);
        WriteUInt16LittleEndian(to[4..], RawLength);
        WriteUInt16LittleEndian(to[6..], (ushort)(Physical >> 32));
        WriteUInt32LittleEndian(to[8..], (uint)Physical);
    }
}

/// <summary>A pointer to a lower node of the extent tree (struct ext4_extent_idx).</summary>
internal readonly record struct ExtentIndex(uint Logical, long Leaf, ushort Unused) : IOnDisk<ExtentIndex>
{
    public static int Size => 12;

    public static ExtentIndex Read(ReadOnlySpan<byte> from) => new(
        ReadUInt32LittleEndian(from),
        ((long)ReadUInt16LittleEndian(from[8..]) << 32) | ReadUInt32LittleEndian(from[4..]),
        ReadUInt16LittleEndian(from[10..]));

    public void Write(Span<byte> to)
    {
        WriteUInt32LittleEndian(to, Logical);
        WriteUInt32LittleEndian(to[4..], (uint)Leaf);
        WriteUInt16LittleEndian(to[8..], (ushort)(Leaf >> 32));
        WriteUInt16LittleEndian(to[10..], Unused);
    }
}

/// <summary>Head of a node of the extent tree (struct ext4_extent_header).</summary>
internal readonly record struct ExtentHeader(ushort Magic, ushort Entries, ushort Max, ushort Depth, uint Generation) : IOnDisk<ExtentHeader>
{
    public const ushort RightMagic = 0xF30A;

    public static int Size => 12;

    public static ExtentHeader Read(ReadOnlySpan<byte> from) => new(
        ReadUInt16LittleEndian(from),
        ReadUInt16LittleEndian(from[2..]),
        ReadUInt16LittleEndian(from[4..]),
        ReadUInt16LittleEndian(from[6..]),
        ReadUInt32LittleEndian(from[8..]));

    public void Write(Span<byte> to)
    {
        WriteUInt16LittleEndian(to, Magic);
        WriteUInt16LittleEndian(to[2..], Entries);
        WriteUInt16LittleEndian(to[4..], Max);
        WriteUInt16LittleEndian(to[6..], Depth);
        WriteUInt32LittleEndian(to[8..], Generation);
    }
}
