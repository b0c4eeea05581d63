using System.Buffers.Binary;
using System.Collections.Concurrent;

namespace OsBuild.Images.Compression;

/// <summary>.xz as one stream of independent blocks that tell their sizes, so that they can be made and read in parallel.</summary>
internal sealed class XzPieces : PieceCodec
{
    // The dictionary spans the block. An encoder holds four bytes for each byte of a block.
    private const int BlockSize = 1 << 22;
    private const byte DictionaryProperty = 20;
    private const int HeaderSize = 20;
    private static readonly byte[] Flags = [0, XzCheck.Crc64];

    private readonly ConcurrentBag<Lzma2Encoder> _encoders = [];
    private readonly List<(long Unpadded, long Unpacked)> _blocks = [];
    private readonly int _level;

    public XzPieces(int level, int blockSize = BlockSize) : base(blockSize)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(blockSize, BlockSize);
        if (level is < 0 or > 9) throw new ArgumentOutOfRangeException(nameof(level), level, "xz has the levels 0 to 9.");
        _level = level;
    }

    public override void Begin(Stream target)
    {
        var header = new byte[XzFormat.HeaderSize];
        XzFormat.HeaderMagic.CopyTo(header);
        Flags.CopyTo(header, 6);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Crc32Ieee.Append(0, Flags));
        target.Write(header);
    }

    public override EncodedPiece Encode(ReadOnlySpan<byte> piece)
    {
        // A stream of nothing has no block.
        if (piece.IsEmpty) return default;
        if (!_encoders.TryTake(out var encoder)) encoder = new Lzma2Encoder(BlockSize, _level);
        var packed = new MemoryStream(piece.Length / 3);
        // The header comes first and tells the packed size: it has a fixed length here, so that it can be filled in at the end.
        var header = new byte[HeaderSize];
        packed.Write(header);
        encoder.Encode(piece.ToArray(), packed);
        _encoders.Add(encoder);
        var size = packed.Length - HeaderSize;
        WriteHeader(header, size, piece.Length);
        packed.Write(new byte[XzFormat.Padding(size)]);
        Span<byte> check = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(check, Crc64Ecma.Append(0, piece));
        packed.Write(check);
        packed.Position = 0;
        packed.Write(header);
        return new(packed.GetBuffer().AsMemory(0, (int)packed.Length), piece.Length, 0, HeaderSize + size + check.Length);
    }

    private static void WriteHeader(Span<byte> header, long packed, long unpacked)
    {
        // Both sizes present, one filter (§3.1); what is left of the fixed size is header padding.
        header[0] = HeaderSize / 4 - 1;
        header[1] = 0xC0;
        var at = 2;
        at += XzFormat.WriteNumber(header[at..], (ulong)packed);
        at += XzFormat.WriteNumber(header[at..], (ulong)unpacked);
        header[at++] = (byte)XzFormat.Lzma2;
        header[at++] = 1;
        header[at] = DictionaryProperty;
        BinaryPrimitives.WriteUInt32LittleEndian(header[^4..], Crc32Ieee.Append(0, header[..^4]));
    }

    public override void Next(EncodedPiece piece)
    {
        if (piece.Length > 0) _blocks.Add((piece.Unpadded, piece.Length));
    }

    public override void End(Stream target)
    {
        var index = new MemoryStream();
        Span<byte> number = stackalloc byte[10];
        index.WriteByte(0);
        index.Write(number[..XzFormat.WriteNumber(number, (ulong)_blocks.Count)]);
        foreach (var (unpadded, unpacked) in _blocks)
        {
            index.Write(number[..XzFormat.WriteNumber(number, (ulong)unpadded)]);
            index.Write(number[..XzFormat.WriteNumber(number, (ulong)unpacked)]);
        }

        index.Write(new byte[XzFormat.Padding(index.Length)]);
        BinaryPrimitives.WriteUInt32LittleEndian(number, Crc32Ieee.Append(0, index.GetBuffer().AsSpan(0, (int)index.Length)));
        index.Write(number[..4]);
        index.WriteTo(target);
        Span<byte> footer = stackalloc byte[XzFormat.FooterSize];
        BinaryPrimitives.WriteUInt32LittleEndian(footer[4..], (uint)(index.Length / 4 - 1));
        Flags.CopyTo(footer[8..]);
        XzFormat.FooterMagic.CopyTo(footer[10..]);
        BinaryPrimitives.WriteUInt32LittleEndian(footer, Crc32Ieee.Append(0, footer[4..10]));
        target.Write(footer);
    }
}
