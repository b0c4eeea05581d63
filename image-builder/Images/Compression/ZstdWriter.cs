using System.Collections.Concurrent;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace OsBuild.Images.Compression;

/// <summary>Writes Zstandard as independent frames, each with its content size and a checksum, so that they can be made and read in parallel.</summary>
internal sealed class ZstdWriter : BlockWriter<ArraySegment<byte>>
{
    private readonly ConcurrentBag<Compressor> _encoders = [];
    private readonly int _level;
    private bool _any;

    public ZstdWriter(Stream target, int level, int threads) : base(target, FrameSize(level), threads)
    {
        if (level is < 1 or > 22) throw new ArgumentOutOfRangeException(nameof(level), level, "zstd has the levels 1 to 22.");
        _level = level;
    }

    // A frame cannot see the one before it: the larger the frame, the smaller the loss. The sizes keep it near 1 % of zstd -T's.
    private static int FrameSize(int level) => level < 10 ? 4 << 20 : 8 << 20;

    protected override ArraySegment<byte> Encode(ReadOnlyMemory<byte> block)
    {
        if (!_encoders.TryTake(out var encoder))
        {
            encoder = new Compressor(_level);
            encoder.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        }

        var encoded = new byte[Compressor.GetCompressBound(block.Length)];
        var size = encoder.Wrap(block.Span, encoded);
        _encoders.Add(encoder);
        return new ArraySegment<byte>(encoded, 0, size);
    }

    protected override void Emit(ArraySegment<byte> encoded)
    {
        Target.Write(encoded);
        _any = true;
    }

    protected override void End()
    {
        // Nothing was written: an empty frame, so that the file is zstd all the same.
        if (!_any) Emit(Encode(ReadOnlyMemory<byte>.Empty));
        foreach (var encoder in _encoders) encoder.Dispose();
    }
}
