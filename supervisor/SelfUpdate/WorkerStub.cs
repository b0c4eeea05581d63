using System.Threading.Channels;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>Where a stub tells what it does.</summary>
/// <param name="Say">A line for the log.</param>
/// <param name="Event">Something for the console and the time line: name and detail.</param>
/// <param name="Output">A line a worker printed.</param>
internal sealed record StubVoice(Action<string> Say, Action<string, string> Event, Action<string> Output);

/// <summary>
/// Keeps the worker running: the root's own, or the last one that came as an image and proved itself; and conducts the trial of a new one. The part of
/// the self-update that never updates itself. Without a record it does what it always did: it runs the root's own worker.
/// </summary>
internal sealed class WorkerStub
{
    /// <summary>Set for a worker whose stub can try another one.</summary>
    public const string Variable = "OSBUILD_STUB";

    /// <summary>What a worker says (as a <see cref="HostEvent"/>) when it has changed the record or wants the root's own back.</summary>
    public const string Staged = "supervisor staged", Ready = "supervisor ready";

    private const int OomOfOwn = -800; // after the containers, before the engine
    private const int OomOnTrial = 900; // whoever eats all memory on trial goes first
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LeaveWithin = TimeSpan.FromSeconds(10);

    private readonly HostPaths paths;
    private readonly ChildSpec own;
    private readonly IReadOnlyList<string> arguments;
    private readonly TrialBounds bounds;
    private readonly StubVoice voice;
    private readonly UpdateStore store;
    private readonly Lock gate = new();
    private readonly Channel<bool> staged = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private WorkerBuild? running;
    private WorkerBuild? working;
    private string? endOfWorking;
    private QuickEnds ends = new(0);

    /// <param name="paths">Where the host is.</param>
    /// <param name="own">The root's own worker.</param>
    /// <param name="arguments">What any other worker is started with.</param>
    /// <param name="bounds">What a worker may take.</param>
    /// <param name="voice">Where to tell what happens.</param>
    public WorkerStub(HostPaths paths, ChildSpec own, IReadOnlyList<string> arguments, TrialBounds bounds, StubVoice voice)
    {
        (this.paths, this.arguments, this.bounds, this.voice, store) = (paths, arguments, bounds, voice, new UpdateStore(paths));
        this.own = own with { Environment = new Dictionary<string, string>(own.Environment) { [Variable] = "1" } };
        Worker = new Child(Next, voice.Say, Hear) { Ended = OnEnded, Pause = bounds.Pause };
    }

    /// <summary>The root's own worker: this very program.</summary>
    /// <param name="arguments">What makes it a worker.</param>
    /// <param name="controlGroup">Its cgroup below /sys/fs/cgroup; empty: where it is.</param>
    public static ChildSpec Own(IReadOnlyList<string> arguments, string controlGroup) =>
        new("worker", Environment.ProcessPath ?? PidOne.Program, arguments, OomOfOwn, controlGroup, new Dictionary<string, string>());

    /// <summary>The worker that does the work, whichever it is.</summary>
    public Child Worker { get; }

    /// <summary>Conducts trials as they are asked for. Never returns; may be started again after a fault.</summary>
    public async Task ConductAsync()
    {
        // What a reset or a power cut broke off: the good worker has the device first, and an engine that is slow to start is not the new one's fault.
        if (store.Load().Trial is not null)
        {
            await Task.Delay(bounds.Settle);
            var until = BootLog.Now + bounds.EngineWithin.TotalMilliseconds;
            while (BootLog.Now < until && !await EngineChild.AnswersAsync(paths.EngineSocket, TimeSpan.FromSeconds(10))) await Task.Delay(Interval);
            staged.Writer.TryWrite(true);
        }

        while (await staged.Reader.WaitToReadAsync())
        {
            staged.Reader.TryRead(out _);
            if (store.Load().Trial is not null) await TryAsync();
            else if (store.Load().Good?.Sha256 != running?.Sha256) Worker.Replace(LeaveWithin);
        }
    }

    private async Task TryAsync()
    {
        var trial = store.Load().Trial!;
        var record = store.Load().Begin(store.Fault(trial));
        store.Save(record); // a try that is not written down is not begun
        if (record.Trial is null)
        {
            Tell(record, trial);
            return;
        }

        voice.Event("supervisor on trial", $"{trial}, try {record.Tries} of {UpdateRecord.MostTries}");
        var (verdict, reason) = await WatchAsync(trial);
        record = verdict ? store.Load().Prove() : store.Load().Reject(reason);
        lock (gate) working = null; // from here on what starts is what the record says
        try
        {
            store.Save(record);
        }
        finally
        {
            if (!verdict && running == trial) Worker.Replace(TimeSpan.Zero);
            if (verdict) Protect();
        }

        Tell(record, trial);
        store.Prune(record);
    }

