namespace OsBuild.Images.Copying;

/// <summary>What a copy is doing to one of its targets.</summary>
public enum CopyPhase
{
    /// <summary>The first MiB is blanked, so that a half-written medium never looks bootable.</summary>
    Prepare,

    /// <summary>The image goes onto the medium.</summary>
    Write,

    /// <summary>The medium is read back and compared.</summary>
    Verify,

    /// <summary>Ranges that read back wrong are written again.</summary>
    Repair,

    /// <summary>The first MiB with the partition table goes last.</summary>
    Finish,
}

/// <summary>How a copy to one target ended.</summary>
public enum CopyResult
{
    /// <summary>Everything is on the medium (and was read back, unless that was declined).</summary>
    Done,

    /// <summary>It could not be written.</summary>
    Failed,

    /// <summary>It was written, but reads back wrong.</summary>
    VerifyFailed,

    /// <summary>It was stopped by the person.</summary>
    Cancelled,
}

/// <summary>The end of a copy to one target.</summary>
/// <param name="Result">How it ended.</param>
/// <param name="Message">One sentence for a person: what happened, what state the medium is in, and what to do next.</param>
public sealed record CopyOutcome(CopyResult Result, string Message)
{
    /// <summary>Bytes sent to the medium.</summary>
    public long Written { get; init; }

    /// <summary>Bytes that did not need to be sent because the medium already read as zero there.</summary>
    public long Skipped { get; init; }

    /// <summary>Bytes read back.</summary>
    public long Verified { get; init; }

    /// <summary>Bytes that read back wrong at first and right after they were written again.</summary>
    public long Repaired { get; init; }

    /// <summary>First byte that read back wrong, or null.</summary>
    public long? FirstBadOffset { get; init; }
}

/// <summary>What happens during a copy, in order, as plain data: every view of a copy is a fold over these.</summary>
/// <param name="Target">Index of the target in the list given to the copier.</param>
public abstract record CopyEvent(int Target)
{
    /// <summary>A phase begins.</summary>
    /// <param name="Target">Index of the target.</param>
    /// <param name="Phase">The phase.</param>
    /// <param name="Total">Bytes of the image, or null while that is not known.</param>
    public sealed record PhaseStarted(int Target, CopyPhase Phase, long? Total) : CopyEvent(Target);

    /// <summary>How far a phase is; at most some ten times a second.</summary>
    /// <param name="Target">Index of the target.</param>
    /// <param name="Phase">The phase.</param>
    /// <param name="Done">Bytes of the image done with, skipped ones included.</param>
    /// <param name="Total">Bytes of the image, or null while that is not known.</param>
    /// <param name="Fraction">Part of the whole phase that is done, 0 to 1, or null when not even the source knows.</param>
    public sealed record Progress(int Target, CopyPhase Phase, long Done, long? Total, double? Fraction) : CopyEvent(Target);

    /// <summary>A range read back wrong and is written again.</summary>
    /// <param name="Target">Index of the target.</param>
    /// <param name="Offset">First byte of the range.</param>
    /// <param name="Length">Its length in bytes.</param>
    /// <param name="Attempt">Which attempt this is, from 1.</param>
    public sealed record RangeRewritten(int Target, long Offset, long Length, int Attempt) : CopyEvent(Target);

    /// <summary>The copy to this target has ended; nothing follows.</summary>
    /// <param name="Target">Index of the target.</param>
    /// <param name="Outcome">How.</param>
    public sealed record Ended(int Target, CopyOutcome Outcome) : CopyEvent(Target);
}
