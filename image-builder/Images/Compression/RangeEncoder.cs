using System.Runtime.CompilerServices;
using static OsBuild.Images.Compression.LzmaModel;

namespace OsBuild.Images.Compression;

/// <summary>LZMA's binary range encoder into a buffer.</summary>
internal sealed class RangeEncoder(byte[] output)
{
    private ulong _low;
    private uint _range;
    private byte _cache;
    private int _cacheSize;
    private int _at;

    /// <summary>Begins to write at a place of the buffer.</summary>
    public void Begin(int at)
    {
        _low = 0;
        _range = 0xFFFFFFFF;
        _cache = 0;
        _cacheSize = 1;
        _at = at;
    }

    /// <summary>Where the output would end if it were ended now.</summary>
    public int End => _at + _cacheSize + 4;

    /// <summary>Ends the output; gives where.</summary>
    public int Finish()
    {
        for (var i = 0; i < 5; i++) ShiftLow();
        return _at;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Bit(ref ushort probability, int bit)
    {
        uint p = probability;
        var bound = (_range >> 11) * p;
        if (bit == 0)
        {
            _range = bound;
            probability = (ushort)(p + ((BitModelTotal - p) >> MoveBits));
        }
        else
        {
            _low += bound;
            _range -= bound;
            probability = (ushort)(p - (p >> MoveBits));
        }

        if (_range >= TopValue) return;
        _range <<= 8;
        ShiftLow();
    }

    /// <summary>A number from a tree, the most significant bit first.</summary>
    public void Tree(Span<ushort> tree, int bits, int value)
    {
        var symbol = 1;
        for (var i = bits - 1; i >= 0; i--)
        {
            var bit = value >> i & 1;
            Bit(ref tree[symbol], bit);
            symbol = symbol << 1 | bit;
        }
    }

    /// <summary>A number from a tree, the least significant bit first.</summary>
    public void ReverseTree(Span<ushort> tree, int bits, int value)
    {
        var symbol = 1;
        for (var i = 0; i < bits; i++)
        {
            var bit = value >> i & 1;
            Bit(ref tree[symbol], bit);
            symbol = symbol << 1 | bit;
        }
    }

    /// <summary>Bits of equal chance.</summary>
    public void Direct(uint value, int bits)
    {
        for (var i = bits - 1; i >= 0; i--)
        {
            _range >>= 1;
            if ((value >> i & 1) != 0) _low += _range;
            if (_range >= TopValue) continue;
            _range <<= 8;
            ShiftLow();
        }
    }

    // The top byte is held back for as long as a carry may still change it.
    private void ShiftLow()
    {
        if ((uint)_low < 0xFF000000 || _low >> 32 != 0)
        {
            var carry = (byte)(_low >> 32);
            var held = _cache;
            do
            {
                output[_at++] = (byte)(held + carry);
                held = 0xFF;
            }
            while (--_cacheSize != 0);
            _cache = (byte)(_low >> 24);
        }

        _cacheSize++;
        _low = (_low & 0x00FFFFFF) << 8;
    }
}
