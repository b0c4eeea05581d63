using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace OsBuild.Images.Compression;

/// <summary>Finds earlier places that look like the current one: hash chains over four bytes, and the last places of three and of two.</summary>
internal sealed class LzmaMatchFinder(int largestBlock, int depth, int nice)
{
    private const int Bits4 = 17, Bits3 = 15;

    // Entries are places + 1; 0 is none.
    private readonly int[] _last4 = new int[1 << Bits4], _last3 = new int[1 << Bits3], _last2 = new int[1 << 16];
    private readonly int[] _chain = new int[largestBlock];
    private readonly int[] _lengths = new int[LzmaModel.MaxMatch + 1], _distances = new int[LzmaModel.MaxMatch + 1];
    private ReadOnlyMemory<byte> _block;

    /// <summary>Matches found by <see cref="Find"/>, each longer than the one before.</summary>
    public int Count { get; private set; }

    public int Length(int index) => _lengths[index];

    /// <summary>How far back, less one.</summary>
    public int Distance(int index) => _distances[index];

    /// <summary>Begins a new block with no history.</summary>
    public void Begin(ReadOnlyMemory<byte> block)
    {
        _block = block;
        Array.Clear(_last4);
        Array.Clear(_last3);
        Array.Clear(_last2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Hash4(uint word) => word * 2654435761u >> (32 - Bits4);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Hash3(uint word) => (word << 8) * 2654435761u >> (32 - Bits3);

    /// <summary>Enters a place into the tables without looking for matches.</summary>
    public void Insert(int at)
    {
        var block = _block.Span;
        if (block.Length - at < 4) return;
        var word = BinaryPrimitives.ReadUInt32LittleEndian(block[at..]);
        ref var last = ref _last4[Hash4(word)];
        _chain[at] = last;
        last = _last3[Hash3(word)] = _last2[(ushort)word] = at + 1;
    }

    /// <summary>Finds the matches of a place and enters it into the tables.</summary>
    public void Find(int at)
    {
        Count = 0;
        var block = _block.Span;
        var limit = Math.Min(block.Length - at, LzmaModel.MaxMatch);
        if (limit < 4) return;
        var word = BinaryPrimitives.ReadUInt32LittleEndian(block[at..]);
        ref var last4 = ref _last4[Hash4(word)];
        ref var last3 = ref _last3[Hash3(word)];
        ref var last2 = ref _last2[(ushort)word];
        var best = LzmaModel.MinMatch - 1;
        if (last2 > 0) best = Take(block, at, last2 - 1, limit, best);
        if (last3 > 0 && last3 != last2) best = Take(block, at, last3 - 1, limit, best);
        var candidate = last4;
        _chain[at] = candidate;
        last4 = last3 = last2 = at + 1;
        for (var tries = depth; candidate > 0 && tries > 0 && best < Math.Min(nice, limit); tries--)
        {
            // A better match must agree where the best one ended.
            if (block[candidate - 1 + best] == block[at + best]) best = Take(block, at, candidate - 1, limit, best);
            candidate = _chain[candidate - 1];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Take(ReadOnlySpan<byte> block, int at, int candidate, int limit, int best)
    {
        var length = CommonLength(block, candidate, at, limit);
        if (length <= best) return best;
        _lengths[Count] = length;
        _distances[Count++] = at - candidate - 1;
        return length;
    }

    /// <summary>How many bytes are the same at two places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CommonLength(ReadOnlySpan<byte> block, int a, int b, int limit)
    {
        var length = 0;
        while (length + 8 <= limit)
        {
            var difference = BinaryPrimitives.ReadUInt64LittleEndian(block[(a + length)..]) ^ BinaryPrimitives.ReadUInt64LittleEndian(block[(b + length)..]);
            if (difference != 0) return length + (BitOperations.TrailingZeroCount(difference) >> 3);
            length += 8;
        }

        while (length < limit && block[a + length] == block[b + length]) length++;
        return length;
    }
}
