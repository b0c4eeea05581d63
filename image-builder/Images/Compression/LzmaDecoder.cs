using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static OsBuild.Images.Compression.LzmaModel;

namespace OsBuild.Images.Compression;

/// <summary>Decodes LZMA symbols into a circular dictionary. Written for speed: the range coder lives in locals, literals are decoded
/// without branches, and references go without bounds checks where the model itself bounds the index.</summary>
internal sealed class LzmaDecoder
{
    /// <summary>Zeros that must lie behind a chunk: a torn symbol reads into them before it is noticed.</summary>
    public const int Slack = 32;

    /// <summary>The largest dictionary that is decoded.</summary>
    public const int LargestDictionary = 1 << 30;

    private const int FirstSize = 1 << 16;
    private const int UsualSize = 16 << 20;

    // Fast copies overwrite so much behind them; the window is that much larger than the dictionary, so that nothing is lost.
    private const int MatchSlack = 16;

    private readonly string _format;
    private readonly int _dictionarySize;
    private readonly int _windowSize;
    private byte[] _window;
    private int _at;
    private bool _wrapped;
    private ushort[] _probs = [];
    private int _lc, _lpMask, _pbMask;
    private int _state;
    private uint _rep0, _rep1, _rep2, _rep3;
    private byte[] _in = [];
    private int _inAt, _inEnd;
    private uint _range, _code;
    private int _copyLeft;
    private uint _processed;

    /// <param name="dictionarySize">How far references reach.</param>
    /// <param name="windowSize">Decoded bytes that stay where they are until as many more were decoded; no less than the dictionary.</param>
    /// <param name="format">The format's name, for errors.</param>
    public LzmaDecoder(long dictionarySize, int windowSize, string format)
    {
        _format = format;
        if (dictionarySize > LargestDictionary)
            throw Damage.Unsupported(format, $"a dictionary of {new ByteSize(dictionarySize)}");
        _dictionarySize = (int)dictionarySize;
        _windowSize = Math.Max(_dictionarySize, windowSize);
        _window = new byte[Math.Min(_windowSize, FirstSize) + MatchSlack];
    }

    /// <summary>Forgets what was decoded.</summary>
    public void ResetDictionary()
    {
        _at = 0;
        _wrapped = false;
        _processed = 0;
    }

    /// <summary>Sets lc, lp and pb and resets the state; false when they are impossible.</summary>
    public bool TrySetProperties(byte properties)
    {
        if (properties >= 9 * 5 * 5) return false;
        int lc = properties % 9, lp = properties / 9 % 5, pb = properties / 45;
        if (lc + lp > 4) return false;
        (_lc, _lpMask, _pbMask) = (lc, (1 << lp) - 1, (1 << pb) - 1);
        if (_probs.Length < Size(lc, lp)) _probs = new ushort[Size(lc, lp)];
        ResetState();
        return true;
    }

    /// <summary>Resets the probabilities and the last distances.</summary>
    public void ResetState()
    {
        _state = 0;
        _rep0 = _rep1 = _rep2 = _rep3 = 0;
        Array.Fill(_probs, (ushort)(BitModelTotal / 2));
    }

    /// <summary>Begins a chunk of coded bytes, which must be followed by <see cref="Slack"/> more.</summary>
    public void BeginChunk(byte[] chunk, int length)
    {
        _in = chunk;
        _inEnd = length;
        chunk.AsSpan(length, Slack).Clear();
        if (length < 5 || chunk[0] != 0) throw Damage.Corrupt(_format, "a chunk does not begin as it must");
        _range = 0xFFFFFFFF;
        _code = (uint)(chunk[1] << 24 | chunk[2] << 16 | chunk[3] << 8 | chunk[4]);
        _inAt = 5;
        _copyLeft = 0;
    }

    /// <summary>Checks that the chunk was used up exactly.</summary>
    public void EndChunk()
    {
        if (_range < TopValue)
        {
            _range <<= 8;
            _code = _code << 8 | _in[_inAt++];
        }

        if (_inAt != _inEnd || _code != 0 || _copyLeft > 0) throw Damage.Corrupt(_format, "a chunk has another length than it tells");
    }

