using System.Text.Json;
using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.Api;

/// <summary>What <c>status</c> answers.</summary>
internal sealed record StatusReport(JsonElement? Host, EngineReport Engine, List<ServiceReport> Services, SortedDictionary<string, string> Problems, List<string> Waiting, SortedDictionary<string, string> Downloads)
{
    public List<ReleaseReport> Releases { get; init; } = [];
    public long Rounds { get; init; }
}

internal sealed record EngineReport(bool Up, string? Version, string? ApiVersion);

internal sealed record ServiceReport(string App, string Name, string Image, string State, string Health, string Container, int ExitCode, int Starts, double Seconds, List<string> Ports);

internal sealed record ReleaseReport(string App, string Fingerprint, string Commit, string State, string? Reason);

/// <summary>What <c>why</c> answers: what is done now, and what was done.</summary>
internal sealed record WhyReport(string Service, string Now, List<WhyEntry> Plan, List<WhyEntry> History);

internal sealed record WhyEntry(string? At, string What, string Cause, string? Outcome);

internal sealed record PlanReport(List<WhyEntry> Steps);

internal sealed record ErrorReport(List<string> Errors);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(WhyReport))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(ErrorReport))]
internal sealed partial class ApiJson : JsonSerializerContext;
