using System.Buffers.Binary;
using System.Security.Cryptography;

namespace OsBuild.Images.Compression;

/// <summary>What the .xz file format (version 1.2.0) fixes for reader and writer.</summary>
internal static class XzFormat
{
    public const string Name = "xz";
    public const int HeaderSize = 12, FooterSize = 12;
    public const ulong Lzma2 = 0x21;
    public static ReadOnlySpan<byte> HeaderMagic => [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0];

    public static ReadOnlySpan<byte> FooterMagic => "YZ"u8;

    /// <summary>Reads a variable-length integer (§1.2); false when it is cut off or not minimal.</summary>
    public static bool TryReadNumber(ReadOnlySpan<byte> from, ref int at, out ulong value)
    {
        value = 0;
        for (var i = 0; i < 9 && at < from.Length; i++)
        {
            var b = from[at++];
            value |= (ulong)(b & 0x7F) << (7 * i);
            if ((b & 0x80) == 0) return b != 0 || i == 0;
        }

        return false;
    }

    /// <summary>Writes a variable-length integer; gives its size.</summary>
    public static int WriteNumber(Span<byte> to, ulong value)
    {
        var at = 0;
        for (; value >= 0x80; value >>= 7) to[at++] = (byte)(value | 0x80);
        to[at++] = (byte)value;
        return at;
    }

    /// <summary>The dictionary size that a property byte tells (§5.3.1).</summary>
    public static long DictionarySize(int bits) => bits == 40 ? uint.MaxValue : (2L | (uint)(bits & 1)) << (bits / 2 + 11);

    /// <summary>Bytes up to the next multiple of four.</summary>
    public static int Padding(long size) => (int)(-size & 3);
}

/// <summary>The integrity check of a block (§2.1.1.2).</summary>
internal sealed class XzCheck(int id) : IDisposable
{
    public const int None = 0, Crc32 = 1, Crc64 = 4, Sha256 = 10;

    private readonly IncrementalHash? _sha = id == Sha256 ? IncrementalHash.CreateHash(HashAlgorithmName.SHA256) : null;
    private ulong _crc;

    /// <summary>Bytes of the check behind each block; -1 for one that is not known here.</summary>
    public static int SizeOf(int id) => id switch { None => 0, Crc32 => 4, Crc64 => 8, Sha256 => 32, _ => -1 };

    public int Size => SizeOf(id);

    public void Append(ReadOnlySpan<byte> data)
    {
        switch (id)
        {
            case Crc32:
                _crc = Crc32Ieee.Append((uint)_crc, data);
                break;
            case Crc64:
                _crc = Crc64Ecma.Append(_crc, data);
                break;
            default:
                _sha?.AppendData(data);
                break;
        }
    }

    /// <summary>Writes the check to exactly <see cref="Size"/> bytes and begins anew.</summary>
    public void Finish(Span<byte> to)
    {
        if (_sha is not null) _sha.GetHashAndReset(to);
        else if (id == Crc32) BinaryPrimitives.WriteUInt32LittleEndian(to, (uint)_crc);
        else if (id == Crc64) BinaryPrimitives.WriteUInt64LittleEndian(to, _crc);
        _crc = 0;
    }

    public void Dispose() => _sha?.Dispose();
}
