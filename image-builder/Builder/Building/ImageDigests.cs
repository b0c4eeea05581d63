using System.Collections.Concurrent;
using OsBuild.Images.Bmap;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The digests of an image that is whole.</summary>
internal static class ImageDigests
{
    /// <summary>The block map with a digest for each run. Most were made while the image was; nothing may be written any more.</summary>
    public static BlockMap Map(ImageFile image, CancellationToken cancel)
    {
        image.Flush();
        var runs = image.Runs().ToArray();
        var ranges = new BlockRange[runs.Length];
        var late = new List<int>();
        for (var i = 0; i < runs.Length; i++)
        {
            var (first, last) = runs[i];
            var isPiece = (last + 1 - first) * ImageFile.BlockSize == ImageStore.PieceSize;
            if (isPiece && image.Store.Early((int)(first * ImageFile.BlockSize / ImageStore.PieceSize)) is { } digest) ranges[i] = new(first, last, digest);
            else late.Add(i);
        }

        // One by one: they lie beside each other and have any length, so that equal shares would not be equal work.
        Parallel.ForEach(Partitioner.Create(late, EnumerablePartitionerOptions.NoBuffering), new ParallelOptions { CancellationToken = cancel, MaxDegreeOfParallelism = Environment.ProcessorCount }, () => new byte[ImageStore.HashStep], (i, _, buffer) =>
        {
            var (first, last) = runs[i];
            ranges[i] = new(first, last, image.Store.Digest(first * ImageFile.BlockSize, Math.Min((last + 1) * ImageFile.BlockSize, image.Length), buffer, null, cancel));
            return buffer;
        }, _ => { });
        return new() { ImageSize = image.Length, BlockSize = ImageFile.BlockSize, Ranges = ranges };
    }

    /// <summary>The digest of the whole image, holes included.</summary>
    public static string Whole(ImageFile image, Progress progress, CancellationToken cancel)
    {
        var step = progress.Begin("hash", image.Length);
        var digest = image.Store.Digest(0, image.Length, new byte[ImageStore.HashStep], step.At, cancel);
        step.End();
        return digest;
    }
}
