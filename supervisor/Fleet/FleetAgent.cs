using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Docker.DotNet.Models;
using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;
using HostConfig = OsBuild.Supervisor.Identity.HostConfig;

namespace OsBuild.Supervisor.Fleet;

/// <summary>The fleet as a master: makes the device known, asks for its target, tells what is and sends the logs. Whatever the fleet answers
/// or does not answer, what runs goes on.</summary>
internal sealed class FleetAgent : IDisposable
{
    private static readonly TimeSpan ReportLook = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReportRest = TimeSpan.FromSeconds(1);

    private readonly HostPaths paths;
    private readonly Reconciler reconciler;
    private readonly FleetConfig config;
    private readonly DeviceKeys keys;
    private readonly LocalPush local;
    private readonly ILogger log;
    private readonly FleetApi api;
    private readonly HostReadings host;
    private readonly KeptFile<FleetIdentity> identityFile;
    private readonly KeptFile<DeviceSettings> settingsFile;
    private readonly SemaphoreSlim pollNow = new(0);
    private readonly SemaphoreSlim reportNow = new(0);
    private CancellationTokenSource settingsChanged = new();
    private FleetTarget? latest;
    private HostMetrics? sentMetrics;
    private string remarks = "";

    public FleetAgent(HostPaths paths, Reconciler reconciler, FleetConfig config, DeviceKeys keys, LocalPush local, ILogger log)
    {
        (this.paths, this.reconciler, this.config, this.keys, this.local, this.log) = (paths, reconciler, config, keys, local, log);
        var directory = new Places(paths).StateDirectory;
        identityFile = new(Path.Combine(directory, "fleet.json"), FleetJson.Default.FleetIdentity, i => i is { Uuid.Length: > 0, DeviceKey.Length: > 0, Endpoint.Length: > 0 }, secret: true);
        settingsFile = new(Path.Combine(directory, "fleet-settings.json"), FleetJson.Default.DeviceSettings, s => s.Config is not null, secret: false);
        host = new(paths);
        var proxy = HostConfig.Read(paths.ConfigYaml, _ => { }).Proxy; // what is wrong in it was said at boot
        api = new(config.ApiEndpoint!, config.RootCertificate, proxy);
        Identity = FleetIdentity.For(identityFile.Load(), config, host.MachineId(), RandomNumberGenerator.GetBytes(32));
        Device = settingsFile.Load();
        local.Settings = FleetSettings.From(Device?.Config ?? [], config);
        reconciler.Steps.Login = Login;
    }

    /// <summary>What the board's sensors say, when somebody watches them.</summary>
    public BoardWatch? Board { get; init; }

    public FleetIdentity Identity { get; private set; }
    public DeviceSettings? Device { get; private set; }
    public FleetApi Api => api;
    public HostReadings Host => host;

    /// <summary>Asks the fleet at once, when its settings allow it. True when it will.</summary>
    public bool UpdateNow(bool force)
    {
        if (force) reconciler.ForceLocks = true;
        if (!local.Settings.InstantUpdates && !force) return false;
        if (pollNow.CurrentCount == 0) pollNow.Release();
        return true;
    }

    public async Task RunAsync(CancellationToken stop)
    {
        reconciler.Observed += Observed;
        try
        {
            await ProvisionAsync(stop);
            using var together = CancellationTokenSource.CreateLinkedTokenSource(stop);
            Task[] tasks = [PollAsync(together.Token), ReportAsync(together.Token), LogsAsync(together.Token)];
            var ended = await Task.WhenAny(tasks);
            await together.CancelAsync();
            await Task.WhenAny(Task.WhenAll(tasks));
            await ended;
        }
        finally
        {
            reconciler.Observed -= Observed;
        }
    }

    public void Dispose()
    {
        api.Dispose();
        settingsChanged.Dispose();
    }

    private void Observed(CurrentState seen)
    {
        if (local.Settings.OverrideLock) reconciler.ForceLocks = true;
        if (reportNow.CurrentCount == 0) reportNow.Release();
    }

    private DeviceFacts Facts => host.Facts(config) with { Uuid = Identity.Uuid, Name = Identity.FirstName ?? "", DeviceKey = Identity.DeviceKey, ServiceKey = keys.ForService };

    private async Task ProvisionAsync(CancellationToken stop)
    {
        for (var failures = 0; !Identity.Registered;)
        {
            // On the medium before the fleet hears of it.
            identityFile.Save(Identity);
            var problem = await Provisioning.TryAsync(api, Identity, config, Facts, HostReadings.Addresses().Mac, stop);
            reconciler.Report("fleet", problem is null ? null : $"the device cannot be registered: {problem.Explain}");
            if (problem is null) Identity = Identity with { Registered = true };
            else await Task.Delay(Pacing.AfterFailure(config.PollInterval, ++failures, problem.RetryAfter), stop);
        }

        if (!Identity.Equals(identityFile.Load())) identityFile.Save(Identity);
        log.Information("this is device {Uuid} of the fleet at {Endpoint}", Identity.Uuid, Identity.Endpoint);
    }

