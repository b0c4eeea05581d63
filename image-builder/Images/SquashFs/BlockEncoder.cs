using System.Collections.Concurrent;
using System.IO.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace OsBuild.Images.SquashFs;

/// <summary>Compresses single blocks, on any number of threads. What zstd's fastest level finds nothing in (packed documentation, pictures,
/// kernel modules that are compressed already) is stored at once: the slow levels would look for long and find next to nothing too.</summary>
internal sealed class BlockEncoder(SquashFsCompression compression, int level) : IDisposable
{
    private const int QuickLevel = 1;

    /// <summary>Level 14 compares 2^4 candidates at each position; half of them cost a good deal less time and next to no size.</summary>
    private const int TunedLevel = 14, TunedSearchLog = 3;

    private const int Sample = 4096;

    private readonly ConcurrentBag<(Compressor Quick, Compressor Thorough)> _zstd = [];
    private readonly ZLibCompressionOptions _zlib = new() { CompressionLevel = Math.Min(level, 9) };

    /// <summary>The compressed bytes, or null when they would not be fewer.</summary>
    public byte[]? Encode(ReadOnlySpan<byte> block) => compression == SquashFsCompression.Zstd ? EncodeZstd(block) : EncodeZlib(block);

    private byte[]? EncodeZstd(ReadOnlySpan<byte> block)
    {
        if (!_zstd.TryTake(out var encoders)) encoders = (new Compressor(QuickLevel), Thorough());
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Compressor.GetCompressBound(block.Length));
        var isWorthIt = !LooksLikeNoise(block) || encoders.Quick.Wrap(block, buffer) < block.Length - (block.Length / 64);
        var size = isWorthIt ? encoders.Thorough.Wrap(block, buffer) : block.Length;
        _zstd.Add(encoders);
        var encoded = size < block.Length ? buffer.AsSpan(0, size).ToArray() : null;
        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return encoded;
    }

    private Compressor Thorough()
    {
        var encoder = new Compressor(level);
        if (level == TunedLevel) encoder.SetParameter(ZSTD_cParameter.ZSTD_c_searchLog, TunedSearchLog);
        return encoder;
    }

    /// <summary>True when all bytes are about equally frequent in a sample. Programs and texts are far from it, so the quick level is not even tried on them.</summary>
    private static bool LooksLikeNoise(ReadOnlySpan<byte> block)
    {
        // Blocks of tables are smaller, and cost nothing.
        if (block.Length < 4 * Sample) return false;
        Span<int> counts = stackalloc int[256];
        counts.Clear();
        for (var i = 0; i < Sample; i++) counts[block[(int)((long)i * block.Length / Sample)]]++;
        // Whole numbers only: the same bytes on every machine. Noise has n + n²/256 here, what can do with 7 bits a byte twice as much.
        long squares = 0;
        foreach (var count in counts) squares += (long)count * count;
        return squares < 2 * (Sample + ((long)Sample * Sample / 256));
    }

    private byte[]? EncodeZlib(ReadOnlySpan<byte> block)
    {
        var buffer = new MemoryStream(block.Length);
        using (var encoder = new ZLibStream(buffer, _zlib, leaveOpen: true)) encoder.Write(block);
        return buffer.Length < block.Length ? buffer.ToArray() : null;
    }

    public void Dispose()
    {
        foreach (var (quick, thorough) in _zstd)
        {
            quick.Dispose();
            thorough.Dispose();
        }
    }
}
