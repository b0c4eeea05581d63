using System.Text.Json.Nodes;
using System.Threading.Channels;
using OsBuild.Supervisor.Clock;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Network;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Supervisor.Init;

/// <summary>The running host: what PID 1 starts, watches and takes down.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "It lives as long as the machine runs; ShutDown closes what holds a file system.")]
internal sealed class Host(BootLog log, ChannelWriter<ShutdownRequest> requests)
{
    private readonly HostPaths _paths = HostPaths.FromEnvironment();
    private readonly JsonObject _report = [];
    private BoundedLog? _hostLog;
    private BoundedLog? _engineLog;
    private Child? _engine;
    private Child? _worker;
    private Watchdog? _watchdog;
    private volatile bool _stopping;
    private TrialWatch? _trial;

    // Held for as long as the machine runs: what nobody holds is collected, and PID 1 would hear no signal any more.
    private IReadOnlyList<System.Runtime.InteropServices.PosixSignalRegistration> _signals = [];

    /// <summary>From bare kernel to engine and worker running.</summary>
    public void Start()
    {
        new Boot(Say).Perform(BootTable.Kernel);
        _signals = ShutdownRequest.Listen(requests);
        var line = KernelCommandLine.Current();
        var modules = new KernelModules();
        var boot = new Boot(Say, modules, name => Programs.Find(name, File.Exists) is not null);
        Modprobe.Install(modules, Say);
        boot.Perform(BootTable.Modules);
        boot.Perform(BootTable.Programs);
        boot.Perform(BootTable.ControlGroups);
        boot.Perform(BootTable.Settings);
        _watchdog = Watchdog.Open(Say);
        modules.ColdPlug(bus => bus != "cpu", Say);
        log.Event("devices");
        var storage = new Storage(log);
        storage.MountAll();
        log.Event("mounts");
        _hostLog = new BoundedLog(Path.Combine(_paths.Data, "log", "host.log"), 512 << 10);
        _engineLog = new BoundedLog(Path.Combine(_paths.Data, "log", "engine.log"), 1 << 20);
        if (_watchdog.Seconds == 0) _watchdog = OpenLate(modules);
        var config = HostConfig.Read(_paths.ConfigYaml, Say);
        Identify(line, storage, config);
        Attempt("clock", () => ClockStart.Set(_paths, Say));
        Attempt("loopback", Links.BringUpLoopback);
        PowerButton.Watch(() => requests.TryWrite(new ShutdownRequest(RebootKind.PowerOff, "power button")), Say);
        WriteReport(); // before the worker starts: it is how the worker knows whose host this is
        StartChildren(config);
        WriteReport();

        // What the processor itself can do (crypto, frequency, sensors) is many modules that nothing waits for.
        KeepAlive("processor", () => Task.Run(() => modules.ColdPlug(bus => bus == "cpu", Say)));
    }

    private Watchdog OpenLate(KernelModules modules)
    {
        var watchdog = Watchdog.Open(Say); // its driver may have come with the cold plug
        if (watchdog.Seconds > 0 || File.Exists("/dev/watchdog")) return watchdog;

        // No hardware: the kernel's own timer still ends a user space that hangs.
        modules.Load("softdog", Say);
        return Watchdog.Open(Say);
    }

