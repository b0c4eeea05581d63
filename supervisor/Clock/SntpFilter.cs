namespace OsBuild.Supervisor.Clock;

/// <summary>One server's answer.</summary>
/// <param name="Offset">What to add to our clock.</param>
/// <param name="Delay">Round trip: the error is at most half of it.</param>
internal sealed record TimeSample(string Server, TimeSpan Offset, TimeSpan Delay);

/// <summary>What to do with the clock.</summary>
internal abstract record ClockCorrection
{
    private ClockCorrection() { }

    /// <summary>Nothing can be believed yet.</summary>
    public sealed record Wait(string Why) : ClockCorrection;

    /// <summary>Set it.</summary>
    public sealed record Step(TimeSpan By) : ClockCorrection;

    /// <summary>It is right enough.</summary>
    public sealed record Keep(TimeSpan Off) : ClockCorrection;
}

/// <summary>Judges answers of time servers. Pure.</summary>
internal static class SntpFilter
{
    /// <summary>Smaller errors do no harm to TLS, logs or timers, which are monotonic; a step does.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(2);

    /// <summary>Servers that agree are within this of each other, beyond what their delays allow for.</summary>
    private static readonly TimeSpan Agreement = TimeSpan.FromSeconds(1);

    /// <summary>The sample in an answer, or null when it must not be believed (RFC 4330 §5).</summary>
    /// <param name="sent">Our clock when the question went.</param>
    /// <param name="delay">Time until the answer came, by the monotonic clock.</param>
    public static TimeSample? Sample(string server, SntpPacket answer, ulong nonce, DateTimeOffset sent, TimeSpan delay)
    {
        if (answer.Mode != 4 || answer.Version is < 3 or > 4 || answer.Originate != nonce) return null; // not an answer to this question
        if (answer.Leap == 3 || answer.Stratum is 0 or > 15 || answer.Transmit == 0) return null; // not synchronised, or a kiss of death
        if (delay < TimeSpan.Zero || delay > LongestDelay) return null;
        return new TimeSample(server, SntpPacket.ToTime(answer.Transmit) - (sent + (delay / 2)), delay);
    }

    /// <summary>What to do, from one answer each of several servers. Never before the time this program was built; a majority must agree when there is more than one.</summary>
    public static ClockCorrection Judge(IReadOnlyList<TimeSample> samples, DateTimeOffset now, DateTimeOffset built)
    {
        var possible = samples.Where(s => now + s.Offset >= built).ToList();
        if (possible.Count == 0) return new ClockCorrection.Wait(samples.Count == 0 ? "no time server answered" : "every time server is earlier than this program");
        var best = possible.Select(s => possible.Where(o => (o.Offset - s.Offset).Duration() <= Agreement + ((o.Delay + s.Delay) / 2)).ToList()).MaxBy(group => group.Count)!;
        if (best.Count * 2 <= possible.Count) return new ClockCorrection.Wait($"{possible.Count} time servers do not agree");
        var (_, offset, delay) = best.MinBy(s => s.Delay)!; // the shortest way has the smallest error
        return offset.Duration() < Tolerance || offset.Duration() <= delay / 2 ? new ClockCorrection.Keep(offset) : new ClockCorrection.Step(offset);
    }

    /// <summary>When to ask next: soon while the time is unknown, then hourly.</summary>
    public static TimeSpan Next(ClockCorrection done, int failures) => done switch
    {
        ClockCorrection.Wait => TimeSpan.FromSeconds(Math.Min(4L << Math.Min(failures, 8), 900)),
        ClockCorrection.Step => TimeSpan.FromMinutes(1), // look again whether it was right
        _ => TimeSpan.FromHours(1),
    };
}
