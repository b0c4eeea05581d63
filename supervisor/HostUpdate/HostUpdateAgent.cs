using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>
/// The worker's part of the host's update: it gets the image that is named, writes it into the slot that does not run, boots that as soon as nothing
/// forbids it, and under the new host looks whether everything is as it was.
/// </summary>
/// <param name="paths">Where the host is.</param>
/// <param name="reconciler">Engine, what runs, history.</param>
/// <param name="log">The worker's log.</param>
/// <param name="reboot">Restarts the device; gives why it does not, or null.</param>
internal sealed class HostUpdateAgent(HostPaths paths, Reconciler reconciler, ILogger log, Func<string?> reboot)
{
    public const string Service = "host";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    /// <summary>How long an update of the apps that is under way is waited for. One that never ends must not keep the host from being mended.</summary>
    private static readonly TimeSpan PatienceWithApps = TimeSpan.FromMinutes(15);

    private readonly HostStore store = new(paths);
    private readonly SlotImage images = new(paths, reconciler.Engine, new ArchiveIndex(new Places(paths).Archives));
    private readonly HashSet<(HostBuild, string)> told = [];
    private (DateTime Written, string? Image) configured;
    private string? waiting;
    private string? fitness;
    private TimeSpan? writtenAt;
    private int failures;
    private TimeSpan again;

    /// <summary>How a root partition is found by its name: on the disk of the root that runs.</summary>
    public Func<string, RootPlace?> FindPartition { get; init; } = OnOwnDisk;

    /// <summary>Locks do not hold the next boot.</summary>
    public bool ForceLocks { get; set; }

    public async Task RunAsync(CancellationToken stop)
    {
        (string? Image, string Request) last = default;
        while (true)
        {
            var record = store.Load();
            TellVerdicts(record);
            if (record.Trial is { } trial && trial.Slot == RunningSlot()) TellFitness(record);
            var wanted = Wanted();
            if (wanted != last) (failures, again, last) = (0, TimeSpan.Zero, wanted);
            await StepAsync(record, wanted, stop);
            await Task.Delay(Interval, stop);
        }
    }

