using System.Buffers.Binary;

namespace OsBuild.Images.Partitions;

/// <summary>A partition entry of a GUID partition table (UEFI 2.10 table 5.6).</summary>
internal readonly record struct GptEntry : IOnDisk<GptEntry>
{
    public const int NameUnits = 36;

    public static int Size => 128;

    public Guid Type { get; init; }

    public Guid Id { get; init; }

    public ulong FirstLba { get; init; }

    /// <summary>Last sector, included.</summary>
    public ulong LastLba { get; init; }

    public ulong Attributes { get; init; }

    /// <summary>All 36 units, also those behind the end of the name.</summary>
    public string? RawName { get; init; }

    public bool IsEmpty => Type == Guid.Empty;

    public string Name
    {
        get
        {
            var end = RawName?.IndexOf('\0') ?? 0;
            return end < 0 ? RawName! : RawName?[..end] ?? "";
        }
    }

    public static GptEntry Read(ReadOnlySpan<byte> from)
    {
        Span<char> name = stackalloc char[NameUnits];
        for (var i = 0; i < NameUnits; i++) name[i] = (char)BinaryPrimitives.ReadUInt16LittleEndian(from[(0x38 + (2 * i))..]);
        return new GptEntry
        {
            Type = new Guid(from[..16]),
            Id = new Guid(from.Slice(0x10, 16)),
            FirstLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x20..]),
            LastLba = BinaryPrimitives.ReadUInt64LittleEndian(from[0x28..]),
            Attributes = BinaryPrimitives.ReadUInt64LittleEndian(from[0x30..]),
            RawName = new string(name),
        };
    }

    public void Write(Span<byte> to)
    {
        Type.TryWriteBytes(to);
        Id.TryWriteBytes(to[0x10..]);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x20..], FirstLba);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x28..], LastLba);
        BinaryPrimitives.WriteUInt64LittleEndian(to[0x30..], Attributes);
        for (var i = 0; i < NameUnits; i++)
            BinaryPrimitives.WriteUInt16LittleEndian(to[(0x38 + (2 * i))..], i < RawName?.Length ? RawName[i] : '\0');
    }
}
