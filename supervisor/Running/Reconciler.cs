using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.Running;

/// <summary>The loop: observe, plan, do one round, again. Woken by engine events, a new target, a finished step, the API and a timer; what
/// woke it never matters, because every round starts from what is.</summary>
internal sealed class Reconciler : IAsyncDisposable
{
    private static readonly TimeSpan LongestSleep = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan BootTime = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EngineRetry = TimeSpan.FromSeconds(2);

    private readonly EngineClient engine;
    private readonly Observer observer;
    private readonly Tracker tracker = new();
    private readonly Relays relays = new();
    private readonly Thrift thrift = new();
    private readonly StepRunner runner;
    private readonly ArchiveIndex archives;
    private readonly ILogger log;
    private readonly Places places;
    private readonly HostPaths paths;
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Dictionary<string, Running> running = [];
    private readonly SortedDictionary<string, Failure> failures = [];
    private readonly SortedDictionary<string, TimeSpan> pulled = [];
    private readonly SortedSet<string> probed = [];

    /// <summary>Keys of steps that ended since the last look began: what was seen says nothing about them.</summary>
    private readonly HashSet<string> ended = [];
    private readonly Lock gate = new();
    private readonly long started = Stopwatch.GetTimestamp();
    private bool engineUp = true;
    private bool announced;

    private sealed record Running(Step Step, CancellationTokenSource Cancel, Task Task);

    public Reconciler(HostPaths paths, Journal journal, History history, ILogger log)
    {
        (this.paths, Journal, History, this.log) = (paths, journal, history, log);
        places = new Places(paths);
        engine = new EngineClient(paths.EngineSocket);
        observer = new Observer(engine);
        archives = new ArchiveIndex(places.Archives);
        runner = new StepRunner(engine, journal, relays, tracker, places, () => Now);
    }

    public Journal Journal { get; }
    public History History { get; }
    public EngineClient Engine => engine;
    public StepRunner Steps => runner;

    /// <summary>What was seen last; null before the engine answered for the first time.</summary>
    public CurrentState? Seen { get; private set; }

    /// <summary>What the last round decided, waits included.</summary>
    public List<Step> LastPlan { get; private set; } = [];

    /// <summary>What is wrong now, by part: engine, compose, state, archives.</summary>
    public SortedDictionary<string, string> Problems { get; } = [];

    public long Rounds { get; private set; }

    public bool ForceLocks { get; set; }

    /// <summary>The monotonic clock every decision is made by; wall time may jump.</summary>
    public TimeSpan Now => Stopwatch.GetElapsedTime(started);

    /// <summary>Called after every round with what was seen.</summary>
    public event Action<CurrentState>? Observed;

    /// <summary>Called for every step that was done or that failed.</summary>
    public event Action<Step, string>? Done;

    public void Wake() => wake.Writer.TryWrite(true);

    /// <summary>Takes a new target from a master. The same target again changes nothing.</summary>
    public void Accept(TargetState target, string origin)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(target, StateJson.Default.TargetState);
        if (Journal.Memory.Target is { } before && JsonSerializer.SerializeToUtf8Bytes(before, StateJson.Default.TargetState).AsSpan().SequenceEqual(json)) return;
        if (Journal.Memory.Target is { } old && Seen is { } seen) KeepWhatRuns(old, seen);
        log.Information("new target from {Origin}: {Apps}", origin, string.Join("; ", target.Apps.Select(a => $"{a.App} ({string.Join(", ", a.Services.Keys)})")));
        Journal.Append(new JournalEntry.TargetAccepted(target));
        lock (gate)
        {
            pulled.Clear();
            probed.Clear();
            failures.Clear();
        }

