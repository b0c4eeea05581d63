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
    /// <summary>Size in bytes; a multiple of 512.</summary>
    public required long Size { get; init; }

    /// <summary>Width of the table.</summary>
    public FatKind Kind { get; init; } = FatKind.Fat32;

    /// <summary>Volume label, at most 11 characters of the OEM set.</summary>
    public string Label { get; init; } = "";

    /// <summary>Volume serial number.</summary>
    public required uint VolumeId { get; init; }

    /// <summary>Time stamp of everything in it, seconds since 1970 (FAT holds 1980..2107, in steps of 2 s).</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Sectors before the partition (BPB_HiddSec).</summary>
    public uint HiddenSectors { get; init; }
}

/// <summary>Where everything lies in a FAT file system of a given size. Pure.</summary>
public sealed record FatLayout
{
    /// <summary>What was asked for.</summary>
    public required FatOptions Options { get; init; }

    /// <summary>Works out the layout (Microsoft FAT specification 1.03).</summary>
    /// <exception cref="ImageException">The size does not fit the kind; the message names the range.</exception>
    public static FatLayout For(FatOptions options) => throw new NotImplementedException();
}
