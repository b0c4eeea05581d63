using System.Runtime.CompilerServices;
using static OsBuild.Images.Compression.LzmaModel;

namespace OsBuild.Images.Compression;

/// <summary>LZMA's binary range decoder. A local of the decoding loop, so that its fields live in registers.</summary>
internal ref struct RangeDecoder(ref byte input, uint range, uint code, int at)
{
    private readonly ref byte _input = ref input;

    public uint Range = range;
    public uint Code = code;
    public int At = at;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Normalize()
    {
        if (Range >= TopValue) return;
        Range <<= 8;
        Code = Code << 8 | Unsafe.Add(ref _input, At++);
    }

    /// <summary>One bit that is mostly foreseen: decoded with a branch.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Bit(ref ushort probability)
    {
        Normalize();
        uint p = probability;
        var bound = (Range >> 11) * p;
        if (Code < bound)
        {
            Range = bound;
            probability = (ushort)(p + ((BitModelTotal - p) >> MoveBits));
            return false;
        }

        Range -= bound;
        Code -= bound;
        probability = (ushort)(p - (p >> MoveBits));
        return true;
    }

    /// <summary>One step down a tree of bits that nobody can foresee: decoded without a branch. Gives -1 for a 0 and 0 for a 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Step(ref ushort tree, ref int symbol)
    {
        Normalize();
        ref var probability = ref Unsafe.Add(ref tree, symbol);
        int p = probability;
        var bound = (Range >> 11) * (uint)p;
        var difference = (long)Code - bound;
        var mask = (int)(difference >> 63);
        var rest = Range - bound;
        Range = rest + ((bound - rest) & (uint)mask);
        Code = (uint)difference + (bound & (uint)mask);
        // For a 0 the shift of the negative number rounds so that p grows by (2048 - p) / 32.
        probability = (ushort)(p - ((p + (mask & ((1 << MoveBits) - 1 - BitModelTotal))) >> MoveBits));
        symbol = 2 * symbol + 1 + mask;
        return mask;
    }

    /// <summary>A number of so many bits from a tree, the most significant bit first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Tree(ref ushort tree, int bits)
    {
        var symbol = 1;
        for (var i = 0; i < bits; i++) Step(ref tree, ref symbol);
        return symbol - (1 << bits);
    }

    /// <summary>A number of so many bits from a tree, the least significant bit first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint ReverseTree(ref ushort tree, int bits)
    {
        var symbol = 1;
        var value = 0;
        for (var i = 0; i < bits; i++) value |= (1 + Step(ref tree, ref symbol)) << i;
        return (uint)value;
    }

    /// <summary>Bits of equal chance.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Direct(uint value, int bits)
    {
        for (; bits > 0; bits--)
        {
            Normalize();
            Range >>= 1;
            Code -= Range;
            var mask = 0u - (Code >> 31);
            Code += Range & mask;
            value = (value << 1) + mask + 1;
        }

        return value;
    }
}
