using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace OsBuild.Images.Compression;

/// <summary>Zstandard as independent frames, each with its content size and a checksum, so that they can be made and read in parallel.</summary>
internal sealed class ZstdPieces : PieceCodec
{
    private readonly ConcurrentBag<Compressor> _encoders = [];
    private readonly ConcurrentBag<byte[]> _rooms = [];
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
        if (!_encoders.TryTake(out var encoder))
        {
            encoder = new Compressor(_level);
            encoder.SetParameter(ZSTD_cParameter.ZSTD_c_checksumFlag, 1);
        }

        if (!_rooms.TryTake(out var room)) room = GC.AllocateUninitializedArray<byte>(Compressor.GetCompressBound(PieceSize));
        var length = encoder.Wrap(piece, room);
        _encoders.Add(encoder);
        return new(room.AsMemory(0, length), piece.Length, 0, 0);
    }

    public override void Release(EncodedPiece piece)
    {
        if (MemoryMarshal.TryGetArray(piece.Bytes, out var room)) _rooms.Add(room.Array!);
    }

    public override void Dispose()
    {
        foreach (var encoder in _encoders) encoder.Dispose();
        base.Dispose();
    }
}
