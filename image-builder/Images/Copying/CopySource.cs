using OsBuild.Images.Bmap;

namespace OsBuild.Images.Copying;

/// <summary>An image as the copier sees it: decoded bytes from the start.</summary>
public sealed record CopySource
{
    /// <summary>The name a person knows it by.</summary>
    public required string Name { get; init; }

    /// <summary>Opens the decoded bytes from the start. Called once for writing, and again when a range must be repaired.</summary>
    public required Func<Stream> Open { get; init; }

    /// <summary>Number of decoded bytes, or null when only the end of the stream tells.</summary>
    public long? Length { get; init; }

    /// <summary>Part of the source that has been consumed, 0 to 1, for sources whose length is not known.</summary>
    public Func<double>? Fraction { get; init; }

    /// <summary>Which blocks hold data; null when nobody has said.</summary>
    public BlockMap? Map { get; init; }

    /// <summary>SHA-256 that the decoded bytes must have, or null.</summary>
    public byte[]? Sha256 { get; init; }

    /// <summary>What is changed on the way. Digest and map speak of the image without it; the medium is held to the image with it.</summary>
    public IReadOnlyList<ImageEdit> Edits { get; init; } = [];
}

/// <summary>How to copy.</summary>
public sealed record CopyOptions
{
    /// <summary>Read everything back and compare.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Leave out runs of zeros where the medium is known to read as zero.</summary>
    public bool SkipZeros { get; init; } = true;

    /// <summary>Find out before writing whether the medium really has the room it claims. Costs some 40 small requests.</summary>
    public bool ProbeCapacity { get; init; }

    /// <summary>Go on where an interrupted write of the same image left off.</summary>
    public bool Resume { get; init; } = true;

    /// <summary>Times that a bad range is written again before the medium is given up.</summary>
    public int RepairAttempts { get; init; } = 3;

    /// <summary>Bytes read, written and digested at once.</summary>
    public int ChunkSize { get; init; } = 1 << 20;

    /// <summary>Chunks in memory between the decoder and the media.</summary>
    public int Chunks { get; init; } = 6;

    /// <summary>Requests under way at a time for each medium.</summary>
    public int Depth { get; init; } = 2;

    /// <summary>Asked some ten times a second for the index of a target: whether that one is to be stopped while the others go on.</summary>
    public Func<int, bool>? StopOne { get; init; }

    /// <summary>A medium that does not answer for so long is given up.</summary>
    public TimeSpan StallLimit { get; init; } = TimeSpan.FromSeconds(120);
}
