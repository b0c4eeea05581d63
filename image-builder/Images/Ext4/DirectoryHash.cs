using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>The half-MD4 hash of directory indexes, over unsigned characters (fs/ext4/hash.c, half_md4_transform).</summary>
internal readonly struct DirectoryHash
{
    private const uint K2 = 0x5A827999, K3 = 0x6ED9EBA1;

    // The highest hash marks the end of a directory for the kernel's readdir.
    private const uint EndMark = 0x7FFF_FFFFu << 1;

    private readonly uint _a = 0x67452301, _b = 0xEFCDAB89, _c = 0x98BADCFE, _d = 0x10325476;

    public DirectoryHash(Guid seed)
    {
        Span<byte> bytes = stackalloc byte[16];
        seed.TryWriteBytes(bytes, bigEndian: true, out _);
        if (!bytes.ContainsAnyExcept((byte)0)) return;
        _a = ReadUInt32LittleEndian(bytes);
        _b = ReadUInt32LittleEndian(bytes[4..]);
        _c = ReadUInt32LittleEndian(bytes[8..]);
        _d = ReadUInt32LittleEndian(bytes[12..]);
    }

    /// <summary>The hash of a name, its lowest bit 0.</summary>
    public uint Of(ReadOnlySpan<byte> name)
    {
        Span<uint> words = stackalloc uint[8];
        var (a, b, c, d) = (_a, _b, _c, _d);
        while (!name.IsEmpty)
        {
            Load(name, words);
            Transform(ref a, ref b, ref c, ref d, words);
            name = name[Math.Min(32, name.Length)..];
        }

        var hash = b & ~1u;
        return hash == EndMark ? EndMark - 2 : hash;
    }

    /// <summary>Up to 32 bytes as words, the unused rest filled with the length of what is left of the name.</summary>
    private static void Load(ReadOnlySpan<byte> name, Span<uint> words)
    {
        var padding = (uint)name.Length | ((uint)name.Length << 8);
        padding |= padding << 16;
        words.Fill(padding);
        var length = Math.Min(32, name.Length);
        for (var i = 0; i < length; i++) words[i / 4] = name[i] + ((i % 4 == 0 ? padding : words[i / 4]) << 8);
    }

    private static void Transform(ref uint a0, ref uint b0, ref uint c0, ref uint d0, ReadOnlySpan<uint> w)
    {
        var (a, b, c, d) = (a0, b0, c0, d0);
        for (var i = 0; i < 8; i += 4)
        {
            a = BitOperations.RotateLeft(a + F(b, c, d) + w[i], 3);
            d = BitOperations.RotateLeft(d + F(a, b, c) + w[i + 1], 7);
            c = BitOperations.RotateLeft(c + F(d, a, b) + w[i + 2], 11);
            b = BitOperations.RotateLeft(b + F(c, d, a) + w[i + 3], 19);
        }

        for (var i = 1; i >= 0; i--)
        {
            a = BitOperations.RotateLeft(a + G(b, c, d) + w[i] + K2, 3);
            d = BitOperations.RotateLeft(d + G(a, b, c) + w[i + 2] + K2, 5);
            c = BitOperations.RotateLeft(c + G(d, a, b) + w[i + 4] + K2, 9);
            b = BitOperations.RotateLeft(b + G(c, d, a) + w[i + 6] + K2, 13);
        }

        for (var i = 3; i >= 1; i -= 2)
        {
            a = BitOperations.RotateLeft(a + H(b, c, d) + w[i] + K3, 3);
            d = BitOperations.RotateLeft(d + H(a, b, c) + w[i + 4] + K3, 9);
            c = BitOperations.RotateLeft(c + H(d, a, b) + w[i - 1] + K3, 11);
            b = BitOperations.RotateLeft(b + H(c, d, a) + w[i + 3] + K3, 15);
        }

        (a0, b0, c0, d0) = (a0 + a, b0 + b, c0 + c, d0 + d);
    }

    private static uint F(uint x, uint y, uint z) => z ^ (x & (y ^ z));

    private static uint G(uint x, uint y, uint z) => (x & y) + ((x ^ y) & z);

    private static uint H(uint x, uint y, uint z) => x ^ y ^ z;
}
