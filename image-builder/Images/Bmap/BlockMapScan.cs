using System.Security.Cryptography;

namespace OsBuild.Images.Bmap;

/// <summary>Makes a block map, with the digest of every run, from an image.</summary>
public static class BlockMapScan
{
    /// <summary>Maps the blocks that hold a byte that is not zero.</summary>
    /// <param name="image">A seekable stream.</param>
    /// <param name="extents">Where data may be (offset and length, in order, for example from SEEK_DATA and SEEK_HOLE), or null to read
    /// the whole image.</param>
    /// <param name="blockSize">Block size in bytes.</param>
    /// <exception cref="ImageException">The image ends before its length.</exception>
    public static BlockMap Scan(Stream image, IEnumerable<(long Offset, long Length)>? extents = null, int blockSize = 4096)
    {
        var size = image.Length;
        var ranges = new List<BlockRange>();
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Math.Max(1, (1 << 20) / blockSize) * blockSize];
        var (open, next) = (-1L, 0L);
        foreach (var (offset, length) in extents ?? [(0, size)])
        {
            var from = Math.Max(next, offset / blockSize);
            var to = Math.Min((offset + length + blockSize - 1) / blockSize, (size + blockSize - 1) / blockSize);
            if (from > next) Close(next);
            for (var block = from; block < to;)
            {
                var want = (int)Math.Min(Math.Min(buffer.Length, (to - block) * blockSize), size - (block * blockSize));
                image.Position = block * blockSize;
                if (image.ReadAtLeast(buffer.AsSpan(0, want), want, throwOnEndOfStream: false) < want)
                    throw new ImageException(ImageErrorKind.Corrupt, $"The image ended before its {size} bytes.");
                for (var at = 0; at < want; at += blockSize, block++)
                {
                    var bytes = buffer.AsSpan(at, Math.Min(blockSize, want - at));
                    if (bytes.IndexOfAnyExcept((byte)0) < 0) Close(block);
                    else
                    {
                        if (open < 0) open = block;
                        digest.AppendData(bytes);
                    }
                }
            }

            next = Math.Max(next, to);
        }

        Close(next);
        return new BlockMap { ImageSize = size, BlockSize = blockSize, Ranges = ranges };

        void Close(long end)
        {
            if (open < 0) return;
            ranges.Add(new BlockRange(open, end - 1, Convert.ToHexStringLower(digest.GetHashAndReset())));
            open = -1;
        }
    }
}
