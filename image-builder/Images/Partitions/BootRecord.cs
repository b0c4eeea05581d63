using System.Buffers.Binary;

namespace OsBuild.Images.Partitions;

/// <summary>The part of a master or extended boot record that is not boot code: bytes 440 to 511 of the sector. Boot ROMs and
/// boot loaders own the bytes before it, so we never write those.</summary>
internal readonly record struct BootRecord : IOnDisk<BootRecord>
{
    /// <summary>Offset of this record in its sector.</summary>
    public const int Offset = 440;

    private const ushort GoodSignature = 0xAA55;

    public static int Size => 72;

    public uint DiskSignature { get; init; }

    /// <summary>Zero, or 0x5A5A for a disk that asks not to be written.</summary>
    public ushort Reserved { get; init; }

    public MbrEntry Entry1 { get; init; }

    public MbrEntry Entry2 { get; init; }

    public MbrEntry Entry3 { get; init; }

    public MbrEntry Entry4 { get; init; }

    public ushort Signature { get; init; }

    public bool IsSigned => Signature == GoodSignature;

    public IReadOnlyList<MbrEntry> Entries => [Entry1, Entry2, Entry3, Entry4];

    public static BootRecord For(uint diskSignature, IReadOnlyList<MbrEntry> entries) => new()
    {
        DiskSignature = diskSignature,
        Entry1 = entries.ElementAtOrDefault(0),
        Entry2 = entries.ElementAtOrDefault(1),
        Entry3 = entries.ElementAtOrDefault(2),
        Entry4 = entries.ElementAtOrDefault(3),
        Signature = GoodSignature,
    };

    /// <summary>The same record with one entry replaced.</summary>
    /// <param name="index">0 to 3.</param>
    /// <param name="entry">The new entry.</param>
    public BootRecord With(int index, MbrEntry entry) => index switch
    {
        0 => this with { Entry1 = entry },
        1 => this with { Entry2 = entry },
        2 => this with { Entry3 = entry },
        _ => this with { Entry4 = entry },
    };

    public static BootRecord Read(ReadOnlySpan<byte> from) => new()
    {
        DiskSignature = BinaryPrimitives.ReadUInt32LittleEndian(from[0x00..]),
        Reserved = BinaryPrimitives.ReadUInt16LittleEndian(from[0x04..]),
        Entry1 = MbrEntry.Read(from[0x06..]),
        Entry2 = MbrEntry.Read(from[0x16..]),
        Entry3 = MbrEntry.Read(from[0x26..]),
        Entry4 = MbrEntry.Read(from[0x36..]),
        Signature = BinaryPrimitives.ReadUInt16LittleEndian(from[0x46..]),
    };

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x00..], DiskSignature);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x04..], Reserved);
        Entry1.Write(to[0x06..]);
        Entry2.Write(to[0x16..]);
        Entry3.Write(to[0x26..]);
        Entry4.Write(to[0x36..]);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x46..], Signature);
    }
}
