using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace OsBuild.Images.Compression;

/// <summary>Shortens what a reflected CRC runs over: carry-less multiplication folds 64 bytes a step into sixteen that have the same CRC
/// (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009). Where the processor cannot, nothing is folded.</summary>
internal sealed class CrcFolding
{
    /// <summary>Bytes that stand for all that were folded.</summary>
    public const int Size = 16;

    private const int Step = 64;
    private readonly Vector128<ulong> _by512, _by128;

    /// <param name="polynomial">The reflected polynomial without its highest power.</param>
    /// <param name="width">Bits of the CRC, 32 or 64.</param>
    public CrcFolding(ulong polynomial, int width)
    {
        var (reduction, last) = (polynomial << (64 - width), 1UL << (64 - width));
        // As reflected numbers are multiplied, the product comes out times x: each power is one less.
        _by512 = Vector128.Create(Power(512 + 64 - 1), Power(512 - 1));
        _by128 = Vector128.Create(Power(128 + 64 - 1), Power(128 - 1));

        ulong Power(int n)
        {
            var power = 1UL << 63;
            for (; n > 0; n--) power = (power & last) == 0 ? power >> 1 : ((power ^ last) >> 1) ^ reduction;
            return power;
        }
    }

    /// <summary>Folds the front of <paramref name="data"/> and cuts it off. The CRC then goes on from 0 over <paramref name="folded"/> and over what is left.</summary>
    /// <param name="crc">The register so far, neither inverted nor finished.</param>
    /// <param name="data">What it is to run over.</param>
    /// <param name="folded">Takes <see cref="Size"/> bytes.</param>
    /// <returns>False when nothing was folded.</returns>
    public bool TryFold(ulong crc, ref ReadOnlySpan<byte> data, scoped Span<byte> folded)
    {
        if (!Pclmulqdq.IsSupported || data.Length < 2 * Step) return false;
        var blocks = MemoryMarshal.Cast<byte, Vector128<ulong>>(data);
        var (a, b, c, d) = (blocks[0] ^ Vector128.CreateScalar(crc), blocks[1], blocks[2], blocks[3]);
        for (blocks = blocks[4..]; blocks.Length >= 4; blocks = blocks[4..])
        {
            a = Times(a, _by512) ^ blocks[0];
            b = Times(b, _by512) ^ blocks[1];
            c = Times(c, _by512) ^ blocks[2];
            d = Times(d, _by512) ^ blocks[3];
        }

        b ^= Times(a, _by128);
        c ^= Times(b, _by128);
        d ^= Times(c, _by128);
        foreach (var block in blocks) d = Times(d, _by128) ^ block;
        BinaryPrimitives.WriteUInt64LittleEndian(folded, d[0]);
        BinaryPrimitives.WriteUInt64LittleEndian(folded[8..], d[1]);
        data = data[(data.Length / Size * Size)..];
        return true;
    }

    private static Vector128<ulong> Times(Vector128<ulong> bytes, Vector128<ulong> powers) =>
        Pclmulqdq.CarrylessMultiply(bytes, powers, 0x00) ^ Pclmulqdq.CarrylessMultiply(bytes, powers, 0x11);
}
