using System.Text.Json.Nodes;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What the fleet has accepted of the device's reports, and when the next may go. Pure: a fold over answers.</summary>
internal sealed record Reporting
{
    public static readonly TimeSpan Apart = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan MetricsApart = TimeSpan.FromSeconds(300);

    /// <summary>The report as the fleet knows it.</summary>
    public JsonObject Accepted { get; init; } = [];

    /// <summary>What of the apps the fleet refused (it knows a commit or an image no more): not sent again until it changes.</summary>
    public JsonNode? Refused { get; init; }
    public int Failures { get; init; }
    public TimeSpan? RetryAfter { get; init; }
    public TimeSpan? LastTry { get; init; }

    /// <summary>The fields that differ from what was accepted: the depth the fleet merges at. Empty when there is nothing to tell.</summary>
    public JsonObject Difference(JsonObject report)
    {
        var difference = new JsonObject();
        foreach (var (name, value) in report)
        {
            if (name == "apps" && Refused is not null && JsonNode.DeepEquals(value, Refused)) continue;
            if (!Accepted.TryGetPropertyValue(name, out var before) || !JsonNode.DeepEquals(before, value)) difference[name] = value?.DeepClone();
        }

        return difference;
    }

    /// <summary>When a difference may be sent; null for never, because there is none.</summary>
    public TimeSpan? Due(JsonObject difference, TimeSpan pollInterval)
    {
        if (difference.Count == 0) return null;
        if (LastTry is not { } last) return TimeSpan.Zero;
        var wait = difference.All(d => DeviceReport.Metrics.Contains(d.Key)) ? MetricsApart : Apart;
        var backoff = Failures == 0 ? TimeSpan.Zero : Pacing.AfterFailure(pollInterval, Failures, RetryAfter);
        return last + (backoff > wait ? backoff : wait);
    }

    public Reporting After(JsonObject sent, ApiAnswer answer, TimeSpan now)
    {
        if (answer.Ok)
        {
            var accepted = (JsonObject)Accepted.DeepClone();
            foreach (var (name, value) in sent) accepted[name] = value?.DeepClone();
            return this with { Accepted = accepted, Failures = 0, RetryAfter = null, LastTry = now };
        }

        // 401 is also the answer to a commit or image that is not known any more; then the rest goes without it.
        if (answer.Status is 401 or 400 && sent["apps"] is { } apps) return this with { Refused = apps.DeepClone(), RetryAfter = null, LastTry = now };
        return this with { Failures = Failures + 1, RetryAfter = answer.RetryAfter, LastTry = now };
    }
}
