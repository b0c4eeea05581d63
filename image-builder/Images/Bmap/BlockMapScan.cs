using System.Security.Cryptography;

namespace OsBuild.Images.Bmap;

/// <summary>Makes a block map, with the digest of every run, from an image.</summary>
public static class BlockMapScan
{
    /// <summary>Maps the blocks that the extents touch. Zeros inside an extent are data like any other: a free entry of a FAT is a zero
    /// that must reach the medium, so blocks are never left out for what they hold.</summary>
    /// <param name="image">A seekable stream.</param>
    /// <param name="extents">What was written (offset and length, in order), for example from SEEK_DATA and SEEK_HOLE.</param>
    /// <param name="blockSize">Block size in bytes.</param>
    /// <exception cref="ImageException">The image ends before its length.</exception>
    public static BlockMap Scan(Stream image, IEnumerable<(long Offset, long Length)> extents, int blockSize = 4096)
    {
        var size = image.Length;
        var ranges = new List<BlockRange>();
        foreach (var (first, last) in Runs(extents, blockSize, size)) ranges.Add(new BlockRange(first, last, Digest(image, first, last, blockSize)));
        return new BlockMap { ImageSize = size, BlockSize = blockSize, Ranges = ranges };
    }

    /// <summary>Extents in whole blocks, those that touch made one.</summary>
    private static List<(long First, long Last)> Runs(IEnumerable<(long Offset, long Length)> extents, int blockSize, long size)
    {
        var runs = new List<(long First, long Last)>();
        foreach (var (offset, length) in extents.Where(e => e.Length > 0))
        {
            var (first, last) = (offset / blockSize, (Math.Min(offset + length, size) - 1) / blockSize);
            if (last < first) continue;
            if (runs.Count > 0 && first <= runs[^1].Last + 1) runs[^1] = (runs[^1].First, Math.Max(runs[^1].Last, last));
            else runs.Add((first, last));
        }

        return runs;
    }

    private static string Digest(Stream image, long first, long last, int blockSize)
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        image.Position = first * blockSize;
        for (var left = Math.Min((last + 1) * blockSize, image.Length) - image.Position; left > 0;)
        {
            var got = image.Read(buffer, 0, (int)Math.Min(left, buffer.Length));
            if (got == 0) throw new ImageException(ImageErrorKind.Corrupt, $"The image ended {left} bytes before block {last + 1}.");
            digest.AppendData(buffer, 0, got);
            left -= got;
        }

        return Convert.ToHexStringLower(digest.GetHashAndReset());
    }
}