    /// <summary>Takes bytes as they are; gives those that fit before the dictionary wraps.</summary>
    public ArraySegment<byte> Store(ReadOnlySpan<byte> bytes)
    {
        var some = Math.Min(MakeRoom(bytes.Length), bytes.Length);
        bytes[..some].CopyTo(_window.AsSpan(_at));
        return Advance(_at + some);
    }

    /// <summary>Decodes at most so many bytes; fewer where the dictionary wraps.</summary>
    public ArraySegment<byte> Decode(int atMost)
    {
        // Making room may move _at to the beginning.
        var room = Math.Min(MakeRoom(atMost), atMost);
        var to = _at;
        var limit = to + room;
        if (_copyLeft > 0)
        {
            var some = Math.Min(_copyLeft, limit - to);
            CopyWrapped(to, (int)_rep0, some);
            _copyLeft -= some;
            to += some;
        }

        if (to < limit) to = Run(to, limit);
        if (_inAt > _inEnd) throw Damage.Corrupt(_format, "a chunk is shorter than its content");
        return Advance(to);
    }

    private ArraySegment<byte> Advance(int to)
    {
        var fresh = new ArraySegment<byte>(_window, _at, to - _at);
        _processed += (uint)fresh.Count;
        _at = to;
        return fresh;
    }

    // The dictionary grows with what is decoded, so that a header cannot ask for memory that the data never needs.
    private int MakeRoom(int wanted)
    {
        if (_at == _window.Length)
        {
            if (_window.Length < _windowSize + MatchSlack)
            {
                GrowWindow(wanted);
            }
            else
            {
                _at = 0;
                _wrapped = true;
            }
        }

        return _window.Length - _at;
    }

    // Straight to a usual size: what smaller windows leave behind would cost as much memory as they do. Fresh pages cost nothing until used.
    private void GrowWindow(int wanted)
    {
        var size = Math.Max(Math.Max(_window.Length * 2L, UsualSize), _at + (long)wanted);
        var larger = GC.AllocateUninitializedArray<byte>((int)Math.Min(_windowSize + (long)MatchSlack, size));
        _window.AsSpan(0, _at).CopyTo(larger);
        _window = larger;
    }

    private ImageException BadDistance() => Damage.Corrupt(_format, "a distance reaches before the beginning");

    private int Run(int to, int limit)
    {
        ref var p = ref MemoryMarshal.GetArrayDataReference(_probs);
        ref var window = ref MemoryMarshal.GetArrayDataReference(_window);
        var rc = new RangeDecoder(ref MemoryMarshal.GetArrayDataReference(_in), _range, _code, _inAt);
        uint rep0 = _rep0, rep1 = _rep1, rep2 = _rep2, rep3 = _rep3;
        var state = _state;
        var position = (int)(_processed - (uint)_at);
        while (to < limit && rc.At <= _inEnd)
        {
            var posState = (position + to) & _pbMask;
            if (!rc.Bit(ref Unsafe.Add(ref p, IsMatch + (state << 4) + posState)))
            {
                var previous = to > 0 ? Unsafe.Add(ref window, to - 1) : _wrapped ? _window[^1] : 0;
                var context = (((position + to) & _lpMask) << _lc) + (previous >> (8 - _lc));
                ref var literal = ref Unsafe.Add(ref p, Literals + context * LiteralSize);
                var symbol = state < 7 ? Literal(ref rc, ref literal) : MatchedLiteral(ref rc, ref literal, Unsafe.Add(ref window, Source(to, rep0)));
                Unsafe.Add(ref window, to++) = (byte)symbol;
                state = AfterLiteral(state);
                continue;
            }

            int length;
            if (!rc.Bit(ref Unsafe.Add(ref p, IsRep + state)))
            {
                (rep3, rep2, rep1) = (rep2, rep1, rep0);
                state = AfterMatch(state);
                length = Length(ref rc, ref Unsafe.Add(ref p, MatchLength), posState);
                rep0 = Distance(ref rc, ref p, length);
            }
            else
            {
                length = 0;
                if (!rc.Bit(ref Unsafe.Add(ref p, IsRepG0 + state)))
                {
                    if (!rc.Bit(ref Unsafe.Add(ref p, IsRep0Long + (state << 4) + posState))) length = 1;
                }
                else if (!rc.Bit(ref Unsafe.Add(ref p, IsRepG1 + state)))
                {
                    (rep1, rep0) = (rep0, rep1);
                }
                else if (!rc.Bit(ref Unsafe.Add(ref p, IsRepG2 + state)))
                {
                    (rep2, rep1, rep0) = (rep1, rep0, rep2);
                }
                else
                {
                    (rep3, rep2, rep1, rep0) = (rep2, rep1, rep0, rep3);
                }

                state = length == 1 ? AfterShortRep(state) : AfterRep(state);
                if (length == 0) length = Length(ref rc, ref Unsafe.Add(ref p, RepLength), posState);
            }

            if (rep0 >= (uint)to && !(_wrapped && rep0 < _dictionarySize)) throw BadDistance();
            to = Copy(to, limit, (int)rep0, length);
        }

        (_range, _code, _inAt, _state) = (rc.Range, rc.Code, rc.At, state);
        (_rep0, _rep1, _rep2, _rep3) = (rep0, rep1, rep2, rep3);
        return to;
    }

