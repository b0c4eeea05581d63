using System.Text;

namespace OsBuild.Supervisor.Api;

/// <summary>Reports as text for a person.</summary>
internal static class CliText
{
    public static string Status(StatusReport report)
    {
        var text = new StringBuilder();
        if (report.Host is { } host)
        {
            foreach (var property in host.EnumerateObject())
                if (property.Value.ValueKind is not (System.Text.Json.JsonValueKind.Object or System.Text.Json.JsonValueKind.Array)) text.AppendLine($"{property.Name,-12} {property.Value}");
        }

        text.AppendLine($"{"engine",-12} {(report.Engine.Up ? $"{report.Engine.Version} (API {report.Engine.ApiVersion})" : "does not answer")}");
        foreach (var release in report.Releases) text.AppendLine($"{"release",-12} {release.App} {(release.Commit.Length > 0 ? release.Commit : release.Fingerprint)}: {release.State}{(release.Reason is null ? "" : $" ({release.Reason}); the last good one runs")}");
        text.AppendLine();
        text.AppendLine($"{"SERVICE",-20} {"STATE",-10} {"HEALTH",-10} {"FOR",-10} {"IMAGE",-30} PORTS");
        foreach (var s in report.Services) text.AppendLine($"{s.Name,-20} {(s.State == "exited" ? $"exited({s.ExitCode})" : s.State),-10} {s.Health,-10} {TimeSpan.FromSeconds(s.Seconds),-10} {s.Image,-30} {string.Join(", ", s.Ports)}");
        foreach (var (reference, progress) in report.Downloads) text.AppendLine($"downloading {reference}: {progress}");
        foreach (var wait in report.Waiting) text.AppendLine($"waiting for {wait}");
        foreach (var (part, problem) in report.Problems) text.AppendLine($"! {part}: {problem}");
        return text.ToString();
    }

    public static string Why(WhyReport report)
    {
        var text = new StringBuilder($"{report.Service}: {report.Now}\n");
        foreach (var step in report.Plan) text.AppendLine($"now: {step.What}: {step.Cause}");
        foreach (var entry in report.History) text.AppendLine($"{entry.At}  {entry.What}: {entry.Cause}{(entry.Outcome == "done" ? "" : $" → {entry.Outcome}")}");
        return text.ToString();
    }

    public static string Plan(PlanReport report) => report.Steps.Count == 0 ? "Nothing to do." : string.Join('\n', report.Steps.Select(s => $"{s.What}: {s.Cause}"));
}