    private async Task PollAsync(CancellationToken stop)
    {
        var (failures, belief, etag) = (0, new Belief(), (string?)null);
        var wait = local.Settings.InstantUpdates ? TimeSpan.Zero : Pacing.NextPoll(local.Settings.PollInterval, 0, null, Random.Shared.NextDouble());
        while (true)
        {
            await pollNow.WaitAsync(wait, stop);
            var outcome = PollOutcome.Of(await api.TargetAsync(Identity, etag, stop));
            if (outcome is PollOutcome.Changed changed) (outcome, belief, etag) = Take(changed, belief);
            var failed = outcome as PollOutcome.Failed;
            failures = failed is null ? 0 : failures + 1;
            reconciler.Report("fleet", failed?.Reason);
            Apply();
            wait = Pacing.NextPoll(local.Settings.PollInterval, failures, failed?.RetryAfter, Random.Shared.NextDouble());
        }
    }

    /// <summary>Reads a new target. Its tag is remembered only when it is believed, so that a doubtful one is sent again.</summary>
    private (PollOutcome Outcome, Belief Belief, string? ETag) Take(PollOutcome.Changed changed, Belief belief)
    {
        try
        {
            var target = TargetReader.Read(changed.Body, Facts);
            if (Identity.FirstName is null)
            {
                Identity = Identity with { FirstName = target.Device.Name };
                identityFile.Save(Identity);
                target = TargetReader.Read(changed.Body, Facts);
            }

            var (next, believe) = belief.Judge(target, reconciler.Journal.Memory.Target);
            if (!believe)
            {
                log.Warning("the fleet wants nothing to run any more; that is believed when it says so again");
                return (new PollOutcome.Unchanged(), next, null);
            }

            latest = target;
            Configure(target.Device);
            Tell(target);
            return (changed, next, changed.ETag);
        }
        catch (JsonException e)
        {
            return (new PollOutcome.Failed($"the fleet's target cannot be read: {e.Message}", null), belief, null);
        }
    }

    private void Apply()
    {
        if (latest is null || local.Active) return;
        reconciler.Accept(TargetChoice.From(latest, reconciler.Journal.Memory.Target), "the fleet");
    }

    private void Configure(DeviceSettings device)
    {
        if (device.Same(Device)) return;
        Device = device;
        settingsFile.Save(device);
        var before = local.Settings;
        local.Settings = FleetSettings.From(device.Config, config);
        if (local.Settings.Deltas && !before.Deltas) log.Information("the fleet asks for deltas (SUPERVISOR_DELTA); this supervisor does none and downloads images whole, without the layers it has");
        Interlocked.Exchange(ref settingsChanged, new()).Cancel();
    }

    private void Tell(FleetTarget target)
    {
        var text = string.Join('\n', target.Remarks);
        if (text != remarks && text.Length > 0) log.Information("target of the fleet: {Remarks}", text);
        remarks = text;
        reconciler.Report("release", target.Rejected.Count == 0 ? null : string.Join("; ", target.Rejected.Select(r => $"release {r.Commit} cannot run here: {r.Reason}")));
    }

    private async Task ReportAsync(CancellationToken stop)
    {
        var reporting = new Reporting();
        while (true)
        {
            var report = Report();
            var difference = reporting.Difference(report);
            var due = reporting.Due(difference, local.Settings.PollInterval) - reconciler.Now;
            if (due is { } wait && wait <= TimeSpan.Zero)
            {
                var answer = await api.ReportAsync(Identity, difference, stop);
                reporting = reporting.After(difference, answer, reconciler.Now);
                if (!answer.Ok && reporting.Failures <= 1) log.Information("a report was not taken: {Reason}", answer.Explain);
                continue;
            }

            await Task.Delay(ReportRest, stop);
            await reportNow.WaitAsync(due is { } later && later < ReportLook ? later : ReportLook, stop);
        }
    }

    private JsonObject Report()
    {
        var (target, seen) = (reconciler.Journal.Memory.Target, reconciler.Seen);
        if (local.Settings.SendMetrics) sentMetrics = (host.Metrics() with { Undervolted = Board?.Now.Undervolted }).Settle(sentMetrics);
        var apps = local.Active ? null : DeviceReport.Apps(target, latest, seen, reconciler.Journal.Memory, reconciler.Steps.Percents());
        return DeviceReport.Build(Facts, HostReadings.Addresses(), keys.Global, local.Settings.SendMetrics ? sentMetrics : null, apps, reconciler.LastPlan.Exists(s => s is not Step.Wait));
    }

    private async Task LogsAsync(CancellationToken stop)
    {
        while (true)
        {
            using var until = CancellationTokenSource.CreateLinkedTokenSource(stop, settingsChanged.Token);
            try
            {
                if (local.Settings.SendLogs && !local.Settings.LocalMode) await new LogShipper(paths, reconciler, api, config, log).RunAsync(Identity, until.Token);
                else await Task.Delay(Timeout.InfiniteTimeSpan, until.Token);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                // Other settings: begin again with them.
            }
        }
    }

    /// <summary>The device is its own user at the fleet's registry; no other registry ever sees its key.</summary>
    private AuthConfig? Login(string reference) => Identity.Registered && ImageReference.TryParse(reference, out var name) && config.RegistryEndpoint is { } registry && name.Registry == registry
        ? new AuthConfig { Username = "d_" + Identity.Uuid, Password = Identity.DeviceKey, ServerAddress = registry }
        : null;
}
