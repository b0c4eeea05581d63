namespace OsBuild.Images.Compression;

/// <summary>How memory is shared out among the threads of a <see cref="ParallelReader"/>: a decoder for each, and segments for what is decoded ahead.</summary>
internal readonly record struct ParallelShare(int Threads, int Segments)
{
    /// <summary>Buffers that a decoder has beside its dictionary: input, chunk, model.</summary>
    private const long Beside = 1 << 19;

    private const int FewestSegments = 8;

    /// <summary>Shares out.</summary>
    /// <param name="threads">At most so many.</param>
    /// <param name="memory">Bytes for everything.</param>
    /// <param name="dictionary">Bytes of the largest dictionary.</param>
    /// <param name="piece">Bytes of the largest piece, decoded.</param>
    public static ParallelShare Of(int threads, long memory, long dictionary, long piece)
    {
        while (threads > 2 && Left(threads) < Ahead(threads)) threads--;
        var segments = Left(threads) / ParallelReader.SegmentSize;
        return threads > 1 && segments >= FewestSegments ? new ParallelShare(threads, (int)Math.Min(segments, int.MaxValue)) : new ParallelShare(1, 0);

        long Left(int n) => memory - n * (dictionary + Beside);
        // While one thread gives its piece away, the others are 1/n, 2/n ... of theirs ahead. With less room they would wait for it.
        long Ahead(int n) => piece / 2 * (n - 1);
    }
}
