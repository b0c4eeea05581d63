using OsBuild.Supervisor.Init;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>What a worker may take, on trial and when it fails.</summary>
internal sealed record TrialBounds
{
    /// <summary>How long it may look, beside the old one, before it says that it is ready. Long enough for an engine that is starting.</summary>
    public TimeSpan ReadyWithin { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How long it must do the work before it is good.</summary>
    public TimeSpan Proving { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>The longest time without a beat of its loop, which goes round at least every 30 s.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(75);

    /// <summary>The most memory (PSS, in KiB). A worker with ten services takes a tenth of it.</summary>
    public long Kilobytes { get; init; } = 256 << 10;

    /// <summary>After a boot: how long the old one works before a trial that was cut off is begun again.</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>After a boot: how long the engine may take to answer before that trial begins all the same.</summary>
    public TimeSpan EngineWithin { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long to wait before a worker that ended is started again, by how often it failed in a row.</summary>
    public Func<int, TimeSpan> Pause { get; init; } = RestartDelay.After;
}

/// <summary>What was seen of a worker on trial.</summary>
/// <param name="Now">Monotonic, in milliseconds.</param>
/// <param name="Ended">How it ended, or null while it runs.</param>
/// <param name="Ready">It has said that it is ready.</param>
/// <param name="Beat">Its heartbeat, empty before the first.</param>
/// <param name="Answers">Its API answers on the device: through it the next update comes.</param>
/// <param name="Kilobytes">Its memory.</param>
internal sealed record TrialSight(long Now, string? Ended, bool Ready, string Beat, bool Answers, long Kilobytes);

internal enum TrialAct
{
    Wait,

    /// <summary>The old one leaves, the new one does the work.</summary>
    TakeOver,

    Prove,
    Reject,
}

/// <summary>How far a trial is. Pure: a fold over what is seen.</summary>
/// <param name="Working">False: it looks, beside the old one, and changes nothing. True: it does the work, the old one is gone.</param>
/// <param name="Since">When that began.</param>
/// <param name="Beat">The heartbeat last seen.</param>
/// <param name="BeatAt">When it last changed.</param>
internal sealed record Trial(bool Working, long Since, string Beat, long BeatAt)
{
    public static Trial Begin(long now) => new(false, now, "", now);

    public (Trial Next, TrialAct Act, string Reason) On(TrialSight sight, TrialBounds bounds)
    {
        var time = TimeSpan.FromMilliseconds(sight.Now - Since);
        if (sight.Kilobytes > bounds.Kilobytes) return Bad($"it took {sight.Kilobytes >> 10} MiB of memory, and may take {bounds.Kilobytes >> 10}");
        if (!Working)
        {
            if (sight.Ended is { } end) return sight.Ready && end == Clean ? (new(true, sight.Now, "", sight.Now), TrialAct.TakeOver, "") : Bad($"{end} before it was ready");
            return time > bounds.ReadyWithin ? Bad($"it was not ready within {bounds.ReadyWithin.TotalSeconds:0} s") : (this, TrialAct.Wait, "");
        }

        if (sight.Ended is { } ended) return Bad($"{ended} {time.TotalSeconds:0} s after it took over");
        var next = sight.Beat == Beat ? this : this with { Beat = sight.Beat, BeatAt = sight.Now };
        if (sight.Now - next.BeatAt > bounds.Silence.TotalMilliseconds) return Bad($"it gave no sign of life for {bounds.Silence.TotalSeconds:0} s");
        // One beat after the time: a loop that stopped just before is still to be found out.
        if (next.Beat.Length == 0 || next.BeatAt - Since < bounds.Proving.TotalMilliseconds) return (next, TrialAct.Wait, "");
        if (sight.Answers) return (next, TrialAct.Prove, "");
        return time < bounds.Proving + bounds.Silence ? (next, TrialAct.Wait, "") : Bad("its API did not answer on the device");
    }

    /// <summary>How a look that found everything in order ends.</summary>
    public const string Clean = "it ended with 0";

    private (Trial Next, TrialAct Act, string Reason) Bad(string reason) => (this, TrialAct.Reject, reason);
}

/// <summary>Quick ends in a row of a worker that was good once. Pure.</summary>
internal sealed record QuickEnds(int Count)
{
    public const int Most = 5;
    private const long Quick = 60_000;

    /// <param name="lifetime">How long it ran, in milliseconds.</param>
    public QuickEnds After(long lifetime) => new(lifetime < Quick ? Count + 1 : 0);

    public bool TooMany => Count >= Most;
}