    /// <summary>Names an image by hand; null leaves it to config.yaml again. Gives why it is refused, or null.</summary>
    public string? Name(string? image, string by)
    {
        if (Obstacle() is { } obstacle) return obstacle;
        if (image is not null && !ImageReference.TryParse(image, out _)) return $"'{image}' is not an image name";
        store.Named.Value = image is null ? null : (image, DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture));
        Remember(image is null ? "leave the host to config.yaml" : $"update the host to {image}", by, "done");
        return null;
    }

    /// <summary>What runs, what is wanted, what is tried and what failed.</summary>
    public HostUpdateReport Report()
    {
        var record = store.Load();
        var wanted = Wanted();
        return new(wanted.Image, record.StateOf(wanted.Image, wanted.Request), record.Good?.ToString(), record.Trial?.ToString(), waiting ?? images.Progress, [.. record.Bad.Select(b => $"{b.Build}: {b.Reason}")]);
    }

    private async Task StepAsync(HostRecord record, (string? Image, string Request) wanted, CancellationToken stop)
    {
        var step = record.Next(wanted.Image, wanted.Request);
        if (step != HostStep.Arm) (waiting, writtenAt) = (null, null);
        if (step == HostStep.None) reconciler.Report(Service, null);
        if (step is HostStep.Fetch or HostStep.Arm && Obstacle() is { } obstacle)
        {
            reconciler.Report(Service, obstacle);
            return;
        }

        switch (step)
        {
            case HostStep.Drop:
                store.Save(record.Drop());
                break;
            case HostStep.Fetch when reconciler.Now >= again:
                if (record.Trial is not null) store.Save(record.Drop()); // what is written is written over
                await FetchAsync(wanted.Image!, wanted.Request, stop);
                break;
            case HostStep.Arm:
                Arm(record);
                break;
        }
    }

    private async Task FetchAsync(string image, string request, CancellationToken stop)
    {
        try
        {
            log.Information("getting the host out of {Image}", image);
            var build = await images.WriteAsync(store, image, request, RunningSlot()!, FindPartition, stop);
            var record = store.Load();
            // The same host under another name, or asked for again, is good already.
            store.Save(record.Good?.Sha256 == build.Sha256 ? record with { Good = build with { Slot = record.Good.Slot } } : record.Stage(build));
            failures = 0;
            reconciler.Report(Service, null);
            Remember($"write {build} into slot {build.Slot}", $"it was named: {request}", "done");
        }
        catch (NoHostException e)
        {
            store.Save(store.Load().Distrust(new(e.Sha256, "", image, request, ""), e.Message));
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or IOException or UnauthorizedAccessException)
        {
            again = reconciler.Now + Backoff.Step(++failures);
            reconciler.Report(Service, $"{image} cannot be had: {e.Message}; what runs goes on");
        }
    }

    private void Arm(HostRecord record)
    {
        writtenAt ??= reconciler.Now;
        waiting = Hindrance(reconciler.Seen, reconciler.LastPlan, reconciler.Now - writtenAt.Value > PatienceWithApps, ForceLocks);
        if (waiting is not null || reconciler.Seen is not { } seen) return;
        ForceLocks = false;
        var trial = record.Trial!;
        try
        {
            store.Log.Clear();
            // The loader first: a host that is tried without being written down as armed proves itself like any other.
            new BootStore(paths.Boot, store.Device!).Arm(trial.Slot);
            store.Save(record.Arm(seen.Containers.Where(Well).Select(c => c.Key).Distinct(), HostReader.Addresses().Count > 0));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reconciler.Report(Service, $"the loader cannot be told of {trial}: {e.Message}");
            return;
        }

        Remember($"try {trial} in slot {trial.Slot}", $"it was named: {trial.Request}", "begun");
        HostEvent.Report("host armed", $"slot {trial.Slot}");
        if (reboot() is { } refusal) reconciler.Report(Service, $"{trial} is tried at the next boot: {refusal}");
    }

    /// <summary>Why the other slot is not booted now, or null. Pure.</summary>
    /// <param name="seen">What runs.</param>
    /// <param name="plan">What the reconciler is about to do.</param>
    /// <param name="impatient">The apps have been waited for long enough.</param>
    /// <param name="force">Locks do not count.</param>
    public static string? Hindrance(CurrentState? seen, IReadOnlyList<Step> plan, bool impatient, bool force)
    {
        if (seen is null) return "the engine has not answered yet";
        if (!force && seen.Locked.FirstOrDefault(key => seen.Containers.Exists(c => c.Key == key && c.Up)) is { } holder) return $"{holder} holds an update lock";
        if (impatient) return null;
        if (plan.FirstOrDefault(s => s is not Step.Wait) is { } step) return $"the apps first: {step.What}";
        return seen.Memory.Target?.Apps.Find(r => !Settled(seen, r)) is { } release ? $"the apps first: {release.App} is to prove itself" : null;
    }

    /// <summary>What a host on trial misses of what there was; empty when nothing. Pure.</summary>
    public static string Missing(HostRecord record, CurrentState? seen, bool network) =>
        seen is null ? "the engine has not answered yet"
        : record.Services.Find(key => !seen.Containers.Exists(c => c.Key == key && Well(c))) is { } key ? $"{key} does not run as it did before"
        : record.Network && !network ? "there is no network, as there was before"
        : "";

    private static bool Well(ContainerState container) => container is { Up: true, Health: not (Health.Unhealthy or Health.Starting) };

    private static bool Settled(CurrentState seen, Release release) =>
        seen.Memory.Good.GetValueOrDefault(release.App)?.Fingerprint() == release.Fingerprint() || AppPlan.IsBad(seen, release);

    private void TellFitness(HostRecord record)
    {
        var missing = Missing(record, reconciler.Seen, HostReader.Addresses().Count > 0);
        if (missing == fitness) return;
        fitness = missing;
        HostEvent.Report(missing.Length == 0 ? TrialWatch.Fit : TrialWatch.Unfit, missing);
    }

    private string? Obstacle() =>
        RunningSlot() is null ? "This host has an init and updates of its own; the supervisor updates only hosts that image-builder made."
        : store.Device is not { } device ? "The image on this device does not say how it boots: write one of this image-builder with the flasher first."
        : device.Obstacle;

    /// <summary>Told by PID 1; null under another init.</summary>
    private string? RunningSlot()
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(Path.Combine(paths.Run, "host.json")))?["slot"]?.GetValue<string>();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private (string? Image, string Request) Wanted()
    {
        if (store.Named.Value is var (image, request)) return (image, request);
        var written = File.GetLastWriteTimeUtc(paths.ConfigYaml);
        if (configured.Written != written) configured = (written, HostConfig.Read(paths.ConfigYaml, _ => { }).Host);
        return (configured.Image, "config.yaml");
    }

    /// <summary>PID 1 has no history of its own: what it found is told by the worker that comes after.</summary>
    private void TellVerdicts(HostRecord record)
    {
        foreach (var (build, outcome) in (IEnumerable<(HostBuild, string)>)[.. record.Bad.Select(b => (b.Build, $"bad: {b.Reason}")), .. record.Good is { } good ? [(good, "good")] : Array.Empty<(HostBuild, string)>()])
        {
            var (what, cause) = ($"try {build}", $"it was named: {build.Request}");
            if (told.Add((build, outcome)) && !reconciler.History.Of(Service, 100).Exists(e => (e.What, e.Cause, e.Outcome) == (what, cause, outcome))) Remember(what, cause, outcome);
        }
    }

    private void Remember(string what, string cause, string outcome)
    {
        log.Information("{What}: {Outcome}", what, outcome);
        reconciler.History.Add(new HistoryEntry(DateTimeOffset.UtcNow, what, cause, outcome, Service));
    }

    private static RootPlace? OnOwnDisk(string partition)
    {
        var devices = Roots.Named(BlockDevice.All());
        return Roots.Mounted(devices) is { Partition: > 0 } root && BlockDeviceChoice.Sibling(devices, root, partition) is { } found ? new(found.Path, found.Size) : null;
    }
}
