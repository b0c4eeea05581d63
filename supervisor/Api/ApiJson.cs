using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.Metrics;

namespace OsBuild.Supervisor.Api;

/// <summary>What <c>status</c> answers.</summary>
internal sealed record StatusReport(JsonElement? Host, EngineReport Engine, List<ServiceReport> Services, SortedDictionary<string, string> Problems, List<string> Waiting, SortedDictionary<string, string> Downloads)
{
    public string Version { get; init; } = "";
    public string Name { get; init; } = "";
    public List<string> Addresses { get; init; } = [];
    public List<ReleaseReport> Releases { get; init; } = [];
    public long Rounds { get; init; }
    public SupervisorReport? Supervisor { get; init; }
    public HostUpdateReport? HostUpdate { get; init; }
}

/// <summary>The update of the supervisor by itself.</summary>
/// <param name="Wanted">The image that is named; null when none is.</param>
/// <param name="State">How far that is: good, bad, on trial, waiting, none.</param>
/// <param name="Good">The last one that proved itself, or <c>built-in</c>.</param>
/// <param name="Trial">The one on trial.</param>
/// <param name="Tries">How often its trial was begun.</param>
/// <param name="Bad">Those that failed, with the reason; the newest last.</param>
internal sealed record SupervisorReport(string? Wanted, string State, string Good, string? Trial, int Tries, List<string> Bad);

/// <summary>The update of the host.</summary>
/// <param name="Wanted">The image that is named; null when none is.</param>
/// <param name="State">How far that is: none, waiting, written, on trial, good, bad.</param>
/// <param name="Good">The last one that proved itself; null: the one of the disk image.</param>
/// <param name="Trial">The one that is in the other slot and is to prove itself.</param>
/// <param name="Doing">What is done with it now, or what it waits for.</param>
/// <param name="Bad">Those that failed, with the reason; the newest last.</param>
internal sealed record HostUpdateReport(string? Wanted, string State, string? Good, string? Trial, string? Doing, List<string> Bad);

internal sealed record EngineReport(bool Up, string? Version, string? ApiVersion);

internal sealed record ServiceReport(string App, string Name, string Image, string State, string Health, string Container, int ExitCode, int Starts, double Seconds, List<string> Ports)
{
    /// <summary>A person stopped it; it stays stopped until somebody starts it.</summary>
    public bool Held { get; init; }
}

internal sealed record ReleaseReport(string App, string Fingerprint, string Commit, string State, string? Reason);

/// <summary>What <c>why</c> answers: what is done now, and what was done.</summary>
internal sealed record WhyReport(string Service, string Now, List<WhyEntry> Plan, List<WhyEntry> History);

internal sealed record WhyEntry(string? At, string What, string Cause, string? Outcome, string Service);

internal sealed record PlanReport(List<WhyEntry> Steps);

internal sealed record HistoryReport(List<WhyEntry> History);

internal sealed record KeyReport(string Key, string? Warning);

/// <summary>What is to be said about a compose file; without errors also what it is called.</summary>
internal sealed record HandoverReport(List<string> Errors, string? App, string? Fingerprint);

/// <summary>A line of a build: some text, or at the end the image or what went wrong.</summary>
internal sealed record BuildLine(string? Text, string? Image = null, string? Error = null);

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StatusReport))]
[JsonSerializable(typeof(WhyReport))]
[JsonSerializable(typeof(PlanReport))]
[JsonSerializable(typeof(KeyReport))]
[JsonSerializable(typeof(HandoverReport))]
[JsonSerializable(typeof(BuildLine))]
[JsonSerializable(typeof(BuildSpec))]
internal sealed partial class ApiJson : JsonSerializerContext;

/// <summary>What is only said, and never read by this program.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Serialization, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HistoryReport))]
[JsonSerializable(typeof(ApiEvent))]
[JsonSerializable(typeof(Sample))]
internal sealed partial class SaidJson : JsonSerializerContext;
