using System.Buffers.Binary;
using System.IO.Compression;

namespace OsBuild.Images.Compression;

/// <summary>gzip as one member, its deflate blocks joined at byte boundaries (as pigz -i does): one checksum over everything, so that a file that
/// was cut off is always noticed.</summary>
internal sealed class GzipPieces : PieceCodec
{
    private const int Size = 1 << 20;
    private static readonly byte[] FinalEmptyBlock = [3, 0];

    private readonly ZLibCompressionOptions _options;
    private readonly int _level;
    private uint _crc, _length;

    public GzipPieces(int level) : base(Size)
    {
        if (level is < 1 or > 9) throw new ArgumentOutOfRangeException(nameof(level), level, "gzip has the levels 1 to 9.");
        _level = level;
        _options = new ZLibCompressionOptions { CompressionLevel = level };
    }

    // No time, no name: the same input gives the same bytes. XFL as gzip sets it; the system is Unix, whatever it is.
    public override void Begin(Stream target) => target.Write([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, (byte)(_level == 9 ? 2 : _level == 1 ? 4 : 0), 3]);

    public override EncodedPiece Encode(ReadOnlySpan<byte> piece)
    {
        if (piece.IsEmpty) return default;
        var deflated = new MemoryStream(piece.Length / 2);
        int length;
        using (var encoder = new DeflateStream(deflated, _options, leaveOpen: true))
        {
            encoder.Write(piece);
            // A sync flush ends on a byte boundary; what disposing adds is cut off again.
            encoder.Flush();
            length = (int)deflated.Length;
        }

        return new(deflated.GetBuffer().AsMemory(0, length), piece.Length, Crc32Ieee.Append(0, piece), 0);
    }

    public override void Next(EncodedPiece piece)
    {
        _crc = Crc32Ieee.Combine(_crc, piece.Check, piece.Length);
        _length += (uint)piece.Length;
    }

    public override void End(Stream target)
    {
        target.Write(FinalEmptyBlock);
        Span<byte> trailer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, _crc);
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[4..], _length);
        target.Write(trailer);
    }
}
