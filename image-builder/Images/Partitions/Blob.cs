namespace OsBuild.Images.Partitions;

/// <summary>A file, or a part of one, that stands at a fixed place of the disk.</summary>
public sealed record BlobSpec
{
    /// <summary>Name for messages; the file's name.</summary>
    public required string Name { get; init; }

    /// <summary>Where its first byte goes: from the start of the disk, or of the partition <see cref="Inside"/>.</summary>
    public required long Offset { get; init; }

    /// <summary>Size of the whole file in bytes.</summary>
    public required long FileSize { get; init; }

    /// <summary>Bytes at the start of the file that are left out.</summary>
    public long Skip { get; init; }

    /// <summary>Bytes taken from the file, or null for all that follow <see cref="Skip"/>.</summary>
    public long? Length { get; init; }

    /// <summary>Bytes of the disk (counted like <see cref="Offset"/>) that this blob must not write; its own bytes for that place are
    /// dropped. Amlogic loaders cover the MBR and spare [440, 512).</summary>
    public IReadOnlyList<ByteRange> Preserve { get; init; } = [];

    /// <summary>The blob may not be larger than this.</summary>
    public long? MaxSize { get; init; }

    /// <summary>Name of the partition it stands in, or null when it stands outside all of them.</summary>
    public string? Inside { get; init; }
}

/// <summary>A place that must stay free.</summary>
/// <param name="Name">Name for messages.</param>
/// <param name="Range">The bytes, from the start of the disk.</param>
/// <param name="Inside">Name of the partition that may cover it, or null.</param>
public sealed record ReservedSpec(string Name, ByteRange Range, string? Inside = null);

/// <summary>A run of a blob's bytes and where it goes.</summary>
/// <param name="FileOffset">First byte in the file.</param>
/// <param name="DiskOffset">First byte on the disk.</param>
/// <param name="Length">Number of bytes.</param>
public readonly record struct BlobPiece(long FileOffset, long DiskOffset, long Length)
{
    /// <summary>The bytes of the disk that it covers.</summary>
    public ByteRange Range => new(DiskOffset, Length);
}

/// <summary>A blob in its place.</summary>
/// <param name="Spec">What was asked for.</param>
/// <param name="Pieces">What is written, in disk order.</param>
public sealed record BlobPlan(BlobSpec Spec, IReadOnlyList<BlobPiece> Pieces)
{
    /// <summary>Cuts a blob into the pieces that spare its preserved ranges.</summary>
    /// <param name="blob">The blob.</param>
    /// <param name="origin">What its offsets count from: 0, or the offset of its partition.</param>
    /// <exception cref="ImageException">The numbers make no sense, or the file is too large.</exception>
    public static BlobPlan For(BlobSpec blob, long origin = 0)
    {
        if (blob.Offset < 0 || blob.Skip < 0 || blob.Length < 0 || blob.Preserve.Any(p => p.Offset < 0 || p.Length < 0))
            throw new ImageException(ImageErrorKind.Unsupported, $"Blob {blob.Name}: offset, skip, length and preserved ranges must not be negative.");
        var rest = blob.FileSize - blob.Skip;
        if (rest <= 0 || blob.Length > rest)
            throw new ImageException(ImageErrorKind.TooLarge,
                $"Blob {blob.Name} has {blob.FileSize} bytes, but skip {blob.Skip} and length {blob.Length?.ToString() ?? "all"} ask for more; is it the right file?");
        var length = blob.Length ?? rest;
        if (length > blob.MaxSize)
            throw new ImageException(ImageErrorKind.TooLarge,
                $"Blob {blob.Name} has {length} bytes, {length - blob.MaxSize} more than the {blob.MaxSize} its place on the disk holds.");

        var pieces = new List<BlobPiece>();
        var at = blob.Offset;
        var end = checked(blob.Offset + length);
        foreach (var keep in blob.Preserve.OrderBy(p => p.Offset))
        {
            Add(at, Math.Min(keep.Offset, end));
            at = Math.Max(at, keep.End);
        }

        Add(at, end);
        return new BlobPlan(blob, pieces);

        void Add(long from, long to)
        {
            if (to > from) pieces.Add(new BlobPiece(blob.Skip + from - blob.Offset, origin + from, to - from));
        }
    }
}
