namespace OsBuild.Supervisor.HostUpdate;

/// <summary>How long a host on trial may take.</summary>
internal sealed record HostBounds
{
    /// <summary>How long everything must be well without a break.</summary>
    public TimeSpan Steady { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>From the kernel's start to the verdict. Long enough for a slow board with an engine that mends its store.</summary>
    public TimeSpan Within { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Between two looks.</summary>
    public TimeSpan Look { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>What PID 1 sees of a host on trial.</summary>
/// <param name="Now">Monotonic, in milliseconds since the kernel started.</param>
/// <param name="Engine">The engine has answered.</param>
/// <param name="Beat">The worker's heartbeat, empty before the first.</param>
/// <param name="Starts">How often the worker was started.</param>
/// <param name="Unfit">What the worker misses (a service that ran before, the network); empty: nothing; null: it has not said.</param>
internal sealed record HostSight(long Now, bool Engine, string Beat, int Starts, string? Unfit);

internal enum HostAct
{
    Wait,
    Prove,
    Reject,
}

/// <summary>How far the trial of a host is. Pure: a fold over what is seen.</summary>
/// <param name="Since">Since when everything has been well, in milliseconds; the last time it was not.</param>
/// <param name="Beat">The heartbeat then.</param>
/// <param name="Starts">Starts of the worker then.</param>
internal sealed record HostTrial(long Since, string Beat, int Starts)
{
    public static HostTrial Begin(long now) => new(now, "", 0);

    public (HostTrial Next, HostAct Act, string Reason) On(HostSight sight, HostBounds bounds)
    {
        var missing = Missing(sight);
        var next = missing is null ? this : new HostTrial(sight.Now, sight.Beat, sight.Starts);
        // The beat must have changed: a loop that stands still looks well for a while.
        if (missing is null && sight.Now - Since >= bounds.Steady.TotalMilliseconds && sight.Beat != Beat) return (next, HostAct.Prove, "");
        return sight.Now >= bounds.Within.TotalMilliseconds ? (next, HostAct.Reject, $"{missing ?? "it was not well for long enough"}, {bounds.Within.TotalMinutes:0} min after its start") : (next, HostAct.Wait, missing ?? "");
    }

    private string? Missing(HostSight sight) =>
        !sight.Engine ? "the engine does not answer"
        : sight.Beat.Length == 0 ? "the supervisor's worker makes no progress"
        : sight.Starts != Starts ? "the supervisor's worker is started again and again"
        : sight.Unfit is null ? "the supervisor's worker has not looked at the services yet"
        : sight.Unfit.Length > 0 ? sight.Unfit
        : null;
}
