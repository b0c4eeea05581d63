namespace OsBuild.Images.Fat;

/// <summary>The three widths of a file allocation table.</summary>
public enum FatKind
{
    /// <summary>12 bits.</summary>
    Fat12 = 12,

    /// <summary>16 bits.</summary>
    Fat16 = 16,

    /// <summary>32 bits.</summary>
    Fat32 = 32,
}

/// <summary>What a FAT file system is to be.</summary>
public sealed record FatOptions
{
    /// <summary>Size in bytes; a multiple of <see cref="SectorSize"/>.</summary>
    public required long Size { get; init; }

    /// <summary>Width of the table.</summary>
    public FatKind Kind { get; init; } = FatKind.Fat32;

    /// <summary>Volume label, at most 11 characters of ASCII.</summary>
    public string Label { get; init; } = "";

    /// <summary>Volume serial number.</summary>
    public required uint VolumeId { get; init; }

    /// <summary>Time stamp of everything in it, seconds since 1970 (FAT holds 1980..2107, in steps of 2 s).</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Sectors before the partition (BPB_HiddSec).</summary>
    public uint HiddenSectors { get; init; }

    /// <summary>Sector size of the disk in bytes: 512 or 4096.</summary>
    public int SectorSize { get; init; } = 512;

    /// <summary>Cluster size in bytes, or 0 for one that suits the size.</summary>
    public int ClusterSize { get; init; }
}

/// <summary>Where everything lies in a FAT file system of a given size. Pure.</summary>
public sealed record FatLayout
{
    private const long MiB = 1L << 20;

    /// <summary>What was asked for.</summary>
    public required FatOptions Options { get; init; }

    /// <summary>Bytes per cluster.</summary>
    public int ClusterSize => Geometry.ClusterSize;

    /// <summary>Number of clusters, that of the FAT32 root directory included.</summary>
    public long Clusters => Geometry.Clusters;

    /// <summary>The places.</summary>
    internal FatGeometry Geometry { get; private init; }

    /// <summary>Works out the layout (Microsoft FAT specification 1.03).</summary>
    /// <exception cref="ImageException">The size does not fit the kind; the message names the range.</exception>
    public static FatLayout For(FatOptions options)
    {
        Check(options);
        var spc = options.ClusterSize != 0 ? options.ClusterSize / options.SectorSize : Math.Max(1, Preferred(options) / options.SectorSize);
        var (least, most) = Range(options.Kind);
        var g = At(options, spc);
        if (options.ClusterSize == 0)
        {
            // 64 KiB and 128 sectors are the largest clusters the specification knows.
            while ((g is null || g.Value.Clusters < least) && spc > 1) g = At(options, spc /= 2);
            while (g is not null && g.Value.Clusters > most && spc < 128 && spc * 2 * options.SectorSize <= 65536) g = At(options, spc *= 2);
        }

        if (g is not { } found || found.Clusters < least || found.Clusters > most) throw OutOfRange(options);
        return new FatLayout { Options = options, Geometry = found };
    }

    /// <summary>Cluster counts that mean this kind.</summary>
    private static (uint Least, uint Most) Range(FatKind kind) => kind switch
    {
        FatKind.Fat12 => (1, FatGeometry.Fat16Clusters - 1),
        FatKind.Fat16 => (FatGeometry.Fat16Clusters, FatGeometry.Fat32Clusters - 1),
        _ => (FatGeometry.Fat32Clusters, FatGeometry.MaxClusters),
    };

    /// <summary>The tables of the specification ("DskTableFAT16", "DskTableFAT32"); FAT12 starts as small as possible.</summary>
    private static int Preferred(FatOptions o) => (o.Kind, o.Size) switch
    {
        (FatKind.Fat12, _) => 512,
        (FatKind.Fat16, <= 16 * MiB) => 1024,
        (FatKind.Fat16, <= 128 * MiB) => 2048,
        (FatKind.Fat16, <= 256 * MiB) => 4096,
        (FatKind.Fat16, <= 512 * MiB) => 8192,
        (FatKind.Fat16, <= 1024 * MiB) => 16384,
        (FatKind.Fat16, _) => 32768,
        (_, <= 260 * MiB) => 512,
        (_, <= 8192 * MiB) => 4096,
        (_, <= 16384 * MiB) => 8192,
        (_, <= 32768 * MiB) => 16384,
        _ => 32768,
    };

