namespace OsBuild.Images.Compression;

/// <summary>Bits from the most significant one on, as bzip2 packs them.</summary>
internal sealed class BigEndianBits(InputBuffer input, string format)
{
    private ulong _bits;
    private int _count;

    /// <summary>Forgets the bits left in the last byte.</summary>
    public void Reset() => _count = 0;

    /// <summary>Takes 1 to 24 bits.</summary>
    public uint Take(int count)
    {
        if (_count < count) Refill(count);
        _count -= count;
        return (uint)(_bits >> _count) & ((1u << count) - 1);
    }

    /// <summary>Shows the next bits without taking them; zeros behind the end.</summary>
    public uint Peek(int count)
    {
        if (_count < count) Refill(0);
        return (uint)(_count >= count ? _bits >> (_count - count) : _bits << (count - _count)) & ((1u << count) - 1);
    }

    // Bytes are taken only as needed at the end of a stream, so that the next one begins where it should.
    private void Refill(int needed)
    {
        while (_count < 24)
        {
            if (input.AtEnd)
            {
                if (_count < needed) throw Damage.Torn(format);
                return;
            }

            if (needed > 0 && _count >= needed) return;
            _bits = _bits << 8 | input.Bytes[input.Start++];
            _count += 8;
        }
    }

    /// <summary>Gives whole bytes that were looked at but not taken back to the input.</summary>
    public void GiveBack()
    {
        input.Start -= _count >> 3;
        _bits >>= _count & ~7;
        _count &= 7;
    }
}

/// <summary>One block of bzip2: Huffman codes, move-to-front and the Burrows-Wheeler transform undone.</summary>
internal sealed class Bzip2Block(InputBuffer input, int capacity)
{
    private const string Format = "bzip2";
    private const int GroupSize = 50, LongestCode = 20;
    private const int RunA = 0, RunB = 1;

    private readonly uint[] _links = new uint[capacity];
    private readonly byte[] _selectors = new byte[32768];
    private readonly int[][] _limits = MakeTables(), _bases = MakeTables(), _symbols = MakeTables();
    private readonly byte[] _values = new byte[256];
    private readonly int[] _shortest = new int[6];
    private int _groups, _selectorCount, _used;

    private uint _position;
    private int _left, _runLength, _last, _repeat;
    private uint _expected, _crc;

    public BigEndianBits Bits { get; } = new(input, Format);

    public int Capacity => capacity;

    /// <summary>The largest block that this stream's header allows.</summary>
    public int Limit { get; set; }

    /// <summary>The block's checksum, once it is read.</summary>
    public uint Crc => _expected;

    public bool IsOpen { get; private set; }

    private static int[][] MakeTables() => [.. Enumerable.Range(0, 6).Select(_ => new int[258 + 2])];

    /// <summary>Reads a whole block behind its magic.</summary>
    public void Begin()
    {
        _expected = Bits.Take(16) << 16 | Bits.Take(16);
        if (Bits.Take(1) != 0) throw Damage.Unsupported(Format, "randomised blocks of bzip2 0.9.0 and before");
        var origin = Bits.Take(24);
        ReadSymbolMap();
        ReadSelectors();
        for (var group = 0; group < _groups; group++) ReadCode(group);
        var count = ReadSymbols();
        Bits.GiveBack();
        if (origin >= count) throw Bad("a block's origin lies outside of it");
        LinkUp(count);
        _position = _links[origin] >> 8;
        _left = count;
        _runLength = 0;
        _last = -1;
        _repeat = 0;
        _crc = 0xFFFFFFFF;
        IsOpen = true;
    }

    private static ImageException Bad(string what) => Damage.Corrupt(Format, what);

    private void ReadSymbolMap()
    {
        var ranges = Bits.Take(16);
        _used = 0;
        for (var i = 0; i < 16; i++)
        {
            if ((ranges >> (15 - i) & 1) == 0) continue;
            var bits = Bits.Take(16);
            for (var j = 0; j < 16; j++)
                if ((bits >> (15 - j) & 1) != 0)
                    _values[_used++] = (byte)(16 * i + j);
        }

        if (_used == 0) throw Bad("a block without symbols");
    }

    private void ReadSelectors()
    {
        _groups = (int)Bits.Take(3);
        _selectorCount = (int)Bits.Take(15);
        if (_groups is < 2 or > 6 || _selectorCount == 0) throw Bad("an impossible number of codes");
        Span<byte> order = [0, 1, 2, 3, 4, 5];
        for (var i = 0; i < _selectorCount; i++)
        {
            var j = 0;
            while (Bits.Take(1) != 0)
                if (++j >= _groups)
                    throw Bad("an impossible selector");
            var chosen = order[j];
            order[..j].CopyTo(order[1..]);
            order[0] = chosen;
            _selectors[i] = chosen;
        }
    }

