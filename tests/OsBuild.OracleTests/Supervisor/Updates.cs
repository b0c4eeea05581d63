namespace OsBuild.OracleTests.Supervisor;

/// <summary>Releases replacing each other on a real engine, with a client hammering the service.</summary>
[Collection("engine")]
public sealed class Updates(EngineFixture fixture, ITestOutputHelper output)
{
    private const string Good = Releases.Good;

    private static string Web(int port, string image, string keys, string strategy, string other = "") => Releases.Web(port, image, keys, strategy, other: other);

    private Task<Device> RunningAsync(int port, string strategy, string other = "") => Releases.RunningAsync(fixture, port, strategy, other: other);

    [Fact]
    public async Task S03_24_Only_what_changed_restarts_and_the_rest_never_notices()
    {
        var port = Device.FreePort();
        const string other = "  other: { image: \"app:1\", restart: always, stop_grace_period: 1s }";
        await using var device = await RunningAsync(port, "download-then-kill", other);
        var before = await device.ContainersAsync();
        device.Compose(Web(port, "app:1", Good + "\nenvironment: { NEW: \"1\" }", "download-then-kill", other));
        await device.UntilAsync("web was replaced", s => s.Services.Count(x => x.Name == "web") == 1 && device.Lines.Any(l => l.Contains("changed: environment")) && s.Releases[0].State == "good");
        var after = await device.ContainersAsync();
        Assert.Equal(before.Single(c => c.Labels["io.osbuild.service"] == "other").ID, after.Single(c => c.Labels["io.osbuild.service"] == "other").ID);
        Assert.NotEqual(before.Single(c => c.Labels["io.osbuild.service"] == "web").ID, after.Single(c => c.Labels["io.osbuild.service"] == "web").ID);
    }

