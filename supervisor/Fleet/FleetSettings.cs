using System.Globalization;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What the fleet's configuration variables mean for the supervisor. Their names begin with <c>BALENA_</c> or, older, <c>RESIN_</c>;
/// the newer one wins.</summary>
internal sealed record FleetSettings
{
    /// <summary>The API itself refuses less.</summary>
    public static readonly TimeSpan ShortestPoll = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan LongestPoll = TimeSpan.FromDays(1);

    public TimeSpan PollInterval { get; init; } = FleetConfig.DefaultPollInterval;
    public bool OverrideLock { get; init; }
    public bool LocalMode { get; init; }
    public bool SendLogs { get; init; } = true;
    public bool SendMetrics { get; init; } = true;

    /// <summary>False: a push of the fleet ("update now") and the look right after the start wait for the next regular poll.</summary>
    public bool InstantUpdates { get; init; } = true;

    /// <summary>The fleet asks for deltas. There are none here: images come whole, of which the engine downloads the layers it does not have.</summary>
    public bool Deltas { get; init; }

    public static TimeSpan Bounded(TimeSpan interval) => interval < ShortestPoll ? ShortestPoll : interval > LongestPoll ? LongestPoll : interval;

    public static FleetSettings From(IReadOnlyDictionary<string, string> variables, FleetConfig config)
    {
        var interval = Value("SUPERVISOR_POLL_INTERVAL") is { } text && double.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var ms) ? Bounded(TimeSpan.FromMilliseconds(Math.Min(ms, 1e9))) : config.PollInterval;
        return new()
        {
            PollInterval = interval,
            OverrideLock = Flag("OVERRIDE_LOCK") ?? Flag("SUPERVISOR_OVERRIDE_LOCK") ?? false,
            LocalMode = Flag("SUPERVISOR_LOCAL_MODE") ?? config.LocalMode ?? (config.DevelopmentMode && !config.Managed),
            SendLogs = Flag("SUPERVISOR_LOG_CONTROL") ?? true,
            SendMetrics = Flag("SUPERVISOR_HARDWARE_METRICS") ?? true,
            Deltas = Flag("SUPERVISOR_DELTA") ?? false,
            InstantUpdates = Flag("SUPERVISOR_INSTANT_UPDATE_TRIGGER") ?? true,
        };

        string? Value(string name) => variables.GetValueOrDefault("BALENA_" + name) ?? variables.GetValueOrDefault("RESIN_" + name);
        bool? Flag(string name) => Value(name)?.ToLowerInvariant() switch { "1" or "true" or "on" => true, "0" or "false" or "off" => false, _ => null };
    }
}
