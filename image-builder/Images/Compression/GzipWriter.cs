using System.Buffers.Binary;
using System.IO.Compression;

namespace OsBuild.Images.Compression;

/// <summary>Writes gzip as one member, its deflate blocks made on several threads and joined at byte boundaries (as pigz -i does): one checksum
/// over everything, so that a file that was cut off is always noticed.</summary>
internal sealed class GzipWriter : BlockWriter<GzipWriter.Block>
{
    private const int BlockSize = 1 << 20;
    private static readonly byte[] FinalEmptyBlock = [3, 0];

    private readonly ZLibCompressionOptions _options;
    private uint _crc, _length;

    internal readonly record struct Block(MemoryStream Deflated, uint Crc, int Length);

    public GzipWriter(Stream target, int level, int threads) : base(target, BlockSize, threads)
    {
        if (level is < 1 or > 9) throw new ArgumentOutOfRangeException(nameof(level), level, "gzip has the levels 1 to 9.");
        _options = new ZLibCompressionOptions { CompressionLevel = level };
        // No time, no name: the same input gives the same bytes. XFL as gzip sets it; the system is Unix, whatever it is.
        target.Write([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, (byte)(level == 9 ? 2 : level == 1 ? 4 : 0), 3]);
    }

    protected override Block Encode(ReadOnlyMemory<byte> block)
    {
        var deflated = new MemoryStream(block.Length / 2);
        int length;
        using (var encoder = new DeflateStream(deflated, _options, leaveOpen: true))
        {
            encoder.Write(block.Span);
            // A sync flush ends on a byte boundary; what disposing adds is cut off again.
            encoder.Flush();
            length = (int)deflated.Length;
        }

        deflated.SetLength(length);
        return new Block(deflated, Crc32Ieee.Append(0, block.Span), block.Length);
    }

    protected override void Emit(Block encoded)
    {
        encoded.Deflated.WriteTo(Target);
        _crc = Crc32Ieee.Combine(_crc, encoded.Crc, encoded.Length);
        _length += (uint)encoded.Length;
    }

    protected override void End()
    {
        Target.Write(FinalEmptyBlock);
        Span<byte> trailer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, _crc);
        BinaryPrimitives.WriteUInt32LittleEndian(trailer[4..], _length);
        Target.Write(trailer);
    }
}
