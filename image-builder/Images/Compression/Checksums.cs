using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>CRC-32 (IEEE 802.3, reflected) as gzip, zip, xz and GPT use it.</summary>
internal static class Crc32Ieee
{
    private const uint Polynomial = 0xEDB88320;
    private static readonly uint[] Tables = MakeTables();
    private static readonly CrcFolding Folding = new(Polynomial, 32);

    /// <summary>Carries a finished CRC on over more bytes; start with 0.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        Span<byte> folded = stackalloc byte[CrcFolding.Size];
        crc = ~crc;
        if (Folding.TryFold(crc, ref data, folded)) crc = Run(0, folded);
        return ~Run(crc, data);
    }

    private static uint Run(uint crc, ReadOnlySpan<byte> data)
    {
        var t = Tables;
        while (data.Length >= 16)
        {
            var a = BinaryPrimitives.ReadUInt64LittleEndian(data) ^ crc;
            var b = BinaryPrimitives.ReadUInt64LittleEndian(data[8..]);
            crc = t[0xF00 + (int)(byte)a] ^ t[0xE00 + (int)(byte)(a >> 8)] ^ t[0xD00 + (int)(byte)(a >> 16)] ^ t[0xC00 + (int)(byte)(a >> 24)]
                ^ t[0xB00 + (int)(byte)(a >> 32)] ^ t[0xA00 + (int)(byte)(a >> 40)] ^ t[0x900 + (int)(byte)(a >> 48)] ^ t[0x800 + (int)(byte)(a >> 56)]
                ^ t[0x700 + (int)(byte)b] ^ t[0x600 + (int)(byte)(b >> 8)] ^ t[0x500 + (int)(byte)(b >> 16)] ^ t[0x400 + (int)(byte)(b >> 24)]
                ^ t[0x300 + (int)(byte)(b >> 32)] ^ t[0x200 + (int)(byte)(b >> 40)] ^ t[0x100 + (int)(byte)(b >> 48)] ^ t[(int)(byte)(b >> 56)];
            data = data[16..];
        }

        foreach (var x in data) crc = t[(byte)(crc ^ x)] ^ (crc >> 8);
        return crc;
    }

    /// <summary>The CRC of A followed by B from the CRC of each and the length of B: CRC(A) times x^(8·length) plus CRC(B), over GF(2).</summary>
    public static uint Combine(uint a, uint b, long lengthOfB)
    {
        var power = 0x00800000u; // x^8 in reflected order: x^0 is the top bit
        var factor = 0x80000000u;
        for (var n = lengthOfB; n > 0; n >>= 1)
        {
            if ((n & 1) != 0) factor = Multiply(factor, power);
            power = Multiply(power, power);
        }

        return Multiply(factor, a) ^ b;
    }

    private static uint Multiply(uint a, uint b)
    {
        var product = 0u;
        for (var bit = 0x80000000u; bit != 0; bit >>= 1)
        {
            if ((a & bit) != 0) product ^= b;
            b = (b >> 1) ^ ((b & 1) * Polynomial);
        }

        return product;
    }

    private static uint[] MakeTables()
    {
        var tables = new uint[16 * 256];
        for (var i = 0; i < 256; i++)
        {
            var c = (uint)i;
            for (var k = 0; k < 8; k++) c = (c >> 1) ^ ((c & 1) * Polynomial);
            tables[i] = c;
        }

        for (var i = 256; i < tables.Length; i++) tables[i] = (tables[i - 256] >> 8) ^ tables[(byte)tables[i - 256]];
        return tables;
    }
}

/// <summary>CRC-64 (ECMA-182, reflected) as xz uses it.</summary>
internal static class Crc64Ecma
{
    private const ulong Polynomial = 0xC96C5795D7870F42;
    private static readonly ulong[] Tables = MakeTables();
    private static readonly CrcFolding Folding = new(Polynomial, 64);

    /// <summary>Carries a finished CRC on over more bytes; start with 0.</summary>
    public static ulong Append(ulong crc, ReadOnlySpan<byte> data)
    {
        Span<byte> folded = stackalloc byte[CrcFolding.Size];
        crc = ~crc;
        if (Folding.TryFold(crc, ref data, folded)) crc = Run(0, folded);
        return ~Run(crc, data);
    }

    private static ulong Run(ulong crc, ReadOnlySpan<byte> data)
    {
        var t = Tables;
        while (data.Length >= 8)
        {
            crc ^= BinaryPrimitives.ReadUInt64LittleEndian(data);
            crc = t[0x700 + (int)(byte)crc] ^ t[0x600 + (int)(byte)(crc >> 8)] ^ t[0x500 + (int)(byte)(crc >> 16)] ^ t[0x400 + (int)(byte)(crc >> 24)]
                ^ t[0x300 + (int)(byte)(crc >> 32)] ^ t[0x200 + (int)(byte)(crc >> 40)] ^ t[0x100 + (int)(byte)(crc >> 48)] ^ t[(int)(byte)(crc >> 56)];
            data = data[8..];
        }

        foreach (var x in data) crc = t[(byte)(crc ^ x)] ^ (crc >> 8);
        return crc;
    }

    private static ulong[] MakeTables()
    {
        var tables = new ulong[8 * 256];
        for (var i = 0; i < 256; i++)
        {
            var c = (ulong)i;
            for (var k = 0; k < 8; k++) c = (c >> 1) ^ ((c & 1) * Polynomial);
            tables[i] = c;
        }

        for (var i = 256; i < tables.Length; i++) tables[i] = (tables[i - 256] >> 8) ^ tables[(byte)tables[i - 256]];
        return tables;
    }
}
