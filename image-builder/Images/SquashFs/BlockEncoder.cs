using System.Collections.Concurrent;
using System.IO.Compression;
using ZstdSharp;

namespace OsBuild.Images.SquashFs;

/// <summary>Compresses single blocks, on any number of threads. What zstd's fastest level finds nothing in (packed documentation, pictures,
/// kernel modules that are compressed already) is stored at once: the slow levels would look for long and find next to nothing too.</summary>
internal sealed class BlockEncoder(SquashFsCompression compression, int level) : IDisposable
{
    private const int QuickLevel = 1;
    // Blocks of tables are small, and cost nothing.
    private const int LeastTried = 16 << 10;

    private readonly ConcurrentBag<(Compressor Quick, Compressor Thorough)> _zstd = [];
    private readonly ZLibCompressionOptions _zlib = new() { CompressionLevel = Math.Min(level, 9) };

    /// <summary>The compressed bytes, or null when they would not be fewer.</summary>
    public byte[]? Encode(ReadOnlySpan<byte> block) => compression == SquashFsCompression.Zstd ? EncodeZstd(block) : EncodeZlib(block);

    private byte[]? EncodeZstd(ReadOnlySpan<byte> block)
    {
        if (!_zstd.TryTake(out var encoders)) encoders = (new Compressor(QuickLevel), new Compressor(level));
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Compressor.GetCompressBound(block.Length));
        var isWorthIt = block.Length < LeastTried || encoders.Quick.Wrap(block, buffer) < block.Length - (block.Length / 64);
        var size = isWorthIt ? encoders.Thorough.Wrap(block, buffer) : block.Length;
        _zstd.Add(encoders);
        var encoded = size < block.Length ? buffer.AsSpan(0, size).ToArray() : null;
        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return encoded;
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
