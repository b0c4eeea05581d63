using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Images.Fat;

/// <summary>The start of a FAT boot sector, the same for all widths (Microsoft FAT specification 1.03, "Boot Sector and BPB").</summary>
internal readonly record struct BiosParameterBlock : IOnDisk<BiosParameterBlock>
{
    public static int Size => 36;

    /// <summary>A jump over this block to the boot code.</summary>
    public uint JmpBoot { get; init; }

    public string? OemName { get; init; }

    public ushort BytesPerSector { get; init; }

    public byte SectorsPerCluster { get; init; }

    public ushort ReservedSectors { get; init; }

    public byte FatCount { get; init; }

    public ushort RootEntries { get; init; }

    public ushort TotalSectors16 { get; init; }

    public byte Media { get; init; }

    public ushort FatSectors16 { get; init; }

    public ushort SectorsPerTrack { get; init; }

    public ushort Heads { get; init; }

    public uint HiddenSectors { get; init; }

    public uint TotalSectors32 { get; init; }

    public static BiosParameterBlock Read(ReadOnlySpan<byte> from) => new()
    {
        JmpBoot = (uint)(from[0] | (from[1] << 8) | (from[2] << 16)),
        OemName = Encoding.Latin1.GetString(from.Slice(0x03, 8)),
        BytesPerSector = BinaryPrimitives.ReadUInt16LittleEndian(from[0x0B..]),
        SectorsPerCluster = from[0x0D],
        ReservedSectors = BinaryPrimitives.ReadUInt16LittleEndian(from[0x0E..]),
        FatCount = from[0x10],
        RootEntries = BinaryPrimitives.ReadUInt16LittleEndian(from[0x11..]),
        TotalSectors16 = BinaryPrimitives.ReadUInt16LittleEndian(from[0x13..]),
        Media = from[0x15],
        FatSectors16 = BinaryPrimitives.ReadUInt16LittleEndian(from[0x16..]),
        SectorsPerTrack = BinaryPrimitives.ReadUInt16LittleEndian(from[0x18..]),
        Heads = BinaryPrimitives.ReadUInt16LittleEndian(from[0x1A..]),
        HiddenSectors = BinaryPrimitives.ReadUInt32LittleEndian(from[0x1C..]),
        TotalSectors32 = BinaryPrimitives.ReadUInt32LittleEndian(from[0x20..]),
    };

    public void Write(Span<byte> to)
    {
        (to[0], to[1], to[2]) = ((byte)JmpBoot, (byte)(JmpBoot >> 8), (byte)(JmpBoot >> 16));
        FixedText.Write(to.Slice(0x03, 8), OemName);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x0B..], BytesPerSector);
        to[0x0D] = SectorsPerCluster;
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x0E..], ReservedSectors);
        to[0x10] = FatCount;
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x11..], RootEntries);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x13..], TotalSectors16);
        to[0x15] = Media;
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x16..], FatSectors16);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x18..], SectorsPerTrack);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x1A..], Heads);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x1C..], HiddenSectors);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x20..], TotalSectors32);
    }
}

/// <summary>Byte fields of fixed length that hold text padded with spaces.</summary>
internal static class FixedText
{
    public static void Write(Span<byte> to, string? text)
    {
        to.Fill((byte)' ');
        Encoding.Latin1.GetBytes(text ?? "", to);
    }
}
