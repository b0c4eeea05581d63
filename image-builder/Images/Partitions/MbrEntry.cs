using System.Buffers.Binary;

namespace OsBuild.Images.Partitions;

/// <summary>One of the four entries of a master boot record or extended boot record (UEFI 2.10 table 5.2).</summary>
internal readonly record struct MbrEntry : IOnDisk<MbrEntry>
{
    /// <summary>Type of the entry that covers a GPT disk.</summary>
    public const byte Protective = 0xEE;

    /// <summary>Type of an extended partition that is addressed by sector number.</summary>
    public const byte ExtendedLba = 0x0F;

    /// <summary>Type of the link from one extended boot record to the next.</summary>
    public const byte ExtendedChs = 0x05;

    /// <summary>Linux's own extended type.</summary>
    public const byte ExtendedLinux = 0x85;

    public static int Size => 16;

    public byte Status { get; init; }

    public Chs First { get; init; }

    public byte Type { get; init; }

    public Chs Last { get; init; }

    public uint StartLba { get; init; }

    public uint Sectors { get; init; }

    public bool IsEmpty => Type == 0 || Sectors == 0;

    /// <summary>The three types that Linux follows (block/partitions/msdos.c, is_extended_partition).</summary>
    public bool IsExtended => Type is ExtendedChs or ExtendedLba or ExtendedLinux && Sectors != 0;

    /// <summary>An entry with the CHS fields old firmware wants to see.</summary>
    /// <param name="type">Partition type.</param>
    /// <param name="start">First sector, relative to what the table at hand counts from.</param>
    /// <param name="sectors">Number of sectors.</param>
    /// <param name="active">Boot flag.</param>
    /// <param name="origin">Sector that <paramref name="start"/> counts from; CHS is always absolute.</param>
    public static MbrEntry For(byte type, long start, long sectors, bool active = false, long origin = 0) => new()
    {
        Status = active ? (byte)0x80 : (byte)0,
        First = Chs.Of(origin + start),
        Type = type,
        Last = Chs.Of(origin + start + sectors - 1),
        StartLba = checked((uint)start),
        Sectors = checked((uint)sectors),
    };

    public static MbrEntry Read(ReadOnlySpan<byte> from) => new()
    {
        Status = from[0x0],
        First = new Chs(from[0x1], from[0x2], from[0x3]),
        Type = from[0x4],
        Last = new Chs(from[0x5], from[0x6], from[0x7]),
        StartLba = BinaryPrimitives.ReadUInt32LittleEndian(from[0x8..]),
        Sectors = BinaryPrimitives.ReadUInt32LittleEndian(from[0xC..]),
    };

    public void Write(Span<byte> to)
    {
        to[0x0] = Status;
        (to[0x1], to[0x2], to[0x3]) = (First.Head, First.Sector, First.Cylinder);
        to[0x4] = Type;
        (to[0x5], to[0x6], to[0x7]) = (Last.Head, Last.Sector, Last.Cylinder);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x8..], StartLba);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0xC..], Sectors);
    }
}

/// <summary>A cylinder, head and sector address, packed as in the table: two bits of the cylinder stand in the sector byte.</summary>
internal readonly record struct Chs(byte Head, byte Sector, byte Cylinder)
{
    private const int Heads = 255;
    private const int SectorsPerTrack = 63;

    /// <summary>The address of a sector on the usual made-up geometry; sectors past its end get the last address it has.</summary>
    public static Chs Of(long lba)
    {
        var cylinder = lba / (Heads * SectorsPerTrack);
        if (cylinder > 1023) return new Chs(0xFE, 0xFF, 0xFF);
        var head = lba / SectorsPerTrack % Heads;
        var sector = (lba % SectorsPerTrack) + 1;
        return new Chs((byte)head, (byte)(sector | ((cylinder >> 2) & 0xC0)), (byte)cylinder);
    }
}
