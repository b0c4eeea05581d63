using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>Encodes one block at a time as LZMA2, each with a new dictionary.</summary>
internal sealed class Lzma2Encoder
{
    private const int LargestPacked = 1 << 16, LargestUnpacked = 1 << 21, LargestStored = 1 << 16;
    private const int HeaderSize = 6, StoredHeaderSize = 3;

    // More than any symbol becomes: about 80 modelled and 26 direct bits.
    private const int LargestSymbol = 32;

    private readonly LzmaParser _parser;
    private readonly byte[] _chunk = new byte[HeaderSize + LargestPacked + LargestSymbol];
    private readonly LzmaEncoder _encoder;

    /// <summary>Effort per level: places tried, and the length that is good enough.</summary>
    private static readonly (int Depth, int Nice)[] Effort =
        [(4, 48), (4, 48), (8, 96), (16, 128), (24, 192), (32, 273), (48, 273), (96, 273), (192, 273), (384, 273)];

    public Lzma2Encoder(int largestBlock, int level)
    {
        var (depth, nice) = Effort[level];
        _parser = new LzmaParser(new LzmaMatchFinder(largestBlock, depth, nice), nice);
        _encoder = new LzmaEncoder(_chunk);
    }

    /// <summary>Writes the whole LZMA2 stream of a block, its end marker included.</summary>
    public void Encode(ReadOnlyMemory<byte> block, Stream to)
    {
        _parser.Begin(block);
        _encoder.ResetState();
        bool needsDictionary = true, needsProperties = true, needsState = true;
        for (var at = 0; at < block.Length;)
        {
            _encoder.Range.Begin(HeaderSize);
            var next = FillChunk(block.Span, at);
            var end = _encoder.Range.Finish();
            if (end >= next - at + StoredHeaderSize)
            {
                // It did not get smaller: as it is, and the model begins anew behind it.
                Store(block.Span[at..next], needsDictionary, to);
                _encoder.ResetState();
                needsState = true;
            }
            else
            {
                var reset = needsDictionary ? 3 : needsProperties ? 2 : needsState ? 1 : 0;
                WriteChunk(next - at, end - HeaderSize, reset, to);
                needsProperties = needsState = false;
            }

            needsDictionary = false;
            at = next;
        }

        to.WriteByte(0);
    }

    private int FillChunk(ReadOnlySpan<byte> block, int start)
    {
        var at = start;
        while (at < block.Length
            && at - start <= LargestUnpacked - LzmaModel.MaxMatch
            && _encoder.Range.End + LargestSymbol <= HeaderSize + LargestPacked)
        {
            var (length, distance) = _parser.Next(at, _encoder.Reps);
            if (length == 1) _encoder.Literal(block, at);
            else if (distance >= 0) _encoder.Match(at, (uint)distance, length);
            else _encoder.Rep(at, ~distance, length);
            at += length;
        }

        return at;
    }

    private void WriteChunk(int unpacked, int packed, int reset, Stream to)
    {
        var withProperties = reset >= 2;
        var header = _chunk.AsSpan(withProperties ? 0 : 1);
        header[0] = (byte)(0x80 | reset << 5 | (unpacked - 1) >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(header[1..], (ushort)(unpacked - 1));
        BinaryPrimitives.WriteUInt16BigEndian(header[3..], (ushort)(packed - 1));
        if (withProperties) header[5] = LzmaEncoder.Properties;
        to.Write(header[..((withProperties ? HeaderSize : HeaderSize - 1) + packed)]);
    }

    private static void Store(ReadOnlySpan<byte> bytes, bool needsDictionary, Stream to)
    {
        Span<byte> header = stackalloc byte[StoredHeaderSize];
        for (; !bytes.IsEmpty; needsDictionary = false)
        {
            var some = Math.Min(bytes.Length, LargestStored);
            header[0] = (byte)(needsDictionary ? 1 : 2);
            BinaryPrimitives.WriteUInt16BigEndian(header[1..], (ushort)(some - 1));
            to.Write(header);
            to.Write(bytes[..some]);
            bytes = bytes[some..];
        }
    }
}
