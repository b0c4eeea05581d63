using static OsBuild.Images.Compression.LzmaModel;

namespace OsBuild.Images.Compression;

/// <summary>Decides what the next symbol is: looks one place ahead, prefers repeated and near distances, as LZMA's fast mode does.</summary>
internal sealed class LzmaParser(LzmaMatchFinder finder, int nice)
{
    private ReadOnlyMemory<byte> _block;
    private int _found = -1;

    /// <summary>The next symbol: a length of 1 is a literal; a distance below 0 means a repeated one, ~distance is which.</summary>
    public readonly record struct Choice(int Length, int Distance);

    private static readonly Choice Literal = new(1, 0);

    public void Begin(ReadOnlyMemory<byte> block)
    {
        _block = block;
        _found = -1;
        finder.Begin(block);
    }

    /// <summary>Chooses the symbol at a place. Places must be asked for in the order in which the symbols cover the block.</summary>
    public Choice Next(int at, ReadOnlySpan<uint> reps)
    {
        if (_found != at) finder.Find(at);
        _found = at;
        var block = _block.Span;
        var limit = Math.Min(block.Length - at, MaxMatch);
        if (limit < 2) return Literal;
        var (repLength, rep) = BestRep(block, at, limit, reps);
        if (repLength >= nice) return Take(at, repLength, ~rep);
        var (length, distance) = BestMatch();
        if (length >= nice) return Take(at, length, distance);
        if (repLength >= 2
            && (repLength + 1 >= length || repLength + 2 >= length && distance >= 1 << 9 || repLength + 3 >= length && distance >= 1 << 15))
            return Take(at, repLength, ~rep);
        if (length < 2 || limit <= 2) return Literal;
        return NextIsBetter(block, at, length, distance, reps) ? Literal : Take(at, length, distance);
    }

    private static (int Length, int Index) BestRep(ReadOnlySpan<byte> block, int at, int limit, ReadOnlySpan<uint> reps)
    {
        int best = 0, index = 0;
        for (var i = 0; i < reps.Length; i++)
        {
            var from = at - (int)reps[i] - 1;
            if (from < 0 || block[from] != block[at] || block[from + 1] != block[at + 1]) continue;
            var length = LzmaMatchFinder.CommonLength(block, from, at, limit);
            if (length > best) (best, index) = (length, i);
        }

        return (best, index);
    }

    private static bool IsMuchFarther(int far, int near) => far >> 7 > near;

    /// <summary>The longest match, or one that is a byte shorter and much nearer.</summary>
    private (int Length, int Distance) BestMatch()
    {
        var i = finder.Count - 1;
        if (i < 0) return (1, 0);
        while (i > 0 && finder.Length(i) == finder.Length(i - 1) + 1 && IsMuchFarther(finder.Distance(i), finder.Distance(i - 1))) i--;
        return finder.Length(i) == 2 && finder.Distance(i) >= 0x80 ? (1, 0) : (finder.Length(i), finder.Distance(i));
    }

    private bool NextIsBetter(ReadOnlySpan<byte> block, int at, int length, int distance, ReadOnlySpan<uint> reps)
    {
        finder.Find(at + 1);
        _found = at + 1;
        var (next, nextDistance) = BestMatch();
        if (next >= 2
            && (next >= length && nextDistance < distance
                || next == length + 1 && !IsMuchFarther(nextDistance, distance)
                || next > length + 1
                || next + 1 >= length && length >= 3 && IsMuchFarther(distance, nextDistance)))
            return true;
        var enough = Math.Max(2, length - 1);
        var limit = Math.Min(block.Length - at - 1, enough);
        foreach (var rep in reps)
            if (at - (int)rep >= 0 && LzmaMatchFinder.CommonLength(block, at - (int)rep, at + 1, limit) >= enough)
                return true;
        return false;
    }

    private Choice Take(int at, int length, int distance)
    {
        // In a long run every place looks the same: its ends are enough.
        var skipFrom = length >= 64 && (distance == 0 || distance == ~0) ? at + 16 : int.MaxValue;
        for (var i = Math.Max(at, _found) + 1; i < at + length; i++)
        {
            if (i == skipFrom) i = at + length - 16;
            finder.Insert(i);
        }

        return new Choice(length, distance);
    }
}
