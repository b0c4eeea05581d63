namespace OsBuild.Supervisor.Planning;

/// <summary>How long to wait after the n-th failure in a row: 2ⁿ times a first delay, never more than five minutes.</summary>
internal static class Backoff
{
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(300);

    /// <summary>A container that ran this long is no longer in a crash loop.</summary>
    public static readonly TimeSpan Stable = TimeSpan.FromSeconds(60);

    /// <summary>After a container ended: a quarter second, one, two, four ... seconds.</summary>
    public static TimeSpan Restart(int starts) => starts <= 1 ? TimeSpan.FromSeconds(0.25) : After(starts - 1, TimeSpan.FromSeconds(0.5));

    /// <summary>After a step failed.</summary>
    public static TimeSpan Step(int failures) => After(failures, TimeSpan.FromSeconds(0.5));

    private static TimeSpan After(int failures, TimeSpan first)
    {
        var seconds = first.TotalSeconds * Math.Pow(2, Math.Clamp(failures, 0, 20));
        return seconds >= Longest.TotalSeconds ? Longest : TimeSpan.FromSeconds(seconds);
    }
}
