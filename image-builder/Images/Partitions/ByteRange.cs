namespace OsBuild.Images.Partitions;

/// <summary>A run of bytes.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Number of bytes.</param>
public readonly record struct ByteRange(long Offset, long Length)
{
    /// <summary>The first byte after the run.</summary>
    public long End => checked(Offset + Length);

    /// <summary>True when both have a byte in common.</summary>
    public bool Overlaps(ByteRange other) => Length > 0 && other.Length > 0 && Offset < other.End && other.Offset < End;

    /// <summary>True when all of <paramref name="other"/> lies inside.</summary>
    public bool Contains(ByteRange other) => other.Offset >= Offset && other.End <= End;

    /// <inheritdoc/>
    public override string ToString() => $"[{Offset}, {End})";
}
