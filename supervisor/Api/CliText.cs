using System.Globalization;
using System.Text;
using System.Text.Json;

namespace OsBuild.Supervisor.Api;

/// <summary>Reports as text for a person. Pure.</summary>
internal static class CliText
{
    public static string Status(StatusReport report)
    {
        var text = new StringBuilder();
        List<string[]> facts = [["device", string.Join("  ", ((string?[])[Of(report.Host, "hostName") ?? report.Name, Of(report.Host, "board"), Of(report.Host, "slot") is { } slot ? $"slot {slot}" : null, string.Join(", ", report.Addresses)]).Where(f => f?.Length > 0))]];
        if (Of(report.Host, "lastShutdown") is { } last) facts.Add(["last stop", last + (Of(report.Host, "lastShutdownClean") == "false" ? " (not clean)" : "")]);
        if (Host(report.HostUpdate) is { Length: > 0 } host) facts.Add(["host", host.TrimStart()]);
        facts.Add(["supervisor", report.Version + Update(report.Supervisor)]);
        facts.Add(["engine", report.Engine.Up ? $"{report.Engine.Version} (API {report.Engine.ApiVersion})" : "does not answer"]);
        foreach (var release in report.Releases) facts.Add(["app", $"{release.App}  {(release.Commit.Length > 0 ? release.Commit : release.Fingerprint)}  {release.State}{(release.Reason is null ? "" : $": {release.Reason}; the last good one runs")}"]);
        text.Append(Table(facts));
        if (report.Services.Count > 0)
        {
            List<string[]> rows = [["SERVICE", "STATE", "HEALTH", "FOR", "IMAGE", "PORTS"]];
            rows.AddRange(report.Services.Select(s => (string[])[s.Name, State(s), s.Health.Length == 0 ? "-" : s.Health, s.State == "missing" ? "-" : Span(s.Seconds), s.Image, s.Ports.Count == 0 ? "-" : string.Join(", ", s.Ports)]));
            text.AppendLine().Append(Table(rows));
        }

        foreach (var (reference, progress) in report.Downloads) text.AppendLine($"downloading {reference}: {progress}");
        foreach (var wait in report.Waiting) text.AppendLine($"waiting for {wait}");
        foreach (var (part, problem) in report.Problems) text.AppendLine($"! {part}: {problem}");
        return text.ToString();
    }

    /// <summary>What a person should know of the host's update; nothing when there never was one.</summary>
    private static string Host(HostUpdateReport? update) => update switch
    {
        { State: "on trial", Trial: { } trial } => $"  {trial} is on trial",
        { State: "bad", Bad: [.., var bad] } => $"  {bad}",
        { State: "waiting" or "written", Wanted: { } wanted } => $"  {wanted}: {update.Doing ?? "is being fetched"}",
        { Good: { } good } => $"  from {good}",
        _ => "",
    };

    /// <summary>What a person should know of the supervisor's own update; nothing when there never was one.</summary>
    private static string Update(SupervisorReport? update) => update switch
    {
        { Trial: { } trial } => $"  {trial} is on trial, try {update.Tries}",
        { State: "bad", Bad: [.., var bad] } => $"  {bad}; {update.Good} runs",
        { Good: var good } when good != SelfUpdate.UpdateRecord.BuiltIn => $"  from {good}",
        _ => "",
    };

    public static string Why(WhyReport report)
    {
        var text = new StringBuilder($"{report.Service}: {report.Now}\n");
        if (report.Plan.Count > 0) text.Append("\nnow\n").Append(Table([.. report.Plan.Select(s => (string[])["  " + s.What, "because " + s.Cause])]));
        if (report.History.Count > 0) text.Append("\nbefore\n").Append(Table([.. report.History.Select(e => (string[])["  " + e.At, e.What, "because " + e.Cause + (e.Outcome is null or "done" ? "" : $"; {e.Outcome}")])]));
        return text.ToString();
    }

    public static string Plan(PlanReport report) => report.Steps.Count == 0 ? "Nothing to do: everything is as it should be." : Table([.. report.Steps.Select((s, i) => (string[])[$"{i + 1}.", s.What, "because " + s.Cause])]);

    /// <summary>Seconds as a person says them: the two largest units.</summary>
    public static string Span(double seconds)
    {
        var time = TimeSpan.FromSeconds(seconds);
        return time switch
        {
            { TotalDays: >= 1 } => $"{(int)time.TotalDays}d {time.Hours}h",
            { TotalHours: >= 1 } => $"{time.Hours}h {time.Minutes}min",
            { TotalMinutes: >= 1 } => $"{time.Minutes}min {time.Seconds}s",
            _ => string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalSeconds}s"),
        };
    }

    /// <summary>Rows with their columns under each other; the last column is as long as it is.</summary>
    public static string Table(List<string[]> rows)
    {
        var text = new StringBuilder();
        var widths = Enumerable.Range(0, rows[0].Length).Select(i => rows.Max(r => r[i].Length)).ToList();
        foreach (var row in rows) text.AppendLine(string.Join("  ", row.Select((cell, i) => i == row.Length - 1 ? cell : cell.PadRight(widths[i]))).TrimEnd());
        return text.ToString();
    }

    private static string State(ServiceReport s) => s.Held && s.State != "running" ? "stopped by hand" : s.State == "exited" ? s.ExitCode == 0 ? "finished" : $"exited with {s.ExitCode}" : s.State;

    private static string? Of(JsonElement? host, string name) => host is { ValueKind: JsonValueKind.Object } h && h.TryGetProperty(name, out var value) ? value.ToString().ToLowerInvariant() is "true" or "false" ? value.ToString().ToLowerInvariant() : value.ToString() : null;
}
