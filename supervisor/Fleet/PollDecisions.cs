using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>An answer of the fleet, or none: status 0 with the reason why it could not be reached.</summary>
internal sealed record ApiAnswer(int Status, byte[] Body)
{
    public string? ETag { get; init; }
    public TimeSpan? RetryAfter { get; init; }
    public string? Error { get; init; }

    public bool Ok => Status is >= 200 and < 300;
    public bool Reached => Status is > 0 and < 500 && Status != 429;

    /// <summary>For a problem report.</summary>
    public string Explain => Error ?? $"the fleet answered {Status}{(Body.Length is > 0 and < 300 ? $" ({System.Text.Encoding.UTF8.GetString(Body).Trim('"', '\n', ' ')})" : "")}";
}

/// <summary>When the fleet is asked next. Pure: the failures so far and a random number are arguments.</summary>
internal static class Pacing
{
    /// <summary>So that a fleet does not ask in one beat after an outage.</summary>
    private static readonly TimeSpan Jitter = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan LongestWish = TimeSpan.FromDays(1);

    /// <param name="interval">The regular poll interval.</param>
    /// <param name="failures">Failed tries in a row.</param>
    /// <param name="retryAfter">What the last failed answer asked for.</param>
    /// <param name="random">From 0 to 1.</param>
    public static TimeSpan NextPoll(TimeSpan interval, int failures, TimeSpan? retryAfter, double random) => failures == 0
        // A short interval was chosen by somebody who is waiting: the jitter stays small beside it.
        ? interval + random * (Jitter < interval / 10 ? Jitter : interval / 10)
        : AfterFailure(interval, failures, retryAfter);

    /// <summary>min(interval, 15 s · 2ⁿ), or what the fleet asked for when that is longer.</summary>
    public static TimeSpan AfterFailure(TimeSpan interval, int failures, TimeSpan? retryAfter)
    {
        var backoff = TimeSpan.FromSeconds(Math.Min(interval.TotalSeconds, FirstRetry.TotalSeconds * Math.Pow(2, Math.Clamp(failures - 1, 0, 20))));
        if (retryAfter is not { } wish || wish < backoff) return backoff;
        return wish < LongestWish ? wish : LongestWish;
    }
}

/// <summary>What an answer to the question for the target state means.</summary>
internal abstract record PollOutcome
{
    private PollOutcome() { }

    /// <summary>Nothing new; also when the fleet does not know the device any more, which it says in the same way. Everything goes on.</summary>
    public sealed record Unchanged : PollOutcome;

    /// <summary>A body to read.</summary>
    public sealed record Changed(byte[] Body, string? ETag) : PollOutcome;

    /// <summary>No answer, or one that cannot be used. Everything goes on.</summary>
    public sealed record Failed(string Reason, TimeSpan? RetryAfter) : PollOutcome;

    public static PollOutcome Of(ApiAnswer answer) => answer.Status switch
    {
        304 => new Unchanged(),
        200 => new Changed(answer.Body, answer.ETag),
        401 => new Failed("the fleet refuses the device's key (401); the device goes on with what it has", answer.RetryAfter),
        404 => new Failed("the fleet does not know this device (404); the device goes on with what it has", answer.RetryAfter),
        _ => new Failed(answer.Explain, answer.RetryAfter),
    };
}

/// <summary>Whether a target is believed. One that would end everything must come twice: the cost of a fleet's slip is too high.</summary>
/// <param name="Empty">The last target was empty and was not believed yet.</param>
internal sealed record Belief(bool Empty = false)
{
    /// <param name="target">What was read.</param>
    /// <param name="running">The target the device goes by now.</param>
    public (Belief Next, bool Believe) Judge(FleetTarget target, TargetState? running)
    {
        var nothing = target.Releases.Count == 0 && target.Rejected.Count == 0;
        if (!nothing || running is null || running.Apps.TrueForAll(a => a.Services.Count == 0)) return (new(), true);
        return Empty ? (new(), true) : (new(Empty: true), false);
    }
}

/// <summary>From what was read to what should run: an app whose release was rejected stays as it is.</summary>
internal static class TargetChoice
{
    public static TargetState From(FleetTarget target, TargetState? running)
    {
        var kept = target.Rejected.Select(r => running?.Find(r.App)).OfType<Release>();
        return new([.. target.Releases.Concat(kept).OrderBy(r => r.App, StringComparer.Ordinal)]);
    }
}
