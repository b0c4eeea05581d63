using System.Security.Cryptography;
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
        Parallel.For(0, runs.Length, new ParallelOptions { CancellationToken = cancel, MaxDegreeOfParallelism = Environment.ProcessorCount }, () => new byte[1 << 20], (i, _, buffer) =>
        {
            var (first, last) = runs[i];
            var (at, end) = (first * ImageFile.BlockSize, Math.Min((last + 1) * ImageFile.BlockSize, image.Length));
            ranges[i] = new(first, last, (end - at == ImageStore.PieceSize ? image.Store.Early((int)(at / ImageStore.PieceSize)) : null) ?? Digest(image, at, end, buffer, cancel));
            return buffer;
        }, _ => { });
        return new() { ImageSize = image.Length, BlockSize = ImageFile.BlockSize, Ranges = ranges };
    }

    /// <summary>The digest of the whole image, holes included.</summary>
    public static string Whole(ImageFile image, Progress progress, CancellationToken cancel)
    {
        var step = progress.Begin("hash", image.Length);
        var digest = Digest(image, 0, image.Length, new byte[1 << 20], cancel, step.At);
        step.End();
        return digest;
    }

    private static string Digest(ImageFile image, long at, long end, byte[] buffer, CancellationToken cancel, Action<long>? done = null)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        while (at < end)
        {
            cancel.ThrowIfCancellationRequested();
            var some = (int)Math.Min(buffer.Length, end - at);
            image.Store.Read(buffer.AsSpan(0, some), at);
            hash.AppendData(buffer, 0, some);
            at += some;
            done?.Invoke(at);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
