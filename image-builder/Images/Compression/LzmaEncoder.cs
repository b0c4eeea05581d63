using static OsBuild.Images.Compression.LzmaModel;

namespace OsBuild.Images.Compression;

/// <summary>Writes LZMA symbols: literals, matches and repeated matches, with the model's probabilities.</summary>
internal sealed class LzmaEncoder(byte[] output)
{
    private const int Lc = 3, PosMask = 3;

    /// <summary>The properties byte: lc = 3, lp = 0, pb = 2.</summary>
    public const byte Properties = (2 * 5 + 0) * 9 + Lc;

    private readonly ushort[] _probs = new ushort[Size(Lc, 0)];
    private readonly uint[] _reps = new uint[4];
    private int _state;

    public RangeEncoder Range { get; } = new(output);

    /// <summary>The last four distances, less one, the latest first.</summary>
    public ReadOnlySpan<uint> Reps => _reps;

    /// <summary>Forgets probabilities and distances.</summary>
    public void ResetState()
    {
        Array.Fill(_probs, (ushort)(BitModelTotal / 2));
        Array.Clear(_reps);
        _state = 0;
    }

    /// <summary>Writes the byte at a place as it is.</summary>
    public void Literal(ReadOnlySpan<byte> block, int at)
    {
        Range.Bit(ref _probs[IsMatch + (_state << 4) + (at & PosMask)], 0);
        var previous = at > 0 ? block[at - 1] : 0;
        var tree = _probs.AsSpan(Literals + (previous >> (8 - Lc)) * LiteralSize, LiteralSize);
        var symbol = 1;
        int value = block[at];
        if (_state < 7)
        {
            for (var i = 7; i >= 0; i--)
            {
                var bit = value >> i & 1;
                Range.Bit(ref tree[symbol], bit);
                symbol = symbol << 1 | bit;
            }
        }
        else
        {
            int matched = block[at - (int)_reps[0] - 1], offset = 0x100;
            for (var i = 7; i >= 0; i--)
            {
                matched <<= 1;
                var guide = matched & offset;
                var bit = value >> i & 1;
                Range.Bit(ref tree[offset + guide + symbol], bit);
                symbol = symbol << 1 | bit;
                offset &= bit != 0 ? guide : ~guide;
            }
        }

        _state = AfterLiteral(_state);
    }

    /// <summary>Writes a match with a new distance (less one).</summary>
    public void Match(int at, uint distance, int length)
    {
        var posState = at & PosMask;
        Range.Bit(ref _probs[IsMatch + (_state << 4) + posState], 1);
        Range.Bit(ref _probs[IsRep + _state], 0);
        Length(MatchLength, length, posState);
        Distance(distance, length);
        (_reps[3], _reps[2], _reps[1], _reps[0]) = (_reps[2], _reps[1], _reps[0], distance);
        _state = AfterMatch(_state);
    }

    /// <summary>Writes a match with one of the last four distances.</summary>
    public void Rep(int at, int index, int length)
    {
        var posState = at & PosMask;
        Range.Bit(ref _probs[IsMatch + (_state << 4) + posState], 1);
        Range.Bit(ref _probs[IsRep + _state], 1);
        if (index == 0)
        {
            Range.Bit(ref _probs[IsRepG0 + _state], 0);
            Range.Bit(ref _probs[IsRep0Long + (_state << 4) + posState], 1);
        }
        else
        {
            Range.Bit(ref _probs[IsRepG0 + _state], 1);
            Range.Bit(ref _probs[IsRepG1 + _state], index == 1 ? 0 : 1);
            if (index > 1) Range.Bit(ref _probs[IsRepG2 + _state], index - 2);
            var distance = _reps[index];
            for (var i = index; i > 0; i--) _reps[i] = _reps[i - 1];
            _reps[0] = distance;
        }

        Length(RepLength, length, posState);
        _state = AfterRep(_state);
    }

    private void Length(int coder, int length, int posState)
    {
        length -= MinMatch;
        if (length < 8)
        {
            Range.Bit(ref _probs[coder + LengthChoice], 0);
            Range.Tree(_probs.AsSpan(coder + LengthLow + (posState << 3), 8), 3, length);
            return;
        }

        Range.Bit(ref _probs[coder + LengthChoice], 1);
        if (length < 16)
        {
            Range.Bit(ref _probs[coder + LengthChoice2], 0);
            Range.Tree(_probs.AsSpan(coder + LengthMid + (posState << 3), 8), 3, length - 8);
            return;
        }

        Range.Bit(ref _probs[coder + LengthChoice2], 1);
        Range.Tree(_probs.AsSpan(coder + LengthHigh, 256), 8, length - 16);
    }

    private void Distance(uint distance, int length)
    {
        var slot = Slot(distance);
        Range.Tree(_probs.AsSpan(PosSlot + (Math.Min(length - MinMatch, LenToPosStates - 1) << 6), 64), 6, slot);
        if (slot < StartPosModel) return;
        var bits = (slot >> 1) - 1;
        var top = (2u | (uint)slot & 1) << bits;
        if (slot < EndPosModel)
        {
            Range.ReverseTree(_probs.AsSpan(PosSpecial + (int)top - slot), bits, (int)(distance - top));
            return;
        }

        Range.Direct((distance - top) >> AlignBits, bits - AlignBits);
        Range.ReverseTree(_probs.AsSpan(Align, 1 << AlignBits), AlignBits, (int)distance & ((1 << AlignBits) - 1));
    }

    private static int Slot(uint distance)
    {
        if (distance < StartPosModel) return (int)distance;
        var top = System.Numerics.BitOperations.Log2(distance);
        return 2 * top + (int)(distance >> (top - 1) & 1);
    }
}
