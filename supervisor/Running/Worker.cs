using System.Runtime.InteropServices;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Clock;
using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Logs;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Network;
using OsBuild.Supervisor.Push;
using OsBuild.Supervisor.SelfUpdate;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.Running;

/// <summary>The worker: network, time, reconciler and local API, each a task that is restarted when it fails. It may be restarted at any time:
/// containers and engine do not notice.</summary>
internal static class Worker
{
    private static readonly TimeSpan RestartAfter = TimeSpan.FromSeconds(2);

    /// <summary>A little less than what PID 1 allows.</summary>
    private static readonly TimeSpan ShutdownBudget = Init.Shutdown.WorkerBudget - TimeSpan.FromSeconds(5);

    /// <param name="paths">Where the host is.</param>
    /// <param name="hostDuties">False under another init, which looks after network and time itself.</param>
    public static async Task<int> RunAsync(HostPaths paths, bool hostDuties = true)
    {
        using var log = LogSetup.Create(Path.Combine(paths.Data, "logs"));
        using var stop = new CancellationTokenSource();
        using var leave = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var makeRoom = PosixSignalRegistration.Create((PosixSignal)Libc.SIGUSR1, Leave);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, leave.Token);
        using var lease = await Lease.TakeAsync(paths, log, end.Token);
        var host = !hostDuties ? Task.CompletedTask : Task.WhenAll(
            Keep("network", t => NetworkAgent.RunAsync(paths, t), log, end.Token),
            // Under another init that is udev's business.
            Keep("hot plug", t => NetworkAgent.IsOurs(paths) ? new HotPlug(HotPlug.Load).RunAsync(t) : Idle(t), log, end.Token),
            Keep("clock", t => ClockAgent.RunAsync(paths, FleetConfig.Read(paths.ConfigJson, _ => { }), t), log, end.Token));
        await RunAsync(paths, log, ShutdownBudget, stop.Token, leave.Token);
        await host;
        return 0;

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }

        void Leave(PosixSignalContext context)
        {
            context.Cancel = true;
            leave.Cancel();
        }
    }

    /// <summary>The part that has to do with containers. Runs until <paramref name="shutdown"/>; then stops the containers in order. On
    /// <paramref name="leave"/> it makes room for another worker, and the containers go on.</summary>
    public static async Task RunAsync(HostPaths paths, ILogger log, TimeSpan budget, CancellationToken shutdown, CancellationToken leave = default)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(shutdown, leave);
        var stop = end.Token;
        Directory.CreateDirectory(paths.Run);
        var places = new Places(paths);
        using var journal = Journal.Open(places.StateDirectory);
        await using var reconciler = new Reconciler(paths, journal, History.Open(Path.Combine(paths.Data, "supervisor")), log);
        var config = FleetConfig.Read(paths.ConfigJson, problem => log.Warning("{Problem}", problem));
        var keys = DeviceKeys.Open(places.StateDirectory);
        var local = new LocalPush(paths, reconciler, config, keys);
        var board = new BoardWatch(reconciler);
        using var fleet = config.Managed ? new FleetAgent(paths, reconciler, config, keys, local, log) { Board = board } : null;
        local.Resume();
        // One master at a time: a push while it lasts, else the fleet when there is one, else the compose file.
        var compose = new ComposeWatch(paths, reconciler, log) { Yields = () => fleet is not null || local.Active };
        var device = new DeviceServer(new(paths, reconciler, config, keys, local, fleet) { Power = Power }, log);
        var update = new SelfUpdateAgent(paths, reconciler, log);
        var host = new HostUpdateAgent(paths, reconciler, log, () => Power(reboot: true));
        using var sampler = new Sampler(reconciler.Engine, () => reconciler.Seen?.Containers ?? [], [("data", paths.Data), ("state", paths.State), ("boot", paths.Boot)], () => board.Last);
        using var bundles = new BundleIntake(paths, compose, () => DateTimeOffset.UtcNow);
        var events = new EventHub();
        reconciler.History.Added += events.Observe;
        reconciler.Observed += state => events.Observe(state, DateTimeOffset.UtcNow);
        var routes = new Routes(reconciler, compose, new Reports(paths, reconciler, update, host), new ServiceLogs(reconciler.Engine, places.KeptLogs), events, sampler, new Builds(reconciler.Engine), bundles, update, host) { Power = Power };
        var key = AccessKey.LoadOrMake(places.StateDirectory);
        await Task.WhenAll(
            Keep("reconciler", reconciler.RunAsync, log, stop),
            Keep("compose file", compose.RunAsync, log, stop),
            Keep("board sensors", board.RunAsync, log, stop),
            Keep("sticks", NetworkAgent.IsOurs(paths) ? new StickWatch(paths, bundles, reconciler, log).RunAsync : Idle, log, stop),
            Keep("fleet", fleet is null ? Idle : fleet.RunAsync, log, stop),
            Keep("device API", fleet is not null || config.DevelopmentMode ? device.RunAsync : Idle, log, stop),
            Keep("engine relay", config.DevelopmentMode ? t => EngineRelay.RunAsync(new(System.Net.IPAddress.IPv6Any, EngineRelay.Port), paths.EngineSocket, t) : Idle, log, stop),
            Keep("self-update", update.RunAsync, log, stop),
            Keep("host update", host.RunAsync, log, stop),
            Keep("local API", new LocalApi(paths, routes, key, log).RunAsync, log, stop),
            Keep("network API", new NetworkApi(paths, routes, key, log).RunAsync, log, stop));
        if (!shutdown.IsCancellationRequested)
        {
            log.Information("making room for another worker; the containers go on");
            return;
        }

        log.Information("stopping the containers");
        await reconciler.ShutdownAsync(budget);
        log.Information("the containers are stopped");
    }

    private static Task Idle(CancellationToken stop) => Task.Delay(Timeout.InfiniteTimeSpan, stop);

    /// <summary>PID 1 is us only when it says so.</summary>
    private static string? Power(bool reboot)
    {
        if (!File.Exists("/run/osbuild/host.json")) return "This host has an init of its own; use its poweroff or reboot";
        Libc.Kill(1, reboot ? Libc.SIGTERM : Libc.SIGUSR2);
        return null;
    }

    /// <summary>Runs a task for as long as the worker lives. A fault in one never ends another.</summary>
    private static async Task Keep(string name, Func<CancellationToken, Task> run, ILogger log, CancellationToken stop)
    {
        await Task.Yield();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await run(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                log.Error(e, "{Task} failed and is started again", name);
            }

            try
            {
                await Task.Delay(RestartAfter, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
