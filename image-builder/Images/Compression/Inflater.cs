using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OsBuild.Images.Compression;

/// <summary>Decodes raw deflate data (RFC 1951). Ours and not the runtime's, because that one ends quietly on torn input and does not
/// tell where the deflate data ended, without which gzip members cannot be told from garbage.</summary>
internal sealed class Inflater(InputBuffer input, string format)
{
    private const int Window = 32768;
    private const int Room = 8 * Window;
    private const int LongestMatch = 258;

    // RFC 1951 §3.2.5, with the flags of InflateTable.
    private static readonly uint[] LiteralMeaning = MakeLiteralMeaning();
    private static readonly uint[] DistanceMeaning = MakeDistanceMeaning();
    private static readonly uint[] LengthCodeMeaning = [.. Enumerable.Range(0, 19).Select(symbol => (uint)symbol << 16)];
    private static ReadOnlySpan<byte> LengthCodeOrder => [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

    private readonly InflateTable _literals = new(11, 288);
    private readonly InflateTable _distances = new(9, 32);
    private readonly InflateTable _lengthCodes = new(7, 19);

    // Decoded bytes lie flat behind their history, so that a copy never wraps; the tail is slack for copies of whole words.
    private readonly byte[] _window = new byte[Window + Room + LongestMatch + 32];
    private int _oldest, _given, _decoded;
    private ulong _bits;
    private int _bitCount;
    private Stage _stage = Stage.BlockHeader;
    private bool _lastBlock;
    private int _storedLeft;

    private enum Stage { BlockHeader, Stored, Codes, Done }

    /// <summary>Starts a new deflate stream with an empty history.</summary>
    public void Reset()
    {
        _oldest = _given = _decoded = 0;
        _bits = 0;
        _bitCount = 0;
        _stage = Stage.BlockHeader;
        _lastBlock = false;
    }

    /// <summary>Gives the next decoded bytes; 0 at the end of the deflate stream, where the input stands behind its last byte.</summary>
    public int Read(Span<byte> to)
    {
        while (_given == _decoded)
        {
            if (_stage == Stage.Done) return 0;
            if (_decoded >= Window + Room) Slide();
            Step();
        }

        var some = Math.Min(to.Length, _decoded - _given);
        _window.AsSpan(_given, some).CopyTo(to);
        _given += some;
        return some;
    }

    private void Slide()
    {
        _window.AsSpan(_decoded - Window, Window).CopyTo(_window);
        _oldest = 0;
        _given = _decoded = Window;
    }

    private void Step()
    {
        switch (_stage)
        {
            case Stage.BlockHeader when _lastBlock:
                // The bits left in the last byte are padding; whole bytes go back.
                GiveBack();
                _stage = Stage.Done;
                break;
            case Stage.BlockHeader:
                ReadBlockHeader();
                break;
            case Stage.Stored:
                CopyStored();
                break;
            default:
                DecodeCodes();
                break;
        }
    }

    private void ReadBlockHeader()
    {
        _lastBlock = Take(1) != 0;
        switch (Take(2))
        {
            case 0:
                Take(_bitCount & 7);
                var length = Take(16);
                if (Take(16) != (length ^ 0xFFFF)) throw Damage.Corrupt(format, "a stored block has a wrong length");
                GiveBack();
                _storedLeft = length;
                _stage = Stage.Stored;
                break;
            case 1:
                BuildFixedCodes();
                _stage = Stage.Codes;
                break;
            case 2:
                ReadCodes();
                _stage = Stage.Codes;
                break;
            default:
                throw Damage.Corrupt(format, "a block of an unknown type");
        }
    }

    private void CopyStored()
    {
        if (_storedLeft == 0)
        {
            _stage = Stage.BlockHeader;
            return;
        }

        if (input.AtEnd) throw Damage.Torn(format);
        var some = Math.Min(Math.Min(_storedLeft, Window + Room - _decoded), input.End - input.Start);
        input.Take(_window.AsSpan(_decoded, some), format);
        _decoded += some;
        _storedLeft -= some;
    }

    private void BuildFixedCodes()
    {
        Span<byte> lengths = stackalloc byte[288];
        lengths[..144].Fill(8);
        lengths[144..256].Fill(9);
        lengths[256..280].Fill(7);
        lengths[280..].Fill(8);
        _literals.Build(lengths, LiteralMeaning, false);
        Span<byte> distances = stackalloc byte[32];
        distances.Fill(5);
        _distances.Build(distances, DistanceMeaning, false);
    }

    private void ReadCodes()
    {
        int literals = Take(5) + 257, distances = Take(5) + 1, codes = Take(4) + 4;
        Span<byte> lengths = stackalloc byte[288 + 32];
        lengths.Clear();
        for (var i = 0; i < codes; i++) lengths[LengthCodeOrder[i]] = (byte)Take(3);
        if (literals > 286 || distances > 30 || !_lengthCodes.Build(lengths[..19], LengthCodeMeaning, false)) throw BadCode();
        lengths.Clear();
        for (var i = 0; i < literals + distances;)
        {
            var symbol = TakeLengthCode();
            if (symbol < 16)
            {
                lengths[i++] = (byte)symbol;
                continue;
            }

            if (symbol == 16 && i == 0) throw BadCode();
            var repeated = symbol == 16 ? lengths[i - 1] : (byte)0;
            var times = symbol switch { 16 => 3 + Take(2), 17 => 3 + Take(3), _ => 11 + Take(7) };
            if (i + times > literals + distances) throw BadCode();
            lengths.Slice(i, times).Fill(repeated);
            i += times;
        }

        if (lengths[256] == 0
            || !_literals.Build(lengths[..literals], LiteralMeaning, true)
            || !_distances.Build(lengths.Slice(literals, distances), DistanceMeaning, true)) throw BadCode();
    }

    private int TakeLengthCode()
    {
        while (true)
        {
            var entry = _lengthCodes.Entries[_bits & 127];
            if ((int)(entry & 0xFF) <= _bitCount)
            {
                if ((entry & InflateTable.Invalid) != 0) throw BadCode();
                Take((int)(entry & 0xFF));
                return (int)(entry >> 16);
            }

            AddByte();
        }
    }

    private ImageException BadCode() => Damage.Corrupt(format, "an impossible Huffman code");

    private int Take(int count)
    {
        while (_bitCount < count) AddByte();
        var value = (int)(_bits & ((1u << count) - 1));
        _bits >>= count;
        _bitCount -= count;
        return value;
    }

    private void AddByte()
    {
        if (input.AtEnd) throw Damage.Torn(format);
        _bits |= (ulong)input.Bytes[input.Start++] << _bitCount;
        _bitCount += 8;
    }

    private void GiveBack()
    {
        input.Start -= _bitCount >> 3;
        _bitCount &= 7;
        _bits &= (1u << _bitCount) - 1;
    }

    /// <summary>Decodes symbols until the block ends or the window is full.</summary>
    private void DecodeCodes()
    {
        while (_decoded < Window + Room)
        {
            if (!input.Ended && input.End - input.Start < 2 * sizeof(ulong) && input.Fill()) continue;
            // At the end of the source the zeros behind it may be read; whether they were needed is looked at below.
            var limit = input.Ended ? input.End + sizeof(ulong) : input.End - sizeof(ulong);
            var ended = RunCodes(limit);
            GiveBack();
            if (input.Start > input.End) throw Damage.Torn(format);
            if (ended)
            {
                _stage = Stage.BlockHeader;
                return;
            }
        }
    }

    // The hot loop, over locals. References without bounds checks are safe here: input positions stay below limit + 8 (InputBuffer.Slack),
    // table indexes are masked, and the window has room for the longest match and a word behind Window + Room.
    private bool RunCodes(int limit)
    {
        ref var from = ref MemoryMarshal.GetArrayDataReference(input.Bytes);
        ref var window = ref MemoryMarshal.GetArrayDataReference(_window);
        ref var literals = ref MemoryMarshal.GetArrayDataReference(_literals.Entries);
        ref var distances = ref MemoryMarshal.GetArrayDataReference(_distances.Entries);
        int at = input.Start, to = _decoded, count = _bitCount;
        var bits = _bits;
        var ended = false;
        while (at <= limit && to < Window + Room)
        {
            Refill(ref from, ref at, ref bits, ref count);
            var entry = Unsafe.Add(ref literals, (nint)(bits & 0x7FF));
            if ((entry & InflateTable.Literal) != 0)
            {
                // Two more literals fit before the bits must be refilled.
                Drop(entry, ref bits, ref count);
                Unsafe.Add(ref window, to++) = (byte)(entry >> 16);
                entry = Unsafe.Add(ref literals, (nint)(bits & 0x7FF));
                if ((entry & InflateTable.Literal) != 0)
                {
                    Drop(entry, ref bits, ref count);
                    Unsafe.Add(ref window, to++) = (byte)(entry >> 16);
                    continue;
                }

                Refill(ref from, ref at, ref bits, ref count);
            }

            Drop(entry, ref bits, ref count);
            if ((entry & InflateTable.SubTable) != 0)
            {
                entry = Unsafe.Add(ref literals, (nint)((entry >> 16) + (bits & ((1u << (int)(entry >> 8 & 15)) - 1))));
                Drop(entry, ref bits, ref count);
            }

            if ((entry & InflateTable.Literal) != 0)
            {
                Unsafe.Add(ref window, to++) = (byte)(entry >> 16);
                continue;
            }

            if ((entry & (InflateTable.EndOfBlock | InflateTable.Invalid)) != 0)
            {
                ended = true;
                if ((entry & InflateTable.Invalid) != 0) throw Invalid(at, count);
                break;
            }

            var length = (int)(entry >> 16) + TakeExtra(entry, ref bits, ref count);
            entry = Unsafe.Add(ref distances, (nint)(bits & 0x1FF));
            Drop(entry, ref bits, ref count);
            if ((entry & InflateTable.SubTable) != 0)
            {
                entry = Unsafe.Add(ref distances, (nint)((entry >> 16) + (bits & ((1u << (int)(entry >> 8 & 15)) - 1))));
                Drop(entry, ref bits, ref count);
            }

            var distance = (int)(entry >> 16) + TakeExtra(entry, ref bits, ref count);
            if ((entry & InflateTable.Invalid) != 0 || distance > to - _oldest) throw Invalid(at, count);
            MatchCopy.Copy(ref window, to, distance, length);
            to += length;
        }

        input.Start = at;
        _decoded = to;
        _bits = bits;
        _bitCount = count;
        return ended;
    }

    // Bits that only the zeros behind the end of a torn source could give are no sign of a damaged code.
    private ImageException Invalid(int at, int count) =>
        input.Ended && at - (count >> 3) > input.End ? Damage.Torn(format) : Damage.Corrupt(format, "an impossible code or distance");

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Refill(ref byte from, ref int at, ref ulong bits, ref int count)
    {
        var word = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref from, at));
        if (!BitConverter.IsLittleEndian) word = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word);
        bits |= word << count;
        at += (63 - count) >> 3;
        count |= 56;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Drop(uint entry, ref ulong bits, ref int count)
    {
        bits >>= (int)entry;
        count -= (int)(entry & 0xFF);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int TakeExtra(uint entry, ref ulong bits, ref int count)
    {
        var extra = (int)(entry >> 8) & 15;
        var value = (int)(bits & ((1u << extra) - 1));
        bits >>= extra;
        count -= extra;
        return value;
    }

    private static uint[] MakeLiteralMeaning()
    {
        var meaning = new uint[286];
        for (var i = 0; i < 256; i++) meaning[i] = InflateTable.Literal | (uint)i << 16;
        meaning[256] = InflateTable.EndOfBlock;
        var length = 3;
        for (var i = 0; i < 28; i++)
        {
            var extra = Math.Max(0, i / 4 - 1);
            meaning[257 + i] = (uint)length << 16 | (uint)extra << 8;
            length += 1 << extra;
        }

        meaning[285] = 258 << 16;
        return meaning;
    }

    private static uint[] MakeDistanceMeaning()
    {
        var meaning = new uint[30];
        var distance = 1;
        for (var i = 0; i < 30; i++)
        {
            var extra = Math.Max(0, i / 2 - 1);
            meaning[i] = (uint)distance << 16 | (uint)extra << 8;
            distance += 1 << extra;
        }

        return meaning;
    }
}
