using System.Buffers.Binary;
using System.Text;

namespace OsBuild.Images.Fat;

/// <summary>What follows the <see cref="BiosParameterBlock"/> of every width: at 0x24 on FAT12 and FAT16, at 0x40 on FAT32.</summary>
internal readonly record struct VolumeFields : IOnDisk<VolumeFields>
{
    public const int Fat16Offset = 0x24;
    public const int Fat32Offset = 0x40;

    /// <summary>The value of <see cref="BootSignature"/> that says that the next three fields are there.</summary>
    public const byte Extended = 0x29;

    public static int Size => 26;

    public byte DriveNumber { get; init; }

    /// <summary>Bit 0: the volume was not unmounted. Bit 1: it had read errors.</summary>
    public byte State { get; init; }

    public byte BootSignature { get; init; }

    public uint VolumeId { get; init; }

    public string? Label { get; init; }

    public string? FileSystemType { get; init; }

    public static VolumeFields Read(ReadOnlySpan<byte> from) => new()
    {
        DriveNumber = from[0x00],
        State = from[0x01],
        BootSignature = from[0x02],
        VolumeId = BinaryPrimitives.ReadUInt32LittleEndian(from[0x03..]),
        Label = Encoding.Latin1.GetString(from.Slice(0x07, 11)),
        FileSystemType = Encoding.Latin1.GetString(from.Slice(0x12, 8)),
    };

    public void Write(Span<byte> to)
    {
        to[0x00] = DriveNumber;
        to[0x01] = State;
        to[0x02] = BootSignature;
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x03..], VolumeId);
        FixedText.Write(to.Slice(0x07, 11), Label);
        FixedText.Write(to.Slice(0x12, 8), FileSystemType);
    }
}

/// <summary>What only FAT32 has, at 0x24 of its boot sector.</summary>
internal readonly record struct Fat32Fields : IOnDisk<Fat32Fields>
{
    public const int Offset = 0x24;

    public static int Size => 16;

    public uint FatSectors { get; init; }

    /// <summary>Bit 7: only one table is in use, the one in bits 0 to 3.</summary>
    public ushort ExtFlags { get; init; }

    public ushort Version { get; init; }

    public uint RootCluster { get; init; }

    public ushort FsInfoSector { get; init; }

    public ushort BackupBootSector { get; init; }

    public static Fat32Fields Read(ReadOnlySpan<byte> from) => new()
    {
        FatSectors = BinaryPrimitives.ReadUInt32LittleEndian(from[0x00..]),
        ExtFlags = BinaryPrimitives.ReadUInt16LittleEndian(from[0x04..]),
        Version = BinaryPrimitives.ReadUInt16LittleEndian(from[0x06..]),
        RootCluster = BinaryPrimitives.ReadUInt32LittleEndian(from[0x08..]),
        FsInfoSector = BinaryPrimitives.ReadUInt16LittleEndian(from[0x0C..]),
        BackupBootSector = BinaryPrimitives.ReadUInt16LittleEndian(from[0x0E..]),
    };

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x00..], FatSectors);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x04..], ExtFlags);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x06..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x08..], RootCluster);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x0C..], FsInfoSector);
        BinaryPrimitives.WriteUInt16LittleEndian(to[0x0E..], BackupBootSector);
    }
}

/// <summary>The end of a FAT32 FSInfo sector, from byte 484 on; hints that may be wrong, which fsck checks all the same.</summary>
internal readonly record struct FsInfo : IOnDisk<FsInfo>
{
    public const int Offset = 484;
    public const uint LeadSignature = 0x41615252;
    public const uint GoodSignature = 0x61417272;
    public const uint GoodTrail = 0xAA550000;
    public const uint Unknown = uint.MaxValue;

    public static int Size => 28;

    public uint Signature { get; init; }

    public uint FreeClusters { get; init; }

    public uint NextFree { get; init; }

    public UInt128 Reserved { get; init; }

    public uint Trail => (uint)(Reserved >> 96);

    public static FsInfo For(uint freeClusters, uint nextFree) => new()
    {
        Signature = GoodSignature,
        FreeClusters = freeClusters,
        NextFree = nextFree,
        Reserved = (UInt128)GoodTrail << 96,
    };

    public static FsInfo Read(ReadOnlySpan<byte> from) => new()
    {
        Signature = BinaryPrimitives.ReadUInt32LittleEndian(from[0x00..]),
        FreeClusters = BinaryPrimitives.ReadUInt32LittleEndian(from[0x04..]),
        NextFree = BinaryPrimitives.ReadUInt32LittleEndian(from[0x08..]),
        Reserved = BinaryPrimitives.ReadUInt128LittleEndian(from[0x0C..]),
    };

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x00..], Signature);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x04..], FreeClusters);
        BinaryPrimitives.WriteUInt32LittleEndian(to[0x08..], NextFree);
        BinaryPrimitives.WriteUInt128LittleEndian(to[0x0C..], Reserved);
    }
}
