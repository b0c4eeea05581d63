namespace OsBuild.Images.Copying;

/// <summary>What a piece of the image is.</summary>
internal enum ExtentKind : byte
{
    /// <summary>Bytes that must be written.</summary>
    Data,

    /// <summary>Zeros: the medium must read as zero here, whether written or not.</summary>
    Zero,

    /// <summary>The block map says that nobody needs these bytes; the image has zeros here.</summary>
    Unmapped,
}

/// <summary>A piece of the image, within one chunk.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Whole sectors.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Digest">XXH64 of data.</param>
internal readonly record struct Extent(long Offset, int Length, ExtentKind Kind, ulong Digest)
{
    public long End => Offset + Length;
}

/// <summary>Cuts chunks into extents. Pure: the same bytes and map give the same extents.</summary>
internal static class ExtentScan
{
    /// <summary>Everything is looked at in blocks of this size.</summary>
    public const int Block = 4096;

    /// <summary>A shorter run of zeros between data is written: a second request costs a card more than the bytes do.</summary>
    public const int ShortestZeroRun = 64 << 10;

    /// <summary>The same for runs that the map leaves out.</summary>
    public const int ShortestUnmappedRun = 16 << 10;

    /// <summary>Adds the extents of a chunk. The chunk's last bytes are already padded with zeros to whole sectors.</summary>
    public static void Cut(ReadOnlySpan<byte> chunk, long offset, MapCursor? map, bool findZeros, List<Extent> to)
    {
        var first = to.Count;
        for (var at = 0; at < chunk.Length;)
        {
            var kind = KindOf(chunk, at, offset, map, findZeros);
            var end = at;
            do end += Math.Min(Block, chunk.Length - end);
            while (end < chunk.Length && KindOf(chunk, end, offset, map, findZeros) == kind);
            Add(to, first, new Extent(offset + at, end - at, kind, 0), end == chunk.Length);
            at = end;
        }

        for (var i = first; i < to.Count; i++)
            if (to[i].Kind == ExtentKind.Data)
                to[i] = to[i] with { Digest = XxHash64.Hash(chunk.Slice((int)(to[i].Offset - offset), to[i].Length)) };
    }

    private static void Add(List<Extent> to, int first, Extent extent, bool last)
    {
        var isFirst = to.Count == first;
        var shortest = extent.Kind == ExtentKind.Zero ? ShortestZeroRun : ShortestUnmappedRun;
        if (extent.Kind != ExtentKind.Data && extent.Length < shortest && !isFirst && !last) extent = extent with { Kind = ExtentKind.Data };
        if (!isFirst && to[^1].Kind == extent.Kind) to[^1] = to[^1] with { Length = to[^1].Length + extent.Length };
        else to.Add(extent);
    }

    private static ExtentKind KindOf(ReadOnlySpan<byte> chunk, int at, long offset, MapCursor? map, bool findZeros)
    {
        var block = chunk.Slice(at, Math.Min(Block, chunk.Length - at));
        if (map is not null) return map.Touches(offset + at, block.Length) || !IsZero(block) ? ExtentKind.Data : ExtentKind.Unmapped;
        return findZeros && IsZero(block) ? ExtentKind.Zero : ExtentKind.Data;
    }

    public static bool IsZero(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyExcept((byte)0) < 0;
}
