namespace OsBuild.Images.Bmap;

/// <summary>A run of mapped blocks.</summary>
/// <param name="First">First block.</param>
/// <param name="Last">Last block, included.</param>
/// <param name="Sha256">Digest of the run's bytes in lower-case hex, or null.</param>
public readonly record struct BlockRange(long First, long Last, string? Sha256)
{
    /// <summary>Number of blocks.</summary>
    public long Count => Last - First + 1;
}

/// <summary>Which blocks of an image hold data (the bmap format of bmaptool, 1.2 to 2.0).</summary>
public sealed record BlockMap
{
    /// <summary>Size of the image in bytes.</summary>
    public required long ImageSize { get; init; }

    /// <summary>Block size in bytes.</summary>
    public int BlockSize { get; init; } = 4096;

    /// <summary>Mapped runs in order.</summary>
    public required IReadOnlyList<BlockRange> Ranges { get; init; }

    /// <summary>Number of blocks of the image; the last one may be cut short by its end.</summary>
    public long BlockCount => (ImageSize + BlockSize - 1) / BlockSize;

    /// <summary>Number of mapped blocks.</summary>
    public long MappedCount => Ranges.Sum(r => r.Count);

    /// <summary>Bytes of the image that are mapped.</summary>
    public long MappedBytes => Ranges.Sum(r => Math.Min((r.Last + 1) * BlockSize, ImageSize) - (r.First * BlockSize));

    /// <summary>Reads a .bmap file, checking its own checksum.</summary>
    /// <exception cref="ImageException">The file is corrupt or of an unknown version.</exception>
    public static BlockMap ReadXml(Stream xml) => BmapXml.Read(xml);

    /// <summary>Writes a .bmap 2.0 file.</summary>
    public void WriteXml(Stream xml) => BmapXml.Write(this, xml);
}
