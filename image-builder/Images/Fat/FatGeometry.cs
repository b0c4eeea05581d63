using System.Numerics;

namespace OsBuild.Images.Fat;

/// <summary>Where the parts of a FAT file system lie. Read from a boot sector, or worked out by <see cref="FatLayout"/>.</summary>
internal readonly record struct FatGeometry
{
    /// <summary>First cluster count that is no longer FAT12, and no longer FAT16: the only thing that tells the width.</summary>
    public const uint Fat16Clusters = 4085;

    /// <inheritdoc cref="Fat16Clusters"/>
    public const uint Fat32Clusters = 65525;

    /// <summary>The highest cluster count whose numbers do not reach the special values from 0x0FFFFFF7 on.</summary>
    public const uint MaxClusters = 0x0FFFFFF4;

    public required FatKind Kind { get; init; }

    public required int SectorSize { get; init; }

    public required int SectorsPerCluster { get; init; }

    public required int ReservedSectors { get; init; }

    public required int FatCount { get; init; }

    public required long FatSectors { get; init; }

    public required int RootEntries { get; init; }

    public required long TotalSectors { get; init; }

    public uint RootCluster { get; init; }

    public int FsInfoSector { get; init; }

    public int BackupSector { get; init; }

    /// <summary>The table that counts; 0 unless mirroring is switched off.</summary>
    public int ActiveFat { get; init; }

    public int RootSectors => ((RootEntries * DirectoryEntry.Size) + SectorSize - 1) / SectorSize;

    public long RootOffset => (ReservedSectors + (FatCount * FatSectors)) * SectorSize;

    public long DataSector => ReservedSectors + (FatCount * FatSectors) + RootSectors;

    public uint Clusters => (uint)((TotalSectors - DataSector) / SectorsPerCluster);

    public int ClusterSize => SectorsPerCluster * SectorSize;

    /// <summary>Values from here on end a chain.</summary>
    public uint EndOfChain => Kind switch { FatKind.Fat12 => 0xFF8, FatKind.Fat16 => 0xFFF8, _ => 0x0FFFFFF8 };

    /// <summary>The mark of a cluster that cannot be used.</summary>
    public uint Bad => EndOfChain - 1;

    public long FatOffset(int copy) => (ReservedSectors + (copy * FatSectors)) * SectorSize;

    public long ClusterOffset(uint cluster) => (DataSector + ((cluster - 2L) * SectorsPerCluster)) * SectorSize;

    public bool IsCluster(uint number) => number >= 2 && number < Clusters + 2;

    public long ClustersFor(long bytes) => (bytes + ClusterSize - 1) / ClusterSize;

    /// <summary>Reads the geometry from a boot sector.</summary>
    /// <param name="sector">At least the first 512 bytes.</param>
    /// <param name="length">Size of the volume in bytes.</param>
    /// <exception cref="ImageException">This is no FAT file system, or the volume is shorter than it says.</exception>
    public static FatGeometry Read(ReadOnlySpan<byte> sector, long length)
    {
        var bpb = BiosParameterBlock.Read(sector[..BiosParameterBlock.Size]);
        var is32 = bpb.FatSectors16 == 0;
        var f32 = Fat32Fields.Read(sector.Slice(Fat32Fields.Offset, Fat32Fields.Size));
        if (bpb.BytesPerSector is not (512 or 1024 or 2048 or 4096) || !BitOperations.IsPow2(bpb.SectorsPerCluster) || bpb.ReservedSectors == 0
            || bpb.FatCount is 0 or > 4 || (is32 ? f32.FatSectors == 0 || bpb.RootEntries != 0 : bpb.RootEntries == 0))
            throw new ImageException(ImageErrorKind.Corrupt, "The boot sector is not that of a FAT file system.");
        if (is32 && f32.Version != 0) throw new ImageException(ImageErrorKind.Unsupported, $"FAT32 version 0x{f32.Version:x} is unknown.");

        var g = new FatGeometry
        {
            Kind = FatKind.Fat32,
            SectorSize = bpb.BytesPerSector,
            SectorsPerCluster = bpb.SectorsPerCluster,
            ReservedSectors = bpb.ReservedSectors,
            FatCount = bpb.FatCount,
            FatSectors = is32 ? f32.FatSectors : bpb.FatSectors16,
            RootEntries = bpb.RootEntries,
            TotalSectors = bpb.TotalSectors16 != 0 ? bpb.TotalSectors16 : bpb.TotalSectors32,
            RootCluster = is32 ? f32.RootCluster : 0,
            FsInfoSector = is32 && f32.FsInfoSector < bpb.ReservedSectors ? f32.FsInfoSector : 0,
            BackupSector = is32 && f32.BackupBootSector < bpb.ReservedSectors ? f32.BackupBootSector : 0,
            ActiveFat = is32 && (f32.ExtFlags & 0x80) != 0 ? f32.ExtFlags & 0xF : 0,
        };
        if (g.TotalSectors - g.DataSector < g.SectorsPerCluster) throw new ImageException(ImageErrorKind.Corrupt, "The FAT file system has no room for data; its boot sector is damaged.");
        if (g.TotalSectors * g.SectorSize > length)
            throw new ImageException(ImageErrorKind.Corrupt, $"The FAT file system has {g.TotalSectors * g.SectorSize} bytes, but only {length} are there; the image is cut off.");
        if (!is32) g = g with { Kind = g.Clusters < Fat16Clusters ? FatKind.Fat12 : FatKind.Fat16 };
        if (g.Clusters > MaxClusters || g.FatSectors * g.SectorSize * 8 / (int)g.Kind < g.Clusters + 2L)
            throw new ImageException(ImageErrorKind.Corrupt, $"The file allocation table is too small for {g.Clusters} clusters; the boot sector is damaged.");
        if (is32 && !g.IsCluster(g.RootCluster)) throw new ImageException(ImageErrorKind.Corrupt, $"The root directory starts at cluster {g.RootCluster}, which does not exist.");
        return g.ActiveFat < g.FatCount ? g : throw new ImageException(ImageErrorKind.Corrupt, $"The boot sector names table {g.ActiveFat} of {g.FatCount} as the one in use.");
    }
}
