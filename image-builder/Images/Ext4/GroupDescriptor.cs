using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>A block group descriptor of 64 bytes (struct ext4_group_desc); file systems without the 64bit feature keep the first half.</summary>
internal readonly record struct GroupDescriptor : IOnDisk<GroupDescriptor>
{
    public const int ShortSize = 32;

    public static int Size => 64;

    public long BlockBitmap { get; init; }
    public long InodeBitmap { get; init; }
    public long InodeTable { get; init; }
    public uint FreeBlocks { get; init; }
    public uint FreeInodes { get; init; }
    public uint Directories { get; init; }
    public GroupFlags Flags { get; init; }
    public long ExcludeBitmap { get; init; }
    public uint BlockBitmapSum { get; init; }
    public uint InodeBitmapSum { get; init; }
    public uint UnusedInodes { get; init; }
    public ushort Checksum { get; init; }
    public uint Reserved { get; init; }

    /// <summary>The sum of a descriptor with the metadata_csum feature (bg_checksum: the lower half of the CRC).</summary>
    public static ushort Sum(uint seed, uint group, ReadOnlySpan<byte> bytes) =>
        (ushort)Crc32C.AddWithout(Crc32C.Add(seed, group), bytes, 0x1E, sizeof(ushort));

    public static GroupDescriptor Read(ReadOnlySpan<byte> from)
    {
        var wide = from.Length >= Size;
        return new GroupDescriptor
        {
            BlockBitmap = Low32(from, 0x00) | (wide ? Low32(from, 0x20) << 32 : 0),
            InodeBitmap = Low32(from, 0x04) | (wide ? Low32(from, 0x24) << 32 : 0),
            InodeTable = Low32(from, 0x08) | (wide ? Low32(from, 0x28) << 32 : 0),
            FreeBlocks = Low16(from, 0x0C) | (wide ? Low16(from, 0x2C) << 16 : 0),
            FreeInodes = Low16(from, 0x0E) | (wide ? Low16(from, 0x2E) << 16 : 0),
            Directories = Low16(from, 0x10) | (wide ? Low16(from, 0x30) << 16 : 0),
            Flags = (GroupFlags)ReadUInt16LittleEndian(from[0x12..]),
            ExcludeBitmap = Low32(from, 0x14) | (wide ? Low32(from, 0x34) << 32 : 0),
            BlockBitmapSum = Low16(from, 0x18) | (wide ? Low16(from, 0x38) << 16 : 0),
            InodeBitmapSum = Low16(from, 0x1A) | (wide ? Low16(from, 0x3A) << 16 : 0),
            UnusedInodes = Low16(from, 0x1C) | (wide ? Low16(from, 0x32) << 16 : 0),
            Checksum = ReadUInt16LittleEndian(from[0x1E..]),
            Reserved = wide ? ReadUInt32LittleEndian(from[0x3C..]) : 0,
        };
    }

    public void Write(Span<byte> to)
    {
        Split32(to, 0x00, 0x20, BlockBitmap);
        Split32(to, 0x04, 0x24, InodeBitmap);
        Split32(to, 0x08, 0x28, InodeTable);
        Split16(to, 0x0C, 0x2C, FreeBlocks);
        Split16(to, 0x0E, 0x2E, FreeInodes);
        Split16(to, 0x10, 0x30, Directories);
        WriteUInt16LittleEndian(to[0x12..], (ushort)Flags);
        Split32(to, 0x14, 0x34, ExcludeBitmap);
        Split16(to, 0x18, 0x38, BlockBitmapSum);
        Split16(to, 0x1A, 0x3A, InodeBitmapSum);
        Split16(to, 0x1C, 0x32, UnusedInodes);
        WriteUInt16LittleEndian(to[0x1E..], Checksum);
        WriteUInt32LittleEndian(to[0x3C..], Reserved);
    }

    /// <summary>The bytes with a right checksum in them.</summary>
    public void WriteWithSum(Span<byte> to, uint seed, uint group)
    {
        Write(to);
        WriteUInt16LittleEndian(to[0x1E..], Sum(seed, group, to[..Size]));
    }

    private static long Low32(ReadOnlySpan<byte> from, int at) => ReadUInt32LittleEndian(from[at..]);

    private static uint Low16(ReadOnlySpan<byte> from, int at) => ReadUInt16LittleEndian(from[at..]);

    private static void Split32(Span<byte> to, int low, int high, long value)
    {
        WriteUInt32LittleEndian(to[low..], (uint)value);
        WriteUInt32LittleEndian(to[high..], (uint)(value >> 32));
    }

    private static void Split16(Span<byte> to, int low, int high, uint value)
    {
        WriteUInt16LittleEndian(to[low..], (ushort)value);
        WriteUInt16LittleEndian(to[high..], (ushort)(value >> 16));
    }
}