    /// <summary>Where the byte lies that was decoded <paramref name="distance"/> + 1 bytes ago.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Source(int to, uint distance)
    {
        var from = to - (int)distance - 1;
        return from < 0 ? from + _window.Length : from;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Literal(ref RangeDecoder rc, ref ushort literal)
    {
        var symbol = 1;
        do rc.Step(ref literal, ref symbol);
        while (symbol < 0x100);
        return symbol;
    }

    // The matched byte guides the way down the tree for as long as its bits were right.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int MatchedLiteral(ref RangeDecoder rc, ref ushort literal, int matched)
    {
        int symbol = 1, offset = 0x100;
        do
        {
            matched <<= 1;
            var bit = matched & offset;
            var mask = rc.Step(ref Unsafe.Add(ref literal, offset + bit), ref symbol);
            offset &= bit ^ mask;
        }
        while (symbol < 0x100);
        return symbol;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Length(ref RangeDecoder rc, ref ushort coder, int posState)
    {
        if (!rc.Bit(ref Unsafe.Add(ref coder, LengthChoice)))
            return MinMatch + rc.Tree(ref Unsafe.Add(ref coder, LengthLow + (posState << 3)), 3);
        if (!rc.Bit(ref Unsafe.Add(ref coder, LengthChoice2)))
            return MinMatch + 8 + rc.Tree(ref Unsafe.Add(ref coder, LengthMid + (posState << 3)), 3);
        return MinMatch + 16 + rc.Tree(ref Unsafe.Add(ref coder, LengthHigh), 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Distance(ref RangeDecoder rc, ref ushort p, int length)
    {
        var slot = rc.Tree(ref Unsafe.Add(ref p, PosSlot + (Math.Min(length - MinMatch, LenToPosStates - 1) << 6)), 6);
        if (slot < StartPosModel) return (uint)slot;
        var bits = (slot >> 1) - 1;
        var top = 2u | (uint)(slot & 1);
        if (slot < EndPosModel) return (top << bits) + rc.ReverseTree(ref Unsafe.Add(ref p, PosSpecial + (int)(top << bits) - slot), bits);
        return (rc.Direct(top, bits - AlignBits) << AlignBits) + rc.ReverseTree(ref Unsafe.Add(ref p, Align), AlignBits);
    }

    private int Copy(int to, int limit, int distance, int length)
    {
        var from = to - distance - 1;
        if (from >= 0 && to + length + MatchSlack <= _window.Length && length <= limit - to)
        {
            MatchCopy.Copy(ref MemoryMarshal.GetArrayDataReference(_window), to, distance + 1, length);
            return to + length;
        }

        var some = Math.Min(length, limit - to);
        _copyLeft = length - some;
        CopyWrapped(to, distance, some);
        return to + some;
    }

    private void CopyWrapped(int to, int distance, int length)
    {
        var from = Source(to, (uint)distance);
        for (var i = 0; i < length; i++)
        {
            _window[to + i] = _window[from];
            if (++from == _window.Length) from = 0;
        }
    }
}
