using System.Buffers.Binary;
using System.Numerics;

namespace OsBuild.Images.Compression;

/// <summary>The header of a Zstandard frame (RFC 8878 §3.1.1).</summary>
/// <param name="HeaderSize">Bytes of the header, magic included.</param>
/// <param name="WindowSize">Memory that the decoder must keep.</param>
/// <param name="ContentSize">Decoded size, when the frame tells it.</param>
/// <param name="HasChecksum">True when four bytes of checksum follow the last block.</param>
/// <param name="Dictionary">The dictionary it needs; 0 for none.</param>
internal readonly record struct ZstdFrame(int HeaderSize, ulong WindowSize, ulong? ContentSize, bool HasChecksum, uint Dictionary)
{
    public const uint Magic = 0xFD2FB528;
    public const uint SkippableMagic = 0x184D2A50;
    public const uint SkippableMask = 0xFFFFFFF0;

    /// <summary>Magic, descriptor, window, dictionary, content size.</summary>
    public const int LongestHeader = 4 + 1 + 1 + 4 + 8;

    public const int BlockHeaderSize = 3;
    public const int LongestBlock = 128 << 10;

    /// <summary>Bytes of the header, told from the byte behind the magic.</summary>
    public static int SizeOfHeader(byte descriptor)
    {
        var single = (descriptor & 0x20) != 0;
        var content = (descriptor >> 6) switch { 0 => single ? 1 : 0, var log => 1 << log };
        return 4 + 1 + (single ? 0 : 1) + SizeOfDictionary(descriptor) + content;
    }

    /// <summary>Reads a header of the right size.</summary>
    public static ZstdFrame Read(ReadOnlySpan<byte> from)
    {
        var descriptor = from[4];
        if ((descriptor & 8) != 0) throw Damage.Corrupt("zstd", "a reserved bit of a frame header is set");
        var single = (descriptor & 0x20) != 0;
        var at = 5;
        var window = 0ul;
        if (!single)
        {
            var log = 10 + (from[at] >> 3);
            window = (1ul << log) + (1ul << log) / 8 * (from[at] & 7u);
            at++;
        }

        var dictionary = SizeOfDictionary(descriptor) switch
        {
            0 => 0u,
            1 => from[at],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(from[at..]),
            _ => BinaryPrimitives.ReadUInt32LittleEndian(from[at..]),
        };
        at += SizeOfDictionary(descriptor);
        ulong? content = (from.Length - at) switch
        {
            1 => from[at],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(from[at..]) + 256ul,
            4 => BinaryPrimitives.ReadUInt32LittleEndian(from[at..]),
            8 => BinaryPrimitives.ReadUInt64LittleEndian(from[at..]),
            _ => null,
        };
        return new ZstdFrame(from.Length, single ? content!.Value : window, content, (descriptor & 4) != 0, dictionary);
    }

    private static int SizeOfDictionary(byte descriptor) => (descriptor & 3) switch { 3 => 4, var size => size };

    /// <summary>The largest window that is decoded; the zstd tool has the same limit unless told otherwise.</summary>
    public const ulong LargestWindow = 128 << 20;

    /// <summary>Refuses what would need a dictionary or too much memory.</summary>
    public void MustBeReadable()
    {
        if (Dictionary != 0) throw Damage.Unsupported("zstd", $"the dictionary {Dictionary}");
        if (WindowSize > LargestWindow)
            throw Damage.Unsupported("zstd", $"a window of {new ByteSize((long)Math.Min(WindowSize, long.MaxValue))} (2^{64 - BitOperations.LeadingZeroCount(WindowSize - 1)} bytes)");
    }
}
