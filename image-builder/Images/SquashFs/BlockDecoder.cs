using System.IO.Compression;
using OsBuild.Images.Compression;
using ZstdSharp;

namespace OsBuild.Images.SquashFs;

/// <summary>Decompresses single blocks.</summary>
internal sealed class BlockDecoder
{
    private const string Format = "squashfs";
    private readonly SquashFsCompression _compression;

    public BlockDecoder(SquashFsCompression compression)
    {
        if (compression is SquashFsCompression.Lzma or SquashFsCompression.Lzo or SquashFsCompression.Lz4)
            throw Damage.Unsupported(Format, $"{compression.ToString().ToLowerInvariant()} compression");
        if (compression is not (SquashFsCompression.Gzip or SquashFsCompression.Xz or SquashFsCompression.Zstd))
            throw Damage.Corrupt(Format, $"the compression {(int)compression} does not exist");
        _compression = compression;
    }

    /// <summary>Decodes a block; gives its length, which must not be more than fits.</summary>
    public int Decode(byte[] encoded, Span<byte> to)
    {
        try
        {
            if (_compression == SquashFsCompression.Zstd)
            {
                using var zstd = new Decompressor();
                return zstd.Unwrap(encoded, to);
            }

            using Stream decoder = _compression == SquashFsCompression.Gzip
                ? new ZLibStream(new MemoryStream(encoded), CompressionMode.Decompress)
                : new XzReader(new MemoryStream(encoded));
            var length = decoder.ReadAtLeast(to, to.Length, throwOnEndOfStream: false);
            return decoder.ReadByte() < 0 ? length : throw Damage.Corrupt(Format, "a block is longer than it may be");
        }
        catch (Exception e) when (e is ZstdException or InvalidDataException)
        {
            throw Damage.Corrupt(Format, "a block cannot be decoded", e);
        }
    }
}