    [Fact]
    public async Task S22_26_A_hand_over_loses_no_request()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "start-first");
        await device.LoadAsync(TestImages.Archive("app:2"));
        await using var hammer = new Hammer(port);
        await Task.Delay(500);
        device.Compose(Web(port, "app:2", Good, "start-first"));
        await device.UntilAsync("the second release is good", s => s.Releases[0].State == "good" && s.Services is [{ Image: "app:2", State: "running" }]);
        output.WriteLine($"hand-over: {hammer.Requests} requests, {hammer.Lost} lost, longest gap {hammer.LongestGap.TotalMilliseconds:0} ms, {string.Join(", ", hammer.Pages.Select(p => $"{p.Key} {p.Value}×"))}");
        Assert.Equal(0, hammer.Lost);
        Assert.Equal(["app:1", "app:2"], hammer.Pages.Keys.Order());
    }

    [Fact]
    public async Task S22_23_A_hand_over_waits_for_the_signal_and_keeps_the_old_one_without_it()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "hand-over");
        await device.LoadAsync(TestImages.Archive("app:2"));
        await using var hammer = new Hammer(port);
        device.Compose(Releases.Web(port, "app:2", Good, "hand-over", "30s"));
        var status = await device.UntilAsync("the silent one has lost", s => s.Releases is [{ State: "bad" }] && s.Services.Count == 1);
        Assert.Contains("it has not signalled", status.Releases[0].Reason);
        Assert.Equal(0, hammer.Lost);
        Assert.Equal(["app:1"], hammer.Pages.Keys);

        device.Compose(Web(port, "app:2", "command: [sh, -c, \"httpd -p 8080 -h /www; sleep 1; touch /tmp/balena/handover-complete; exec sleep 1000\"]\n" + Releases.Health, "hand-over"));
        await device.UntilAsync("the one that signals has won", s => s.Releases[0].State == "good" && s.Services is [{ Image: "app:2", State: "running" }]);
        Assert.Equal(0, hammer.Lost);
        Assert.True(hammer.Pages.ContainsKey("app:2"));
    }

    /// <summary>The new one takes over, serves, and turns ill in its proving time: the old one, which ran all the while, has the port again.</summary>
    [Fact]
    public async Task S23_26_A_release_that_fails_in_its_proving_time_costs_no_request()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "start-first");
        var old = (await device.ContainersAsync()).Single().ID;
        var started = (await device.Engine.InspectAsync(old, CancellationToken.None))!.State!.StartedAt;
        await device.LoadAsync(TestImages.Archive("app:2"));
        await using var hammer = new Hammer(port);
        const string ill = Releases.Serve + "\nhealthcheck: { test: [CMD, sh, -c, \"! test -e /tmp/balena/ill\"], interval: 1s, timeout: 20s, retries: 1 }";
        await device.ApplyAsync(Web(port, "app:2", ill, "start-first").Replace("proving-time: 4s", "proving-time: 30m"));
        await device.UntilAsync("the new one serves", _ => hammer.Saw("app:2"));
        Assert.True((await device.Engine.InspectAsync(old, CancellationToken.None))!.State!.Running);
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Run, "services", device.App, "web", "ill"), "");
        await device.UntilAsync("it was taken back", s => s.Releases[0].State == "bad" && s.Services is [{ Image: "app:1", State: "running" }]);
        await hammer.UntilAnswersAsync();
        output.WriteLine($"taken back in its proving time: {hammer.Lost} of {hammer.Requests} requests lost, longest gap {hammer.LongestGap.TotalMilliseconds:0} ms, {string.Join(", ", hammer.Pages.Select(p => $"{p.Key} {p.Value}×"))}");
        Assert.Equal(0, hammer.Lost);
        Assert.Equal(started, (await device.Engine.InspectAsync(old, CancellationToken.None))!.State!.StartedAt);
    }

    [Fact]
    public async Task S35_An_update_lock_holds_the_update_back()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        var lockFile = Path.Combine(device.Paths.Run, "services", device.App, "web", "updates.lock");
        await File.WriteAllTextAsync(lockFile, "");
        device.Compose(Web(port, "app:1", Good + "\nenvironment: { NEW: \"1\" }", "download-then-kill"));
        await device.UntilAsync("it waits for the lock", s => s.Waiting.Exists(w => w.Contains("update lock of")));
        Assert.Contains("update lock", await device.AskAsync("why", "web"));
        File.Delete(lockFile);
        await device.UntilAsync("it goes on", s => s.Releases[0].State == "good" && device.Lines.Any(l => l.Contains("changed: environment") && l.Contains("stop")));
    }

    [Fact]
    public async Task S09_10_What_a_person_removed_comes_back_and_foreign_containers_stay()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        var foreign = await device.Engine.CreateAsync(new() { Image = "app:1", Name = $"foreign-{device.App}", Cmd = ["sleep", "1000"] }, CancellationToken.None);
        try
        {
            var web = (await device.ContainersAsync()).Single();
            await device.Engine.RemoveAsync(web.ID, CancellationToken.None);
            await device.UntilAsync("it is back", s => s.Services is [{ State: "running", Health: "healthy" }]);
            Assert.NotNull(await device.Engine.InspectAsync(foreign, CancellationToken.None));
        }
        finally
        {
            await device.Engine.RemoveAsync(foreign, CancellationToken.None);
        }
    }

    [Fact]
    public async Task S63_A_wrong_compose_file_or_none_keeps_what_runs()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "compose.yaml"), "services:\n  web:\n    image: app:1\n    nonsense: 1\n");
        await device.UntilAsync("it says so", s => s.Problems.TryGetValue("compose", out var p) && p.Contains("compose.yaml:4: services.web.nonsense"));
        File.Delete(Path.Combine(device.Paths.Boot, "compose.yaml"));
        var status = await device.UntilAsync("it says so", s => s.Problems.TryGetValue("compose", out var p) && p.Contains("gone"));
        Assert.Equal("running", status.Services.Single().State);
    }

    /// <summary>Nobody listens there; and a name that no server knows (RFC 2606).</summary>
    [Theory]
    [InlineData("127.0.0.1:9/nothing:1")]
    [InlineData("registry.invalid/nothing:1")]
    public async Task S54_57_An_image_that_cannot_be_had_never_costs_the_old_one(string image)
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        await using var hammer = new Hammer(port);
        device.Compose(Web(port, image, Good, "download-then-kill"));
        await device.UntilAsync("it tries again", s => s.Waiting.Exists(w => w.Contains("it failed 2×")));
        Assert.Equal(0, hammer.Lost);
    }

    [Fact]
    public async Task S29_A_service_is_stopped_by_its_own_signal_within_its_own_time()
    {
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("app:1"));
        const string trap = "services: { polite: { image: \"app:1\", stop_signal: SIGUSR1, stop_grace_period: 60s, command: [sh, -c, \"trap 'sleep 3; exit 42' USR1; trap 'exit 1' TERM; while true; do sleep 0.1; done\"] }, deaf: { image: \"app:1\", stop_grace_period: 1s, command: [sh, -c, \"trap '' TERM; while true; do sleep 0.1; done\"] } }";
        device.Compose(trap);
        device.Start();
        await device.UntilRunningAsync("polite", "deaf");
        var ids = (await device.ContainersAsync()).ToDictionary(c => c.Labels["io.osbuild.service"], c => c.ID);
        await device.StopAsync();
        // The one had time to end by itself; the other was killed.
        Assert.Equal(42, (await device.Engine.InspectAsync(ids["polite"], CancellationToken.None))!.State!.ExitCode);
        Assert.Equal(137, (await device.Engine.InspectAsync(ids["deaf"], CancellationToken.None))!.State!.ExitCode);
    }

    [Fact]
    public async Task S02_A_round_with_nothing_to_do_writes_nothing()
    {
        await using var device = await RunningAsync(Device.FreePort(), "download-then-kill");
        await device.UntilSettledAsync();
        var files = Snapshot(device);
        var rounds = (await device.StatusAsync()).Rounds;
        var events = 0;
        using var watch = new CancellationTokenSource();
        // Healthchecks are the engine's own; everything else it tells of would be ours.
        var watching = device.Engine.Docker.System.MonitorEventsAsync(new(), new Sink(e => events += e.Action!.StartsWith("exec_", StringComparison.Ordinal) || e.Action.StartsWith("health", StringComparison.Ordinal) ? 0 : 1), watch.Token);
        // Every event of the engine wakes the loop: a foreign image is one that changes nothing of ours.
        for (var i = 0; i < 20; i++)
        {
            await device.Engine.TagAsync("app:1", "foreign", $"{i}", CancellationToken.None);
            await Task.Delay(100);
        }

        await device.UntilAsync("rounds went by", s => s.Rounds >= rounds + 5);
        await watch.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watching);
        Assert.Equal(20, events);
        Assert.Equal(files, Snapshot(device));
    }

    private sealed class Sink(Action<Docker.DotNet.Models.Message> action) : IProgress<Docker.DotNet.Models.Message>
    {
        public void Report(Docker.DotNet.Models.Message value) => action(value);
    }

    /// <summary>Every file of the state and data partitions with its length and time.</summary>
    private static string Snapshot(Device device) => string.Join('\n', new[] { device.Paths.State, device.Paths.Data }.SelectMany(d => new DirectoryInfo(d).EnumerateFiles("*", SearchOption.AllDirectories))
        .OrderBy(f => f.FullName, StringComparer.Ordinal).Select(f => $"{f.FullName} {f.Length} {f.LastWriteTimeUtc.Ticks}"));

    [Fact, Trait("length", "long")]
    public async Task S22_26_Hand_over_after_hand_over_loses_none_of_ten_thousand_requests()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "start-first");
        await using var hammer = new Hammer(port);
        var handOvers = 0;
        for (; hammer.Requests < 10_000 || handOvers < 10; handOvers++)
        {
            var before = hammer.Requests;
            await device.ApplyAsync(Web(port, "app:1", Good + $"\nenvironment: {{ TURN: \"{handOvers}\" }}", "start-first"));
            await device.UntilAsync($"hand-over {handOvers}", s => s.Releases[0].State == "good" && s.Services is [{ State: "running" }] && hammer.Requests > before + 200);
        }

        output.WriteLine($"{handOvers} hand-overs: {hammer.Lost} of {hammer.Requests} requests lost, longest gap {hammer.LongestGap.TotalMilliseconds:0} ms");
        Assert.Equal(0, hammer.Lost);
    }
}