    private void Tell(UpdateRecord record, WorkerBuild build)
    {
        if (record.Good == build) voice.Event("supervisor good", build.ToString());
        else voice.Event("supervisor bad", $"{build}: {record.Bad.FindLast(b => b.Build == build)?.Reason}; {(record.Good is null ? "the root's own" : record.Good.ToString())} does the work");
    }

    /// <summary>Watches a trial to its end: first beside the old worker, then in its place.</summary>
    private async Task<(bool Good, string Reason)> WatchAsync(WorkerBuild build)
    {
        var ready = false;
        var look = new Child(Spec(build, OomOnTrial, [.. arguments, "--look"]) with { Name = "new worker" }, voice.Say, line =>
        {
            ready |= HostEvent.Parse(line)?.Name == Ready;
            Hear(line);
        });
        var looking = look.RunOnceAsync();
        var state = Trial.Begin(BootLog.Now);
        while (true)
        {
            await Task.WhenAny(Task.Delay(Interval), state.Working ? Task.Delay(Interval) : looking);
            (state, var act, var reason) = state.On(state.Working ? await SeeWorkAsync(state) : SeeLook(look, looking, ready), bounds);
            switch (act)
            {
                case TrialAct.Wait: continue;
                case TrialAct.TakeOver:
                    lock (gate) (working, endOfWorking) = (build, null);
                    Worker.Replace(LeaveWithin);
                    continue;
                case TrialAct.Prove: return (true, "");
                case TrialAct.Reject:
                    if (!looking.IsCompleted) look.Stop(TimeSpan.Zero);
                    return (false, reason);
                default: throw new System.Diagnostics.UnreachableException();
            }
        }
    }

    private static TrialSight SeeLook(Child look, Task<int> looking, bool ready) =>
        new(BootLog.Now, !looking.IsCompleted ? null : looking.IsFaulted ? $"it cannot be started ({looking.Exception!.InnerException!.Message})" : $"it ended with {looking.Result}", ready, "", false, MemoryUse.Of(look.ProcessId) ?? 0);

    private async Task<TrialSight> SeeWorkAsync(Trial state)
    {
        // What runs may still be the old one, if it was just being started again.
        var pid = running == working ? Worker.ProcessId : 0;
        var beat = Heartbeat.Read(paths);
        // A beat counts when it is this process' own.
        if (pid == 0 || !beat.StartsWith($"{pid} ", StringComparison.Ordinal)) beat = "";
        var answers = BootLog.Now - state.Since >= bounds.Proving.TotalMilliseconds && await EngineChild.AnswersAsync(paths.ApiSocket, "/ping", TimeSpan.FromSeconds(5));
        string? end;
        lock (gate) end = endOfWorking;
        return new(BootLog.Now, end, true, beat, answers, MemoryUse.Of(pid) ?? 0);
    }

    /// <summary>A worker on trial was the first to go when memory ran out; now it is as dear as the one before it.</summary>
    private void Protect()
    {
        try
        {
            File.WriteAllText($"/proc/{Worker.ProcessId}/oom_score_adj", own.OomScore.ToString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            voice.Say($"worker: {e.Message}");
        }
    }

    /// <summary>What is started next. Whatever goes wrong here, the root's own worker runs.</summary>
    private ChildSpec Next()
    {
        lock (gate)
        {
            running = null;
            try
            {
                if (working is { } trial && endOfWorking is null)
                {
                    running = trial;
                    return Spec(trial, OomOnTrial, arguments);
                }

                var record = store.Load();
                if (record.Good is not { } good) return own;
                if (store.Fault(good) is { } fault)
                {
                    Abandon(record, good, fault);
                    return own;
                }

                running = good;
                return Spec(good, own.OomScore, arguments);
            }
            catch (Exception e)
            {
                voice.Say($"self-update: {e.Message}");
                running = null;
                return own;
            }
        }
    }

    private void OnEnded(long lifetime, string how)
    {
        lock (gate)
        {
            if (working is not null && running == working)
            {
                endOfWorking = how;
                return;
            }

            ends = ends.After(lifetime);
            if (!ends.TooMany || running is not { } good) return;
            ends = new(0);
            try
            {
                Abandon(store.Load(), good, $"it ended {QuickEnds.Most} times in a row soon after its start; the last time {how}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                voice.Say($"self-update: {e.Message}");
            }
        }
    }

    private void Abandon(UpdateRecord record, WorkerBuild good, string reason)
    {
        record = record.Abandon(reason);
        voice.Event("supervisor bad", $"{good}: {reason}; the root's own does the work");
        store.Save(record);
    }

    private ChildSpec Spec(WorkerBuild build, int oomScore, IReadOnlyList<string> with) => own with { Program = store.ProgramOf(build), Arguments = with, OomScore = oomScore };

    private void Hear(string line)
    {
        if (HostEvent.Parse(line)?.Name == Staged) staged.Writer.TryWrite(true);
        voice.Output(line);
    }
}
