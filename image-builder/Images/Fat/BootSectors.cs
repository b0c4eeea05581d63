using System.Buffers.Binary;

namespace OsBuild.Images.Fat;

/// <summary>The reserved sectors of a new file system: boot sector, FSInfo, and on FAT32 their backups.</summary>
internal static class BootSectors
{
    /// <summary>A fixed disk.</summary>
    private const byte Media = 0xF8;

    /// <summary>hlt, and again: this volume has no boot code.</summary>
    private static ReadOnlySpan<byte> Halt => [0xF4, 0xEB, 0xFD];

    public static void Write(Stream target, FatLayout layout, uint freeClusters, uint nextFree)
    {
        var g = layout.Geometry;
        var boot = Boot(layout);
        Put(target, 0, boot);
        if (g.Kind != FatKind.Fat32) return;

        var info = new byte[g.SectorSize];
        BinaryPrimitives.WriteUInt32LittleEndian(info, FsInfo.LeadSignature);
        FsInfo.For(freeClusters, freeClusters == 0 ? FsInfo.Unknown : nextFree).Write(info.AsSpan(FsInfo.Offset, FsInfo.Size));
        foreach (var first in new[] { 0, g.BackupSector })
        {
            Put(target, (long)first * g.SectorSize, boot);
            Put(target, (long)(first + g.FsInfoSector) * g.SectorSize, info);
        }
    }

    private static byte[] Boot(FatLayout layout)
    {
        var (g, o) = (layout.Geometry, layout.Options);
        var sector = new byte[g.SectorSize];
        var is32 = g.Kind == FatKind.Fat32;
        var codeAt = (is32 ? VolumeFields.Fat32Offset : VolumeFields.Fat16Offset) + VolumeFields.Size;
        var small = g.TotalSectors < 0x10000 && !is32;
        new BiosParameterBlock
        {
            JmpBoot = (uint)(0xEB | ((codeAt - 2) << 8) | (0x90 << 16)),
            OemName = "OSBUILD",
            BytesPerSector = (ushort)g.SectorSize,
            SectorsPerCluster = (byte)g.SectorsPerCluster,
            ReservedSectors = (ushort)g.ReservedSectors,
            FatCount = (byte)g.FatCount,
            RootEntries = (ushort)g.RootEntries,
            TotalSectors16 = small ? (ushort)g.TotalSectors : (ushort)0,
            Media = Media,
            FatSectors16 = is32 ? (ushort)0 : (ushort)g.FatSectors,
            SectorsPerTrack = 63,
            Heads = 255,
            HiddenSectors = o.HiddenSectors,
            TotalSectors32 = small ? 0 : (uint)g.TotalSectors,
        }.Write(sector.AsSpan(0, BiosParameterBlock.Size));
        if (is32)
            new Fat32Fields { FatSectors = (uint)g.FatSectors, RootCluster = g.RootCluster, FsInfoSector = (ushort)g.FsInfoSector, BackupBootSector = (ushort)g.BackupSector }
                .Write(sector.AsSpan(Fat32Fields.Offset, Fat32Fields.Size));
        new VolumeFields
        {
            DriveNumber = 0x80,
            BootSignature = VolumeFields.Extended,
            VolumeId = o.VolumeId,
            Label = o.Label.Length > 0 ? o.Label : "NO NAME",
            FileSystemType = $"FAT{(int)g.Kind}",
        }.Write(sector.AsSpan(codeAt - VolumeFields.Size, VolumeFields.Size));
        Halt.CopyTo(sector.AsSpan(codeAt));
        BinaryPrimitives.WriteUInt16LittleEndian(sector.AsSpan(510), 0xAA55);
        return sector;
    }

    private static void Put(Stream target, long offset, byte[] bytes)
    {
        target.Position = offset;
        target.Write(bytes);
    }
}
