using System.Reflection;
using System.Text.Json;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Api;

/// <summary>Puts together what the faces tell about a device.</summary>
internal sealed class Reports(HostPaths paths, Reconciler reconciler, SelfUpdateAgent update, HostUpdateAgent host)
{
    private const int LongestHistory = 1000;

    public static string Version { get; } = Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    public async Task<StatusReport> StatusAsync(CancellationToken stop)
    {
        var engine = await EngineAsync(stop);
        var (seen, memory) = (reconciler.Seen, reconciler.Journal.Memory);
        return new(Host(), engine, Services(seen, memory), reconciler.CurrentProblems(), [.. reconciler.LastPlan.OfType<Step.Wait>().Select(w => $"{w.For}: {w.Cause}")], reconciler.Steps.Downloads())
        {
            Version = Version,
            Name = Environment.MachineName,
            Addresses = HostReader.Addresses(),
            Releases = [.. (memory.Target?.Apps ?? []).Select(r => Of(r, seen, memory))],
            Rounds = reconciler.Rounds,
            Supervisor = update.Report(),
            HostUpdate = host.Report(),
        };
    }

    /// <summary>What was done with a service, and what would be done now; null when nobody ever heard of it.</summary>
    public WhyReport? Why(string service)
    {
        var known = reconciler.Journal.Memory.Target?.Apps.Exists(a => a.Services.ContainsKey(Name(service))) == true || reconciler.Seen?.Containers.Exists(c => Is(c, service)) == true;
        var history = reconciler.History.Of(service, 50);
        if (!known && history.Count == 0) return null;
        var containers = (reconciler.Seen?.Containers ?? []).Where(c => Is(c, service)).ToList();
        var now = containers.Count == 0 ? Itself(service) ?? "it has no container" : string.Join("; ", containers.Select(c => $"{c.Name} is {Changes.Text(c)}"));
        var ids = containers.Select(c => c.Id).ToHashSet();
        var plan = reconciler.LastPlan.Where(s => s.What.Contains(Name(service), StringComparison.Ordinal) || s.Cause.Contains(Name(service), StringComparison.Ordinal) || ids.Any(id => s.Key.Contains(id, StringComparison.Ordinal)));
        return new(service, now, [.. plan.Select(Of)], [.. history.Select(Of)]);
    }

    /// <summary>What would be done now: the planner on a fresh look, without doing anything.</summary>
    public async Task<PlanReport> PlanAsync(CancellationToken stop) =>
        reconciler.Journal.Memory.Target is not { } target ? new([]) : new([.. Planner.NextSteps(await reconciler.ObserveAsync(stop), target, reconciler.Now).Select(Of)]);

    public HistoryReport History(string? service, int last) => new([.. reconciler.History.Of(service, Math.Clamp(last, 1, LongestHistory)).Select(Of)]);

    public static bool Is(ContainerState container, string service) => container.Service == service || container.Key == service;

    /// <summary>Of what is updated like a service and is none.</summary>
    private string? Itself(string name) => name switch
    {
        SelfUpdateAgent.Service => $"{Version} runs; good is {update.Report().Good}",
        HostUpdateAgent.Service => $"{host.Report().Good ?? "the host of the disk image"} is good",
        _ => null,
    };

    private static string Name(string service) => service[(service.IndexOf('/') + 1)..];

    private static WhyEntry Of(Step step) => new(null, step.What, step.Cause, null, "");

    private static WhyEntry Of(HistoryEntry entry) => new(entry.At.ToString("u"), entry.What, entry.Cause, entry.Outcome, entry.Service);

    private JsonElement? Host()
    {
        try
        {
            var file = Path.Combine(paths.Run, "host.json");
            if (!File.Exists(file)) return null;
            using var json = JsonDocument.Parse(File.ReadAllBytes(file));
            return json.RootElement.Clone();
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    private async Task<EngineReport> EngineAsync(CancellationToken stop)
    {
        try
        {
            var version = await reconciler.Engine.VersionAsync(stop);
            return new(true, version.Version, version.APIVersion);
        }
        catch (Exception e) when (e is EngineUnreachableException or EngineRefusedException)
        {
            return new(false, null, null);
        }
    }

    private static ReleaseReport Of(Release release, CurrentState? seen, Memory memory)
    {
        var bad = seen is null ? null : memory.Bad.Find(b => b.App == release.App && b.Fingerprint == release.Fingerprint());
        var good = memory.Good.GetValueOrDefault(release.App)?.Fingerprint() == release.Fingerprint();
        return new(release.App, release.Fingerprint(), release.Commit, good ? "good" : bad is not null ? "bad" : "on trial", good ? null : bad?.Reason);
    }

    private static List<ServiceReport> Services(CurrentState? seen, Memory memory)
    {
        var reports = new List<ServiceReport>();
        foreach (var release in memory.Target?.Apps ?? [])
            foreach (var service in release.Services.Values)
            {
                var all = (seen?.Containers ?? []).Where(c => c.App == release.App && c.Service == service.Name).OrderByDescending(c => c.Up).ToList();
                var held = memory.Stopped.Contains($"{release.App}/{service.Name}");
                if (all.Count == 0) reports.Add(new(release.App, service.Name, service.Image, "missing", "", "", 0, 0, 0, Texts(service.Container.Ports)) { Held = held });
                foreach (var c in all)
                {
                    // What runs may be of another release than the target: before an update, or after going back.
                    var made = SpecHash.ReadService(c.Spec);
                    reports.Add(new(release.App, service.Name, made?.Image ?? service.Image, c.Status.ToString().ToLowerInvariant(), c.Health == Health.None ? "" : c.Health.ToString().ToLowerInvariant(), c.Name,
                        c.ExitCode, c.Starts, Math.Round((c.Up ? c.RunningFor : c.EndedFor).TotalSeconds), Texts((made?.Container ?? service.Container).Ports)) { Held = held });
                }
            }

        return reports;
    }

    private static List<string> Texts(List<PortSpec>? ports) => (ports ?? []).ConvertAll(p => p.ToString());
}
