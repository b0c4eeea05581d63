namespace OsBuild.Images.Compression;

/// <summary>How memory is shared out among the threads of a <see cref="ParallelReader"/>. While one thread's piece is read, the others are 1/n, 2/n ...
/// of theirs ahead; with less room than that they would wait for it.</summary>
/// <param name="Threads">How many; 1 when several do not pay.</param>
/// <param name="Ahead">Bytes for what is decoded ahead.</param>
internal readonly record struct ParallelShare(int Threads, long Ahead)
{
    /// <summary>Bytes that a decoder has beside its dictionary: input, chunk, model.</summary>
    private const long Beside = 1 << 19;

    private const long LeastAhead = 8 * ParallelReader.SegmentSize;

    private static readonly ParallelShare One = new(1, 0);

    /// <summary>For decoders with a dictionary of their own, and one room for what all of them have decoded ahead.</summary>
    /// <param name="threads">At most so many.</param>
    /// <param name="memory">Bytes for everything.</param>
    /// <param name="dictionary">Bytes of the largest dictionary.</param>
    /// <param name="piece">Bytes of the largest piece, decoded.</param>
    public static ParallelShare Of(int threads, long memory, long dictionary, long piece)
    {
        while (threads > 2 && Left(threads) < piece / 2 * (threads - 1)) threads--;
        return threads > 1 && Left(threads) >= LeastAhead ? new ParallelShare(threads, Left(threads)) : One;

        long Left(int n) => memory - n * (dictionary + Beside);
    }

    /// <summary>For decoders whose window is the dictionary and the room ahead in one; <see cref="Ahead"/> is each one's window.</summary>
    public static ParallelShare OfWindows(int threads, long memory, long dictionary, long piece)
    {
        while (threads > 1 && Window(threads) < Needed(threads)) threads--;
        return threads > 1 ? new ParallelShare(threads, Window(threads)) : One;

        long Window(int n) => Math.Min(memory / n - Beside, Math.Max(piece, LeastAhead));
        // Two threads with less room still do better than one.
        long Needed(int n) => Math.Max(Math.Max(dictionary, LeastAhead), n > 2 ? piece / n * (n - 1) : 0);
    }
}
