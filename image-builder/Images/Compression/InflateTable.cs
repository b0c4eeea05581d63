namespace OsBuild.Images.Compression;

/// <summary>A canonical Huffman code of RFC 1951 as lookup tables: one step for codes up to <see cref="_bits"/> bits, two for longer ones.
/// An entry holds: bits 0-7 code bits to take, 8-11 extra bits that follow, 12-15 flags, 16-31 value.</summary>
internal sealed class InflateTable(int bits, int symbols)
{
    public const uint Literal = 1 << 12, SubTable = 1 << 13, EndOfBlock = 1 << 14, Invalid = 1 << 15;
    public const int LongestCode = 15;

    private readonly int _bits = bits;

    /// <summary>The tables: the first has 2^bits entries, sub-tables follow.</summary>
    public uint[] Entries { get; } = new uint[(1 << bits) + (symbols << (LongestCode - bits))];

    /// <summary>Builds the tables from code lengths; false when the lengths are no sound code.</summary>
    /// <param name="lengths">Code length of each symbol; 0 means the symbol is not used.</param>
    /// <param name="meaning">Entry bits 8 and up of each symbol; a symbol without one is invalid.</param>
    /// <param name="mayBeIncomplete">True where a single code of one bit may stand alone (RFC 1951 §3.2.7, and zlib).</param>
    public bool Build(ReadOnlySpan<byte> lengths, ReadOnlySpan<uint> meaning, bool mayBeIncomplete)
    {
        Span<int> count = stackalloc int[LongestCode + 1];
        count.Clear();
        foreach (var length in lengths) count[length]++;
        count[0] = 0;
        var longest = LongestCode;
        while (longest > 0 && count[longest] == 0) longest--;
        var left = 1;
        for (var length = 1; length <= LongestCode; length++)
        {
            left = (left << 1) - count[length];
            if (left < 0) return false;
        }

        if (left > 0 && !(mayBeIncomplete && longest <= 1)) return false;
        Array.Fill(Entries, Invalid | 1, 0, 1 << _bits);
        Span<int> next = stackalloc int[LongestCode + 2];
        next[1] = 0;
        for (var length = 1; length <= LongestCode; length++) next[length + 1] = (next[length] + count[length]) << 1;
        Fill(lengths, meaning, next, longest);
        return true;
    }

    private void Fill(ReadOnlySpan<byte> lengths, ReadOnlySpan<uint> meaning, Span<int> next, int longest)
    {
        var free = 1 << _bits;
        var subBits = longest - _bits;
        for (var symbol = 0; symbol < lengths.Length; symbol++)
        {
            int length = lengths[symbol];
            if (length == 0) continue;
            var code = Reverse(next[length]++, length);
            var entry = symbol < meaning.Length ? meaning[symbol] : Invalid;
            if (length <= _bits)
            {
                for (var i = code; i < 1 << _bits; i += 1 << length) Entries[i] = entry | (uint)length;
                continue;
            }

            ref var first = ref Entries[code & ((1 << _bits) - 1)];
            if ((first & SubTable) == 0)
            {
                first = SubTable | (uint)subBits << 8 | (uint)free << 16 | (uint)_bits;
                free += 1 << subBits;
            }

            var start = (int)(first >> 16);
            for (var i = code >> _bits; i < 1 << subBits; i += 1 << (length - _bits)) Entries[start + i] = entry | (uint)(length - _bits);
        }
    }

    private static int Reverse(int code, int length)
    {
        var reversed = 0;
        for (var i = 0; i < length; i++) reversed |= ((code >> i) & 1) << (length - 1 - i);
        return reversed;
    }
}