        Wake();
    }

    public void Hold(string key, bool stopped)
    {
        Journal.Append(new JournalEntry.ServiceHeld(key, stopped));
        Wake();
    }

    public async Task RunAsync(CancellationToken stop)
    {
        using var watch = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var watching = WatchAsync(watch.Token);
        foreach (var damage in Journal.Damage) log.Warning("state: {Damage}", damage);
        while (!stop.IsCancellationRequested)
        {
            Heartbeat.Beat(paths);
            var sleep = LongestSleep;
            try
            {
                sleep = await RoundAsync(stop);
                Problem("engine", null);
                if (thrift.Due(Now, LastPlan.Count > 0, GC.GetTotalAllocatedBytes())) OwnMemory.GiveBack();
            }
            catch (EngineUnreachableException e)
            {
                // While the device boots the engine may answer at any moment, and the apps wait for it.
                if (Seen is not null || Now > BootTime) Problem("engine", e.Message);
                sleep = Seen is null && Now < BootTime ? TimeSpan.FromSeconds(0.2) : EngineRetry;
            }
            catch (EngineRefusedException e)
            {
                Problem("engine", $"the engine does not tell what it has: {e.Message}");
                sleep = EngineRetry;
            }

            await SleepAsync(sleep, stop);
        }

        await watching;
    }

    /// <summary>Stops everything in order, within the budget; then the engine may go.</summary>
    public async Task ShutdownAsync(TimeSpan budget)
    {
        using var limit = new CancellationTokenSource(budget);
        foreach (var step in running.Values) await step.Cancel.CancelAsync();
        try
        {
            while (true)
            {
                var current = await ObserveAsync(limit.Token);
                var steps = Planner.Shutdown(current, Journal.Memory.Target);
                if (steps.Count == 0) break;
                await Task.WhenAll(steps.Select(s => PerformAsync(s, limit.Token)));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or EngineUnreachableException or EngineRefusedException)
        {
            log.Warning("not every container was stopped: {Reason}", e.Message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await relays.DisposeAsync();
        engine.Dispose();
    }

    /// <summary>One look at everything the planner may know.</summary>
    public async Task<CurrentState> ObserveAsync(CancellationToken stop)
    {
        var current = await observer.ReadAsync(stop);
        var containers = tracker.Observe(current.Containers, Now).ConvertAll(c => c with { StartedThisBoot = File.Exists(places.StartedMark(c.Id)), Signalled = places.Signalled(c.App, c.Service) });
        lock (gate)
        {
            return current with
            {
                Containers = containers,
                Archives = archives.Read(),
                Relays = relays.Observe(),
                Locked = new(containers.Where(c => places.Locked(c.App, c.Service)).Select(c => c.Key)),
                ForceLocks = ForceLocks,
                Failures = new(failures),
                Pulled = new(pulled),
                Probed = new(probed),
                MissingDevices = MissingDevices(Journal.Memory),
                Disk = FreeSpace.Read(paths.Data),
                Memory = Journal.Memory,
            };
        }
    }

    /// <summary>The devices named by what should run, or by what may be gone back to, that are not there.</summary>
    private static SortedSet<string> MissingDevices(Memory memory) => new((memory.Target?.Apps ?? []).Concat(memory.Good.Values)
        .SelectMany(r => r.Services.Values).SelectMany(s => s.Container.Devices ?? []).Select(d => d.Host).Where(path => !Path.Exists(path)), StringComparer.Ordinal);

    private async Task<TimeSpan> RoundAsync(CancellationToken stop)
    {
        lock (gate) ended.Clear();
        var current = await ObserveAsync(stop);
        Problem("archives", archives.Broken.Count == 0 ? null : string.Join("; ", archives.Broken.Select(b => $"{b.Key} cannot be used: {b.Value}")));
        Problem("disk", current.Disk.Low ? $"only {current.Disk} are left on the data partition" : null);
        Problem("state", Journal.WriteError is { } error ? $"the state cannot be written ({error}); it is kept in memory" : null);
        Seen = current;
        Rounds++;
        Observed?.Invoke(current);
        if (current.Memory.Target is not { } target) return LongestSleep;
        RememberImages(current, target);
        var plan = Planner.NextSteps(current, target, Now);
        LogPlan(plan);
        LastPlan = plan;
        // Forcing is for the update at hand, not for ever.
        if (plan.Count == 0) ForceLocks = false;
        if (!announced && Planner.AllStarted(current, target))
        {
            announced = true;
            HostEvent.Report("containers started", $"{current.Containers.Count(c => c.Up)}");
        }

        Begin(plan, stop);
        var next = plan.OfType<Step.Wait>().Select(w => w.Until).OfType<TimeSpan>().DefaultIfEmpty(Now + LongestSleep).Min() - Now;
        var poll = plan.Exists(s => s is Step.Wait { Untold: true }) ? TimeSpan.FromSeconds(0.25) : LongestSleep;
        return next < TimeSpan.Zero ? TimeSpan.FromMilliseconds(10) : next < poll ? next : poll;
    }

    /// <summary>Starts what can be started now; a step whose subject is being worked on waits for the next round.</summary>
    private void Begin(List<Step> plan, CancellationToken stop)
    {
        lock (gate)
        {
            foreach (var (key, active) in running)
                if (active.Step is Step.Fetch && !plan.Exists(s => s.Key == key)) active.Cancel.Cancel();
            foreach (var step in plan)
            {
                if (step is Step.Wait || running.ContainsKey(step.Key) || ended.Contains(step.Key)) continue;
                var cancel = CancellationTokenSource.CreateLinkedTokenSource(stop);
                running[step.Key] = new(step, cancel, Task.Run(() => FinishAsync(step, cancel), CancellationToken.None));
            }
        }
    }

    private async Task FinishAsync(Step step, CancellationTokenSource cancel)
    {
        try
        {
            await PerformAsync(step, cancel.Token);
        }
        finally
        {
            lock (gate)
            {
                running.Remove(step.Key);
                ended.Add(step.Key);
            }

            cancel.Dispose();
            Wake();
        }
    }

    private async Task PerformAsync(Step step, CancellationToken stop)
    {
        log.Information("{What}: {Cause}", step.What, step.Cause);
        try
        {
            await runner.RunAsync(step, stop);
            lock (gate)
            {
                FailureLog.Succeeded(failures, step, Now);
                if (step is Step.Fetch fetch) pulled[fetch.Reference] = Now;
                if (step is Step.Probe probe) probed.Add(probe.Reference);
            }

            Tell(step, "done");
        }
        catch (OperationCanceledException)
        {
            Tell(step, "given up");
        }
        catch (Exception e)
        {
            // Whatever it is: unsaid and uncounted, the step would be tried again at once and for ever.
            if (e is EngineRefusedException or EngineUnreachableException or IOException or UnauthorizedAccessException) log.Warning("cannot {What}: {Reason}", step.What, e.Message);
            else log.Error(e, "cannot {What}", step.What);
            // An engine that is away says nothing about the step.
            if (e is not EngineUnreachableException || step is Step.Fetch or Step.Load or Step.Probe) lock (gate) FailureLog.Failed(failures, step, e.Message, Now);
            Tell(step, e.Message);
        }
    }

    private void Tell(Step step, string outcome)
    {
        var id = step switch { Step.Start x => x.ContainerId, Step.Stop x => x.ContainerId, Step.Remove x => x.ContainerId, Step.Rename x => x.ContainerId, _ => null };
        History.Add(DateTimeOffset.UtcNow, step, outcome, id is null ? null : Seen?.Containers.Find(c => c.Id == id)?.Key);
        Done?.Invoke(step, outcome);
    }

    /// <summary>Images the target names are ours to collect later; written down before they are used.</summary>
    private void RememberImages(CurrentState current, TargetState target)
    {
        foreach (var service in target.Apps.SelectMany(a => a.Services.Values))
            if (current.Image(service.Image) is { } image && !Journal.Memory.Images.ContainsKey(image.Id)) Journal.Append(new JournalEntry.ImageUsed(image.Id, service.Image), durable: false);
    }

    /// <summary>A target that is replaced before it proved itself, but runs, is still better to return to than nothing.</summary>
    private void KeepWhatRuns(TargetState target, CurrentState seen)
    {
        foreach (var release in target.Apps)
        {
            if (Journal.Memory.Good.ContainsKey(release.App) || AppPlan.IsBad(seen, release)) continue;
            var running = release.Services.Values.Select(s => (s.Name, Container: seen.Containers.Find(c => c.App == release.App && c.Service == s.Name && c.Hash == s.Hash() && c.Up && c.Health != Health.Unhealthy))).ToList();
            if (running.Count > 0 && running.TrueForAll(r => r.Container is not null))
                Journal.Append(new JournalEntry.ReleaseGood(release with { ImageIds = new(running.ToDictionary(r => r.Name, r => r.Container!.ImageId), StringComparer.Ordinal) }));
        }
    }

    private void LogPlan(List<Step> plan)
    {
        foreach (var wait in plan.OfType<Step.Wait>())
            if (!LastPlan.Exists(s => s is Step.Wait w && w.For == wait.For && w.Cause == wait.Cause)) log.Information("waiting for {For}: {Cause}", wait.For, wait.Cause);
        if (plan.Count == 0 && LastPlan.Count > 0) log.Information("everything is as it should be");
    }

    private void Problem(string part, string? text)
    {
        if (part == "engine" && engineUp != text is null)
        {
            engineUp = text is null;
            if (engineUp) log.Information("the engine answers again");
        }

        lock (gate)
        {
            if (text is null) Problems.Remove(part);
            else if (!Problems.TryGetValue(part, out var before) || before != text)
            {
                Problems[part] = text;
                log.Warning("{Part}: {Text}", part, text);
            }
        }
    }

    public void Report(string part, string? text) => Problem(part, text);

    public SortedDictionary<string, string> CurrentProblems()
    {
        lock (gate) return new(Problems);
    }

    private async Task SleepAsync(TimeSpan time, CancellationToken stop)
    {
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(time > LongestSleep ? LongestSleep : time);
            await wake.Reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Follows the engine's events for as long as it lives. A lost stream means a fresh look, not lost knowledge.</summary>
    private async Task WatchAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await engine.WatchAsync(_ => Wake(), stop);
            }
            catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or OperationCanceledException)
            {
            }

            Wake();
            try
            {
                await Task.Delay(EngineRetry, stop);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }
}
