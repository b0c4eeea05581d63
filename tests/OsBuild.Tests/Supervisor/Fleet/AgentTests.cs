using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>The fleet as a master of a device that has no engine (yet): what arrives as its target, and what never does.</summary>
public sealed class AgentTests : IAsyncDisposable
{
    private readonly FleetServer server = new();
    private readonly string root = Directory.CreateTempSubdirectory("agent").FullName;
    private readonly Lines lines = new();
    private readonly ILogger log;

    public AgentTests() => log = new LoggerConfiguration().WriteTo.Sink(lines).CreateLogger();

    private sealed class Lines : ConcurrentQueue<string>, ILogEventSink
    {
        public void Emit(LogEvent logEvent) => Enqueue(logEvent.RenderMessage());
    }

    private HostPaths Paths => new(Path.Combine(root, "boot"), Path.Combine(root, "state"), Path.Combine(root, "data"), Path.Combine(root, "run"), Path.Combine(root, "no.sock"));

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        Directory.Delete(root, recursive: true);
    }

    /// <summary>One life of a device.</summary>
    private async Task LiveAsync(Func<FleetAgent, Reconciler, LocalPush, Task> during, string extra = "")
    {
        foreach (var directory in (string[])[Paths.Boot, Paths.State, Paths.Data, Paths.Run]) Directory.CreateDirectory(directory);
        await File.WriteAllTextAsync(Path.Combine(Paths.State, "machine-id"), "0123456789abcdef0123456789abcdef");
        var config = FleetConfig.Parse($$"""{"apiEndpoint":"{{server.Endpoint}}","apiKey":"{{server.ProvisioningKey}}","applicationId":1,"deviceType":"generic-amd64","registryEndpoint":"registry.test"{{extra}}}""", Assert.Fail);
        using var journal = Journal.Open(new Places(Paths).StateDirectory);
        await using var reconciler = new Reconciler(Paths, journal, new History(Path.Combine(Paths.Data, "supervisor")), log);
        var keys = DeviceKeys.Open(new Places(Paths).StateDirectory);
        var local = new LocalPush(Paths, reconciler, config, keys);
        using var agent = new FleetAgent(Paths, reconciler, config, keys, local, log);
        using var stop = new CancellationTokenSource();
        var running = agent.RunAsync(stop.Token);
        try
        {
            await during(agent, reconciler, local);
        }
        finally
        {
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var i = 0; i < 1000 && !condition(); i++) await Task.Delay(20);
        Assert.True(condition());
    }

    private FleetServer.Device Device => server.Devices.Values.Single();

    private int Polls => server.Requests.Count(r => r.Method == "GET" && r.Path.EndsWith("/state", StringComparison.Ordinal));

    [Fact]
    public async Task Registers_takes_the_target_and_reports()
    {
        await LiveAsync(async (agent, reconciler, _) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            Assert.True(agent.UpdateNow(force: false));
            await UntilAsync(() => reconciler.Journal.Memory.Target?.Apps.Count == 1);
            Assert.Equal(RecordedWalk.Commit, reconciler.Journal.Memory.Target!.Apps[0].Commit);
            Assert.Equal("twilight-voice", agent.Device!.Name);
            await UntilAsync(() => Device.Reported.ContainsKey("supervisor_version"));
            // The device's own key at its own registry, and at no other.
            var login = reconciler.Steps.Login("registry.test/v2/ab12@sha256:1111111111111111111111111111111111111111111111111111111111111111")!;
            Assert.Equal(($"d_{agent.Identity.Uuid}", agent.Identity.DeviceKey), (login.Username, login.Password));
            Assert.Null(reconciler.Steps.Login("docker.io/library/web:latest"));
        });
    }

    [Fact]
    public async Task Keeps_its_name_and_key_over_restarts_and_registers_once()
    {
        FleetIdentity? first = null;
        await LiveAsync(async (agent, _, _) =>
        {
            await UntilAsync(() => agent.Identity.FirstName is not null);
            first = agent.Identity;
        });
        Device.Name = "renamed";
        await LiveAsync(async (agent, _, _) =>
        {
            await UntilAsync(() => agent.Device?.Name == "renamed");
            // What containers are told is the first name: another one must not restart them.
            Assert.Equal(first, agent.Identity);
        });
        Assert.Single(server.Requests, r => r.Path == "/device/register");
        // The state partition was lost, the machine id was not: the same device with another key.
        Directory.Delete(Path.Combine(Paths.State, "supervisor"), recursive: true);
        await LiveAsync(async (agent, _, _) =>
        {
            await UntilAsync(() => agent.Identity.Registered);
            Assert.Equal(first!.Uuid, agent.Identity.Uuid);
            Assert.NotEqual(first.DeviceKey, agent.Identity.DeviceKey);
        });
        Assert.Single(server.Devices);
    }

    [Theory]
    [InlineData(304, "")]
    [InlineData(404, "")]
    [InlineData(401, "")]
    [InlineData(500, "oops")]
    [InlineData(200, "{ not JSON")]
    [InlineData(200, "{}")]
    public async Task Whatever_the_fleet_answers_what_runs_goes_on(int status, string body)
    {
        await LiveAsync(async (agent, reconciler, _) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target?.Apps.Count == 1);
            server.Fault = (method, path) => method == "GET" && path.EndsWith("/state", StringComparison.Ordinal) ? (status, body) : null;
            var before = Polls;
            agent.UpdateNow(force: false);
            await UntilAsync(() => Polls > before);
            if (status != 304) await UntilAsync(() => reconciler.Problems.ContainsKey("fleet"));
            Assert.Single(reconciler.Journal.Memory.Target!.Apps);
            server.Fault = (_, _) => null;
            agent.UpdateNow(force: false);
            await UntilAsync(() => !reconciler.Problems.ContainsKey("fleet"));
        });
    }

    [Fact]
    public async Task An_empty_target_counts_when_it_is_seen_twice()
    {
        await LiveAsync(async (agent, reconciler, _) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target?.Apps.Count == 1);
            Device.Apps = [];
            var before = Polls;
            agent.UpdateNow(force: false);
            await UntilAsync(() => Polls > before);
            await Task.Delay(100);
            Assert.Single(reconciler.Journal.Memory.Target!.Apps);
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target!.Apps.Count == 0);
        });
    }

    [Fact]
    public async Task A_release_that_cannot_run_here_is_reported_and_changes_nothing()
    {
        await LiveAsync(async (agent, reconciler, _) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target?.Apps.Count == 1);
            var demanding = GivenFleet.Service();
            demanding["contract"] = JsonNode.Parse("""{"requires":[{"type":"hw.device-type","slug":"raspberrypi5"}]}""");
            Device.Apps = GivenFleet.Apps(new() { ["main"] = demanding }, commit: new string('e', 32));
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Problems.ContainsKey("release"));
            Assert.Contains("hw.device-type raspberrypi5", reconciler.Problems["release"]);
            Assert.Equal(RecordedWalk.Commit, reconciler.Journal.Memory.Target!.Apps[0].Commit);
        });
    }

    [Fact]
    public async Task S59_A_fleet_that_asks_for_deltas_is_answered_with_whole_images()
    {
        await LiveAsync(async (agent, reconciler, _) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Config["BALENA_SUPERVISOR_DELTA"] = "1";
            Device.Config["BALENA_SUPERVISOR_DELTA_VERSION"] = "3";
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target?.Apps.Count == 1);
            Assert.Contains(lines, l => l.Contains("the fleet asks for deltas (SUPERVISOR_DELTA); this supervisor does none and downloads images whole"));
            var target = reconciler.Journal.Memory.Target!;
            var seen = new CurrentState { Memory = reconciler.Journal.Memory, Networks = [.. target.Apps[0].Networks.Select(n => new NetworkState(n.Key, n.Value.EngineName(target.Apps[0].App, n.Key), target.Apps[0].App, SpecHash.Of(n.Value)))] };
            Assert.Contains(Planner.NextSteps(seen, target, TimeSpan.Zero), s => s is Step.Fetch fetch && fetch.Reference == ImageReference.Normalize(target.Apps[0].Services["main"].Image));
        }, $",\"deltaEndpoint\":\"{server.Endpoint}/delta\"");
        Assert.DoesNotContain(server.Requests, r => r.Path.Contains("delta", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_push_has_the_say_while_local_mode_lasts()
    {
        await LiveAsync(async (agent, reconciler, local) =>
        {
            await UntilAsync(() => Polls > 0);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
            Device.Config["RESIN_SUPERVISOR_LOCAL_MODE"] = "1";
            agent.UpdateNow(force: false);
            await UntilAsync(() => local.Settings.LocalMode && reconciler.Journal.Memory.Target?.Apps.Count == 1);
            local.Push(DeviceApi.LocalTests.Push());
            Assert.Equal("localapp", reconciler.Journal.Memory.Target!.Apps.Single().App);
            Device.Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service(id: 900) }, commit: new string('c', 32));
            var before = Polls;
            agent.UpdateNow(force: false);
            await UntilAsync(() => Polls > before);
            await Task.Delay(100);
            Assert.Equal("localapp", reconciler.Journal.Memory.Target!.Apps.Single().App);
            Device.Config["RESIN_SUPERVISOR_LOCAL_MODE"] = "0";
            agent.UpdateNow(force: false);
            await UntilAsync(() => reconciler.Journal.Memory.Target!.Apps.Single().Commit == new string('c', 32));
        });
    }
}