    private void ReadCode(int group)
    {
        var symbols = _used + 2;
        Span<byte> lengths = stackalloc byte[258];
        var length = (int)Bits.Take(5);
        for (var i = 0; i < symbols; i++)
        {
            while (true)
            {
                if (length is < 1 or > LongestCode) throw Bad("an impossible Huffman code");
                if (Bits.Take(1) == 0) break;
                length += Bits.Take(1) == 0 ? 1 : -1;
            }

            lengths[i] = (byte)length;
        }

        int[] limit = _limits[group], bases = _bases[group], sorted = _symbols[group];
        int code = 0, index = 0, shortest = LongestCode;
        for (var n = 1; n <= LongestCode; n++)
        {
            bases[n] = index - code;
            for (var i = 0; i < symbols; i++)
            {
                if (lengths[i] != n) continue;
                sorted[index++] = i;
                code++;
                shortest = Math.Min(shortest, n);
            }

            if (code > 1 << n) throw Bad("an impossible Huffman code");
            limit[n] = code;
            code <<= 1;
        }

        _shortest[group] = shortest;
    }

    private int ReadSymbols()
    {
        Span<byte> front = stackalloc byte[256];
        for (var i = 0; i < 256; i++) front[i] = (byte)i;
        int end = _used + 1, count = 0, run = 0, weight = 1;
        for (var group = 0; ; group++)
        {
            if (group >= _selectorCount) throw Bad("a block without an end");
            var table = _selectors[group];
            for (var i = 0; i < GroupSize; i++)
            {
                var symbol = ReadSymbol(table);
                if (symbol <= RunB)
                {
                    // Runs are numbers in base 2 with the digits 1 and 2.
                    run += (symbol == RunA ? 1 : 2) * weight;
                    weight <<= 1;
                    if (run > Limit - count) throw Bad("a block is longer than its header allows");
                    continue;
                }

                if (run > 0)
                {
                    _links.AsSpan(count, run).Fill(_values[front[0]]);
                    count += run;
                    run = 0;
                }

                weight = 1;
                if (symbol == end) return count;
                if (count >= Limit) throw Bad("a block is longer than its header allows");
                var value = front[symbol - 1];
                front[..(symbol - 1)].CopyTo(front[1..]);
                front[0] = value;
                _links[count++] = _values[value];
            }
        }
    }

    private int ReadSymbol(int table)
    {
        var bits = (int)Bits.Peek(LongestCode);
        var limit = _limits[table];
        for (var length = _shortest[table]; length <= LongestCode; length++)
        {
            var code = bits >> (LongestCode - length);
            if (code >= limit[length]) continue;
            Bits.Take(length);
            return _symbols[table][code + _bases[table][length]];
        }

        throw Bad("an impossible Huffman code");
    }

    // Entry i holds in its low byte the last column's symbol, above it the row that comes next.
    private void LinkUp(int count)
    {
        Span<int> next = stackalloc int[257];
        next.Clear();
        var links = _links.AsSpan(0, count);
        foreach (var link in links) next[(int)link + 1]++;
        for (var i = 1; i < 257; i++) next[i] += next[i - 1];
        for (var i = 0; i < links.Length; i++) links[next[(byte)links[i]]++] |= (uint)i << 8;
    }

    /// <summary>Gives the next decoded bytes; 0 at the end of the block, whose checksum is then verified.</summary>
    public int Read(Span<byte> to)
    {
        var given = 0;
        while (given < to.Length)
        {
            if (_repeat > 0)
            {
                var some = Math.Min(_repeat, to.Length - given);
                to.Slice(given, some).Fill((byte)_last);
                given += some;
                _repeat -= some;
                continue;
            }

            if (_left == 0) break;
            _left--;
            var link = _links[_position];
            _position = link >> 8;
            int symbol = (byte)link;
            if (_runLength == 4)
            {
                // Four equal bytes are followed by how many more there are.
                _repeat = symbol;
                _runLength = 0;
                continue;
            }

            _runLength = symbol == _last ? _runLength + 1 : 1;
            _last = symbol;
            to[given++] = (byte)symbol;
        }

        foreach (var b in to[..given]) _crc = _crc << 8 ^ CrcTable[_crc >> 24 ^ b];
        if (given == 0)
        {
            IsOpen = false;
            if (~_crc != _expected) throw Bad("its checksum does not match");
        }

        return given;
    }

    // CRC-32 with the most significant bit first.
    private static readonly uint[] CrcTable = [.. Enumerable.Range(0, 256).Select(i =>
    {
        var crc = (uint)i << 24;
        for (var k = 0; k < 8; k++) crc = crc << 1 ^ ((crc >> 31) * 0x04C11DB7);
        return crc;
    })];
}
