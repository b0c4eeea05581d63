using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>How the blocks of a squashfs are compressed.</summary>
public enum SquashFsCompression
{
    /// <summary>zlib.</summary>
    Gzip = 1,

    /// <summary>LZMA; neither read nor written.</summary>
    Lzma = 2,

    /// <summary>LZO; neither read nor written.</summary>
    Lzo = 3,

    /// <summary>xz; only read.</summary>
    Xz = 4,

    /// <summary>LZ4; neither read nor written.</summary>
    Lz4 = 5,

    /// <summary>Zstandard.</summary>
    Zstd = 6,
}

/// <summary>Superblock flags.</summary>
[Flags]
internal enum SquashFsFlags : ushort
{
    None = 0,
    UncompressedInodes = 1,
    UncompressedData = 2,
    UncompressedFragments = 8,
    NoFragments = 0x10,
    AlwaysFragments = 0x20,
    Duplicates = 0x40,
    Exportable = 0x80,
    UncompressedXattrs = 0x100,
    NoXattrs = 0x200,
    CompressorOptions = 0x400,
}

/// <summary>Inode types; the extended form of a type is <see cref="SquashFsFormat.Extended"/> higher.</summary>
internal enum InodeType : ushort
{
    Directory = 1,
    File = 2,
    Symlink = 3,
    BlockDevice = 4,
    CharDevice = 5,
    Fifo = 6,
    Socket = 7,
}

internal static class SquashFsFormat
{
    public const int MetadataSize = 8192;
    public const int Extended = 7;
    public const ushort MetadataStored = 0x8000;
    public const uint BlockStored = 1 << 24;
    public const uint NoFragment = uint.MaxValue, NoXattr = uint.MaxValue;
    public const ulong NoTable = ulong.MaxValue;
    public const int LongestName = 256;
    public const int FragmentEntrySize = 16, XattrIdSize = 16;
    public const int LargestBlock = 1 << 20, SmallestBlock = 1 << 12;

    /// <summary>The kernel's packing of device numbers into 32 bits.</summary>
    public static uint Device(uint major, uint minor) => minor & 0xFF | (major & 0xFFF) << 8 | (minor & 0xFFF00) << 12;

    public static (uint Major, uint Minor) Device(uint packed) => (packed >> 8 & 0xFFF, packed & 0xFF | packed >> 12 & 0xFFF00);
}

/// <summary>The superblock, version 4.0.</summary>
internal readonly record struct SuperBlock : IOnDisk<SuperBlock>
{
    public const uint Magic = 0x73717368;

    public static int Size => 96;

    public uint Signature { get; init; }

    public uint Inodes { get; init; }

    public uint Time { get; init; }

    public uint BlockSize { get; init; }

    public uint Fragments { get; init; }

    public SquashFsCompression Compression { get; init; }

    public ushort BlockLog { get; init; }

    public SquashFsFlags Flags { get; init; }

    public ushort Ids { get; init; }

    public ushort Major { get; init; }

    public ushort Minor { get; init; }

    public ulong RootInode { get; init; }

    public ulong BytesUsed { get; init; }

    public ulong IdTable { get; init; }

    public ulong XattrTable { get; init; }

    public ulong InodeTable { get; init; }

    public ulong DirectoryTable { get; init; }

    public ulong FragmentTable { get; init; }

    public ulong ExportTable { get; init; }

    public static SuperBlock Read(ReadOnlySpan<byte> from) => new()
    {
        Signature = ReadUInt32LittleEndian(from),
        Inodes = ReadUInt32LittleEndian(from[4..]),
        Time = ReadUInt32LittleEndian(from[8..]),
        BlockSize = ReadUInt32LittleEndian(from[12..]),
        Fragments = ReadUInt32LittleEndian(from[16..]),
        Compression = (SquashFsCompression)ReadUInt16LittleEndian(from[20..]),
        BlockLog = ReadUInt16LittleEndian(from[22..]),
        Flags = (SquashFsFlags)ReadUInt16LittleEndian(from[24..]),
        Ids = ReadUInt16LittleEndian(from[26..]),
        Major = ReadUInt16LittleEndian(from[28..]),
        Minor = ReadUInt16LittleEndian(from[30..]),
        RootInode = ReadUInt64LittleEndian(from[32..]),
        BytesUsed = ReadUInt64LittleEndian(from[40..]),
        IdTable = ReadUInt64LittleEndian(from[48..]),
        XattrTable = ReadUInt64LittleEndian(from[56..]),
        InodeTable = ReadUInt64LittleEndian(from[64..]),
        DirectoryTable = ReadUInt64LittleEndian(from[72..]),
        FragmentTable = ReadUInt64LittleEndian(from[80..]),
        ExportTable = ReadUInt64LittleEndian(from[88..]),
    };

    public void Write(Span<byte> to)
    {
        WriteUInt32LittleEndian(to, Signature);
        WriteUInt32LittleEndian(to[4..], Inodes);
        WriteUInt32LittleEndian(to[8..], Time);
        WriteUInt32LittleEndian(to[12..], BlockSize);
        WriteUInt32LittleEndian(to[16..], Fragments);
        WriteUInt16LittleEndian(to[20..], (ushort)Compression);
        WriteUInt16LittleEndian(to[22..], BlockLog);
        WriteUInt16LittleEndian(to[24..], (ushort)Flags);
        WriteUInt16LittleEndian(to[26..], Ids);
        WriteUInt16LittleEndian(to[28..], Major);
        WriteUInt16LittleEndian(to[30..], Minor);
        WriteUInt64LittleEndian(to[32..], RootInode);
        WriteUInt64LittleEndian(to[40..], BytesUsed);
        WriteUInt64LittleEndian(to[48..], IdTable);
        WriteUInt64LittleEndian(to[56..], XattrTable);
        WriteUInt64LittleEndian(to[64..], InodeTable);
        WriteUInt64LittleEndian(to[72..], DirectoryTable);
        WriteUInt64LittleEndian(to[80..], FragmentTable);
        WriteUInt64LittleEndian(to[88..], ExportTable);
    }
}

/// <summary>How a squashfs is written.</summary>
public sealed record SquashFsOptions
{
    /// <summary>zstd or gzip.</summary>
    public SquashFsCompression Compression { get; init; } = SquashFsCompression.Zstd;

    /// <summary>1 to 22 for zstd, 1 to 9 for gzip. 14 where mksquashfs has 15: about a percent larger, and faster.</summary>
    public int Level { get; init; } = 14;

    /// <summary>Bytes of a data block: a power of two from 4 KiB to 1 MiB.</summary>
    public int BlockSize { get; init; } = 128 << 10;

    /// <summary>How many blocks are compressed at the same time; the bytes do not depend on it.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>The time of making that the superblock tells, in seconds since 1970.</summary>
    public long Time { get; init; }
}