    private void Identify(KernelCommandLine line, Storage storage, HostConfig config)
    {
        DeviceIdentity identity;
        string? last = null;
        try
        {
            last = ShutdownRecord.Begin(_paths.State);
            identity = DeviceIdentity.LoadOrMake(_paths.State, config.HostName);
            Attempt("random seed", () => EntropySeed.Restore(_paths.State));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Say($"state cannot be written: {e.Message}; this device has a new identity until power-off");
            identity = DeviceIdentity.Volatile(config.HostName);
        }

        identity.Apply("/etc", Say);
        var clean = ShutdownRecord.WasClean(last);
        _report["board"] = HostConfig.Board(Path.Combine(_paths.Boot, "image.json"));
        var slot = line["osbuild.slot"] ?? "a";
        _report["slot"] = slot;
        _report["machineId"] = identity.MachineId;
        _report["hostName"] = identity.HostName;
        _report["lastShutdownClean"] = clean;
        _report["lastShutdown"] = last ?? "first boot";
        _report["grown"] = storage.Grown;
        _report["partitions"] = new JsonObject(storage.State.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)s.Value)));
        _trial = new TrialWatch(_paths, slot, new HostBounds(), log.Event);
        Attempt("host update", _trial.Begin);
        log.Heard = (name, detail) => Attempt("host update", () => _trial.Note(name, detail));
        log.Event("identity", $"{identity.HostName}, last shutdown {(clean switch { true => "clean", false => "NOT clean", null => "none: first boot" })}");
    }

    private void StartChildren(HostConfig config)
    {
        Directory.CreateDirectory(Path.Combine(_paths.Data, "tmp"));
        var path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" + (Modprobe.IsOurs ? $":{Modprobe.Directory}" : "");
        Environment.SetEnvironmentVariable("PATH", path);
        Environment.SetEnvironmentVariable("HOME", "/root");
        var stub = new WorkerStub(_paths, WorkerStub.Own(["worker"], "supervisor"), ["worker"], new TrialBounds(), new StubVoice(Say, log.Event, WorkerSays));
        _worker = stub.Worker;
        KeepAlive("worker", _worker.RunAsync);
        KeepAlive("self-update", stub.ConductAsync);
        if (EngineChild.Find(File.Exists, _paths.Data, _paths.EngineSocket, config.Proxy) is { } spec)
        {
            _engine = new Child(spec, Say, _engineLog!.Line);
            KeepAlive("engine", _engine.RunAsync);
            KeepAlive("engine watch", WatchEngineAsync);
        }
        else
        {
            Say("there is no dockerd on the root file system; add it to the Yocto image");
        }

        log.Event("children");
        KeepAlive("watchdog", FeedWatchdogAsync);
        KeepAlive("memory", MeasureAsync);
        KeepAlive("host update", WatchTrialAsync);
    }

    /// <summary>Time line lines of the worker go to the console as they are, the rest into the log.</summary>
    private void WorkerSays(string line)
    {
        if (HostEvent.Parse(line) is var (name, detail))
        {
            log.Event(name, detail);
            WriteReport();
        }
        else if (_hostLog is { } hostLog)
        {
            hostLog.Line(line);
        }
    }

    /// <summary>Says when the engine is ready, and restarts one that has stopped answering.</summary>
    private async Task WatchEngineAsync()
    {
        var announced = 0;
        var silent = 0;
        while (!_stopping)
        {
            await Task.Delay(silent == 0 && announced == _engine!.Starts ? 15_000 : 100);
            if (_stopping) return;
            var starts = _engine!.Starts;
            if (await EngineChild.AnswersAsync(_paths.EngineSocket, TimeSpan.FromSeconds(10)))
            {
                silent = 0;
                if (starts == announced) continue;
                announced = starts;
                log.Event("engine ready");
                WriteReport();
            }
            else if (starts == announced && ++silent > 60)
            {
                Say("the engine has not answered for a while; starting it again (containers keep running)");
                silent = 0;
                _engine.Restart();
            }
        }
    }

    private async Task FeedWatchdogAsync()
    {
        var state = WatchdogState.Start(BootLog.Now);
        var resets = new ResetRecord(_paths.State);
        while (!_stopping)
        {
            var before = state.Beat;
            (state, var act) = state.On(Heartbeat.Read(_paths), BootLog.Now, resets.MayReset);
            switch (act)
            {
                case WatchdogState.Act.Feed:
                    _watchdog!.Feed();
                    if (state.Beat != before) resets.Progress(BootLog.Now);
                    break;
                case WatchdogState.Act.RestartWorker:
                    Say("the worker makes no progress; starting it again");
                    _watchdog!.Feed();
                    resets.Setback();
                    _worker!.Restart();
                    break;
                case WatchdogState.Act.Starve:
                    Say("the worker makes no progress even after a restart; leaving the board to the watchdog");
                    resets.Resetting();
                    break;
                default: throw new System.Diagnostics.UnreachableException();
            }

            await Task.Delay(act == WatchdogState.Act.Starve ? 30_000 : 5_000);
        }
    }

    /// <summary>A host on trial proves itself, or the other one is booted.</summary>
    private async Task WatchTrialAsync()
    {
        var bad = await _trial!.RunAsync(() => new(BootLog.Now, log.Events.Any(e => e.Name == "engine ready"), Heartbeat.Read(_paths), _worker!.Starts, null));
        if (bad) requests.TryWrite(new ShutdownRequest(RebootKind.Restart, "the other host is booted again"));
    }

    /// <summary>Gives back what the boot needed and says once what is left.</summary>
    private async Task MeasureAsync()
    {
        await Task.Delay(30_000);
        OwnMemory.GiveBack();
        if (MemoryUse.Of(Environment.ProcessId) is not { } own || MemoryUse.Of(_worker?.ProcessId ?? 0) is not { } worker) return;
        lock (_report) _report["memoryKilobytes"] = new JsonObject { ["pid1"] = own, ["worker"] = worker };
        Say($"memory: {own} kB in process 1, {worker} kB in the worker");
        WriteReport();
    }

    /// <summary>Takes everything down in order. Never returns when reboot(2) works.</summary>
    public void ShutDown(ShutdownRequest request)
    {
        _stopping = true;
        GC.KeepAlive(_signals);
        log.Event("shutdown", $"{request.Kind} ({request.Reason})");
        _watchdog?.Feed();
        if (_worker is not null) Attempt("worker", () => _worker.Stop(Shutdown.WorkerBudget));
        log.Event("worker stopped");
        _watchdog?.Feed();
        if (_engine is not null) Attempt("engine", () => _engine.Stop(Shutdown.EngineBudget));
        log.Event("engine stopped");
        _watchdog?.Feed();
        Attempt("processes", () => Shutdown.EndProcesses(log.Say));
        string? word = null;
        Attempt("host update", () =>
        {
            _trial?.Leave();
            if (request.Kind == RebootKind.Restart) word = _trial?.WordForFirmware;
        });
        Attempt("state", () =>
        {
            EntropySeed.Save(_paths.State);
            ClockStart.Save(_paths);
            ShutdownRecord.End(_paths.State, request.Reason);
        });
        _hostLog?.Dispose();
        _engineLog?.Dispose();
        _hostLog = null;
        Libc.Sync();
        Attempt("unmount", () => Shutdown.UnmountAll(log.Say));
        Libc.Sync();
        log.Event("clean shutdown", request.Reason);
        if (word is not null) Attempt("restart", () => Libc.Restart(word));
        if (request.Kind != RebootKind.Restart) _watchdog?.Disarm(); // a restart that hangs is still caught by it
        Libc.Reboot(request.Kind);
    }

    private void KeepAlive(string name, Func<Task> run) => Keep.AliveAsync(name, run, () => !_stopping, Say);

    private void Attempt(string what, Action act)
    {
        try
        {
            act();
        }
        catch (Exception e)
        {
            Say($"{what}: {e.Message}");
        }
    }

    private void Say(string text)
    {
        log.Say(text);
        try
        {
            _hostLog?.Line($"{DateTimeOffset.UtcNow:O} pid1 {text}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            // The console has it.
        }
    }

    private void WriteReport()
    {
        lock (_report)
        {
            _report["timeline"] = log.ToJson();
            try
            {
                var path = Path.Combine(_paths.Run, "host.json");
                File.WriteAllText(path + ".new", _report.ToJsonString() + "\n");
                File.Move(path + ".new", path, overwrite: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                log.Say($"host.json: {e.Message}");
            }
        }
    }
}
