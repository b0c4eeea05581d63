using System.Security.Cryptography;
using OsBuild.Images.Bmap;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Digests of a finished image: of each mapped run for the block map, of each partition, and of the whole file.</summary>
internal static class ImageDigests
{
    private const int Chunk = 1 << 20;
    private static readonly byte[] Zeros = new byte[Chunk];

    /// <summary>The block map with a digest for each run.</summary>
    public static BlockMap Map(ImageFile image, CancellationToken cancel)
    {
        var buffer = new byte[Chunk];
        var ranges = new List<BlockRange>();
        foreach (var (first, last) in image.Runs())
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var end = Math.Min((last + 1) * ImageFile.BlockSize, image.Length);
            for (var at = first * ImageFile.BlockSize; at < end; at += buffer.Length)
            {
                cancel.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - at));
                ReadExactly(image, piece, at);
                hash.AppendData(piece);
            }

            ranges.Add(new(first, last, Convert.ToHexStringLower(hash.GetHashAndReset())));
        }

        return new() { ImageSize = image.Length, BlockSize = ImageFile.BlockSize, Ranges = ranges };
    }

    /// <summary>The digest of a part of the image; holes are not read.</summary>
    public static string Of(ImageFile image, long offset, long length, Action<long> done, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[Chunk];
        var at = offset;
        var end = offset + length;
        foreach (var (first, last) in image.Runs())
        {
            var (start, stop) = (Math.Max(first * ImageFile.BlockSize, offset), Math.Min((last + 1) * ImageFile.BlockSize, end));
            if (start >= stop) continue;
            Hole(hash, start - at, cancel);
            for (at = start; at < stop;)
            {
                cancel.ThrowIfCancellationRequested();
                var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, stop - at));
                ReadExactly(image, piece, at);
                hash.AppendData(piece);
                at += piece.Length;
                done(at - offset);
            }
        }

        Hole(hash, end - at, cancel);
        done(length);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Hole(IncrementalHash hash, long length, CancellationToken cancel)
    {
        for (; length > 0; length -= Zeros.Length)
        {
            cancel.ThrowIfCancellationRequested();
            hash.AppendData(Zeros, 0, (int)Math.Min(Zeros.Length, length));
        }
    }

    private static void ReadExactly(ImageFile image, Span<byte> bytes, long at)
    {
        while (!bytes.IsEmpty)
        {
            var got = RandomAccess.Read(image.Handle, bytes, at);
            if (got == 0) throw new EndOfStreamException("The image became shorter while it was hashed; another program changed it.");
            bytes = bytes[got..];
            at += got;
        }
    }
}
