using System.Collections.Concurrent;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace OsBuild.Images.Compression;

/// <summary>Zstandard as independent frames, each with its content size and a checksum, so that they can be made and read in parallel.</summary>
internal sealed class ZstdPieces : PieceCodec
{
    // An encoder and the room it writes into: what it gives is as large as it must be, and no larger.
    private readonly ConcurrentBag<(Compressor Encoder, byte[] Room)> _encoders = [];
    private readonly int _level;

    public ZstdPieces(int level) : base(FrameSize(level))
    {
        if (level is < 1 or > 22) throw new ArgumentOutOfRangeException(nameof(level), level, "zstd has the levels 1 to 22.");
        _level = level;
    }

    // A frame cannot see the one before it: the larger the frame, the smaller the loss. The sizes keep it near 1 % of zstd -T's.
    private static int FrameSize(int level) => level < 10 ? 4 << 20 : 8 << 20;

    public override EncodedPiece Encode(ReadOnlySpan<byte> piece)
    {
        if (!_encoders.TryTake(out var taken))
        {
            taken = (new Compressor(_level), new byte[Compressor.GetCompressBound(PieceSize)]);
            taken.Encoder.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        }

        var encoded = taken.Room.AsSpan(0, taken.Encoder.Wrap(piece, taken.Room)).ToArray();
        _encoders.Add(taken);
        return new(encoded, piece.Length, 0, 0);
    }

    public override void Dispose()
    {
        foreach (var (encoder, _) in _encoders) encoder.Dispose();
        base.Dispose();
    }
}
