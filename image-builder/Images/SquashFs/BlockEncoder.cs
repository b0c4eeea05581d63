using System.Collections.Concurrent;
using System.IO.Compression;
using ZstdSharp;

namespace OsBuild.Images.SquashFs;

/// <summary>Compresses single blocks, on any number of threads.</summary>
internal sealed class BlockEncoder(SquashFsCompression compression, int level) : IDisposable
{
    private readonly ConcurrentBag<Compressor> _zstd = [];
    private readonly ZLibCompressionOptions _zlib = new() { CompressionLevel = Math.Min(level, 9) };

    /// <summary>The compressed bytes, or null when they would not be fewer.</summary>
    public byte[]? Encode(ReadOnlySpan<byte> block) => compression == SquashFsCompression.Zstd ? EncodeZstd(block) : EncodeZlib(block);

    private byte[]? EncodeZstd(ReadOnlySpan<byte> block)
    {
        if (!_zstd.TryTake(out var encoder)) encoder = new Compressor(level);
        var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Compressor.GetCompressBound(block.Length));
        var size = encoder.Wrap(block, buffer);
        _zstd.Add(encoder);
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
        foreach (var encoder in _zstd) encoder.Dispose();
    }
}