    /// <summary>The geometry for a cluster size, or null when not even the tables fit. The one unknown is the size F of a table in
    /// sectors. With D sectors left for two tables and the data, s sectors per cluster, S bytes per sector and b bits per entry:
    /// <code>
    /// clusters C = (D - 2F) / s          and the table needs     F * S * 8 / b >= C + 2
    /// so                                  F * S * 8 * s / b >= D - 2F + 2s
    ///                                     F * (8 S s + 2 b) >= b (D + 2 s)
    /// </code>
    /// The smallest whole F that does it is the right side divided by the factor, rounded up; C rounded down only makes it safer.</summary>
    private static FatGeometry? At(FatOptions o, int spc)
    {
        var total = o.Size / o.SectorSize;
        var is32 = o.Kind == FatKind.Fat32;
        var (reserved, rootEntries) = is32 ? (32, 0) : (1, 512);
        var rootSectors = rootEntries * DirectoryEntry.Size / o.SectorSize;
        var bits = (long)o.Kind;
        var data = total - reserved - rootSectors;
        var factor = (8L * o.SectorSize * spc) + (2 * bits);
        var fatSectors = ((bits * (data + (2L * spc))) + factor - 1) / factor;
        if (data - (2 * fatSectors) < spc) return null;
        return new FatGeometry
        {
            Kind = o.Kind,
            SectorSize = o.SectorSize,
            SectorsPerCluster = spc,
            ReservedSectors = reserved,
            FatCount = 2,
            FatSectors = fatSectors,
            RootEntries = rootEntries,
            TotalSectors = total,
            RootCluster = is32 ? 2u : 0,
            FsInfoSector = is32 ? 1 : 0,
            BackupSector = is32 ? 6 : 0,
        };
    }

    private static void Check(FatOptions o)
    {
        if (o.SectorSize is not (512 or 4096)) throw Refuse($"FAT sectors of {o.SectorSize} bytes are not supported; use 512 or 4096");
        if (o.Size <= 0 || o.Size % o.SectorSize != 0) throw Refuse($"A FAT file system of {o.Size} bytes is not made of whole sectors of {o.SectorSize}");
        if (o.Size / o.SectorSize > uint.MaxValue) throw new ImageException(ImageErrorKind.TooLarge, $"A FAT file system of {o.Size} bytes has more than the 4294967295 sectors FAT can count.");
        if (o.ClusterSize != 0 && (o.ClusterSize < o.SectorSize || o.ClusterSize > 65536 || !int.IsPow2(o.ClusterSize) || o.ClusterSize / o.SectorSize > 128))
            throw Refuse($"FAT clusters of {o.ClusterSize} bytes are not supported; use a power of two from {o.SectorSize} to 65536");
        if (o.Label.Length > 11 || o.Label.StartsWith(' ') || o.Label.Any(c => c is < ' ' or > '~' || "\"*+,./:;<=>?[\\]|".Contains(c)))
            throw Refuse($"'{o.Label}' cannot be a FAT label: at most 11 ASCII characters without punctuation such as . / : * ?");
    }

    private static ImageException OutOfRange(FatOptions o)
    {
        var sizes = (o.Kind, o.ClusterSize) switch
        {
            (_, not 0) => $"that many clusters of {o.ClusterSize} bytes",
            (FatKind.Fat12, _) => "sizes up to about 255 MiB",
            (FatKind.Fat16, _) => "sizes from about 2.1 MiB to 4 GiB",
            _ => o.SectorSize == 512 ? "sizes from about 33 MiB to 2 TiB" : "sizes from about 258 MiB to 16 TiB",
        };
        var name = $"FAT{(int)o.Kind}";
        return new ImageException(ImageErrorKind.Unsupported, $"A {name} file system cannot have {o.Size} bytes ({new ByteSize(o.Size)}): {name} is for {sizes}. Choose another size or kind.");
    }

    private static ImageException Refuse(string what) => new(ImageErrorKind.Unsupported, what + ".");
}
