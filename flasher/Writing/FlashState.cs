using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Writing;

/// <summary>How one target of a flash stands.</summary>
internal sealed record TargetState
{
    public required string Device { get; init; }

    public CopyPhase Phase { get; init; }

    public long Done { get; init; }

    public long? Total { get; init; }

    public double? Fraction { get; init; }

    /// <summary>Bytes of the image per second in this phase, smoothed over the last seconds.</summary>
    public double BytesPerSecond { get; init; }

    /// <summary>Time left in this phase, or null while nobody can tell.</summary>
    public TimeSpan? Left { get; init; }

    public int RangesRewritten { get; init; }

    public CopyOutcome? Outcome { get; init; }

    /// <summary>When the phase began and the last speed was measured.</summary>
    public DateTimeOffset PhaseStart { get; init; }

    public DateTimeOffset Measured { get; init; }

    public long MeasuredDone { get; init; }
}

/// <summary>How a flash stands: a fold over its events, pure. The console and the web page are two views of it.</summary>
internal sealed record FlashState(IReadOnlyList<TargetState> Targets)
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(0.5);

    public bool Ended => Targets.All(t => t.Outcome is not null);

    public static FlashState For(IEnumerable<string> devices) => new([.. devices.Select(d => new TargetState { Device = d })]);

    /// <summary>The state after an event that came at <paramref name="now"/>.</summary>
    public FlashState Apply(CopyEvent happened, DateTimeOffset now) =>
        this with { Targets = [.. Targets.Select((t, i) => i == happened.Target ? After(t, happened, now) : t)] };

    private static TargetState After(TargetState state, CopyEvent happened, DateTimeOffset now) => happened switch
    {
        CopyEvent.PhaseStarted started => state with
        {
            Phase = started.Phase, Total = started.Total, Done = 0, Fraction = 0, BytesPerSecond = 0, Left = null, PhaseStart = now, Measured = now, MeasuredDone = 0,
        },
        CopyEvent.Progress progress => Measure(state with { Done = progress.Done, Total = progress.Total, Fraction = progress.Fraction }, now),
        CopyEvent.RangeRewritten => state with { RangesRewritten = state.RangesRewritten + 1 },
        CopyEvent.Ended ended => state with { Outcome = ended.Outcome, Left = null },
        _ => state,
    };

    private static TargetState Measure(TargetState state, DateTimeOffset now)
    {
        var since = now - state.Measured;
        if (since < Window) return state;
        var speed = (state.Done - state.MeasuredDone) / since.TotalSeconds;
        var smooth = state.MeasuredDone == 0 ? speed : (0.7 * state.BytesPerSecond) + (0.3 * speed);
        var elapsed = now - state.PhaseStart;
        TimeSpan? left = state.Total is { } total && smooth > 0 ? TimeSpan.FromSeconds((total - state.Done) / smooth)
            : state.Fraction is > 0.01 and var part ? elapsed * ((1 - part) / part)
            : null;
        return state with { BytesPerSecond = smooth, Left = left, Measured = now, MeasuredDone = state.Done };
    }
}
