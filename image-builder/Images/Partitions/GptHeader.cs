using System.Buffers.Binary;

namespace OsBuild.Images.Partitions;

/// <summary>The header of a GUID partition table (UEFI 2.10 table 5.5).</summary>
internal readonly record struct GptHeader : IOnDisk<GptHeader>
{
    /// <summary><c>EFI PART</c>.</summary>
    public const ulong GoodSignature = 0x5452415020494645;

    public const uint Revision1 = 0x00010000;

    public static int Size => 92;

    public ulong Signature { get; init; }

    public uint Revision { get; init; }

    public uint HeaderSize { get; init; }

    public uint HeaderCrc { get; init; }

    public uint Reserved { get; init; }

    public ulong MyLba { get; init; }

    public ulong AlternateLba { get; init; }

    public ulong FirstUsableLba { get; init; }

    public ulong LastUsableLba { get; init; }

    public Guid DiskId { get; init; }

    public ulong EntriesLba { get; init; }

    public uint EntryCount { get; init; }

    public uint EntrySize { get; init; }

    public uint EntriesCrc { get; init; }

    public static GptHeader Read(ReadOnlySpan<byte> from) => new()
    {
        Signature = BinaryPrimitives.ReadUInt64LittleEndian(from[0x00..]),
        Revision = BinaryPrimitives.ReadUInt32LittleEndian(from[0x08..]),
        HeaderSize = BinaryPrimitives.ReadUInt32LittleEndian(from[0x0C..]),
        HeaderCrc = BinaryPrimitives.ReadUInt32LittleEndian(from[0x10..]),
        Reserved = BinaryPrimitives.ReadUInt32LittleEndian(from[0x14..]),
        MyLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x18..]),
        AlternateLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x20..]),
        FirstUsableLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x28..]),
        LastUsableLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x30..]),
        DiskId = new Guid(from.Slice(0x38, 16)),
        EntriesLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x48..]),
        EntryCount = BinaryPrimitives.ReadUInt32LittleEndian(from[0x50..]),
        EntrySize = BinaryPrimitives.ReadUInt32LittleEndian(from[0x54..]),
        EntriesCrc = BinaryPrimitives.ReadUInt32LittleEndian(from[0x58..]),
    };

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x00..], Signature);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x08..], Revision);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x0C..], HeaderSize);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x10..], HeaderCrc);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x14..], Reserved);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x18..], MyLba);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x20..], AlternateLba);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x28..], FirstUsableLba);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x30..], LastUsableLba);
        DiskId.TryWriteBytes(to[0x38..]);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x48..], EntriesLba);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x50..], EntryCount);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x54..], EntrySize);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x58..], EntriesCrc);
    }

    /// <summary>The header as a sector with its checksum filled in.</summary>
    public byte[] ToSector(int sectorSize)
    {
        var sector = new byte[sectorSize];
        (this with { HeaderCrc = 0 }).Write(sector);
        BinaryPrimitives.WriteUInt32LittleEndian(sector.AsSpan(0x10), Crc32.Of(sector.AsSpan(0, (int)HeaderSize)));
        return sector;
    }
}
