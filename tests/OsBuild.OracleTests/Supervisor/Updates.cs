namespace OsBuild.OracleTests.Supervisor;

/// <summary>Releases replacing each other on a real engine, with a client hammering the service.</summary>
[Collection("engine")]
public sealed class Updates(EngineFixture fixture, ITestOutputHelper output)
{
    private const string Serve = "command: [httpd, -f, -p, \"8080\", -h, /www]";
    private const string Health = "healthcheck: { test: [CMD, wget, -q, -O, /dev/null, \"http://127.0.0.1:8080/\"], interval: 500ms, timeout: 2s, retries: 3 }";

    private static string Web(int port, string image, string keys, string strategy, string other = "") => $$"""
        services:
          web:
            image: {{image}}
            ports: ["{{port}}:8080"]
            restart: always
            stop_grace_period: 1s
            labels: { io.osbuild.update.strategy: {{strategy}}, io.osbuild.update.proving-time: 8s, io.osbuild.update.handover-timeout: 8s }
        {{string.Join('\n', keys.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => "    " + l.Trim()))}}
        {{other}}
        """;

    private async Task<Device> RunningAsync(int port, string strategy, string other = "")
    {
        var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("app:1"));
        device.Compose(Web(port, "app:1", Serve + "\n" + Health, strategy, other));
        device.Start();
        await device.UntilAsync("the first release is good", s => s.Releases.Exists(r => r.State == "good"), 120);
        return device;
    }

    [Fact]
    public async Task Only_what_changed_restarts_and_the_rest_never_notices()
    {
        var port = Device.FreePort();
        const string other = "  other: { image: \"app:1\", restart: always, stop_grace_period: 1s }";
        await using var device = await RunningAsync(port, "download-then-kill", other);
        var before = await device.ContainersAsync();
        device.Compose(Web(port, "app:1", Serve + "\n" + Health + "\nenvironment: { NEW: \"1\" }", "download-then-kill", other));
        await device.UntilAsync("web was replaced", s => s.Services.Count(x => x.Name == "web") == 1 && device.Lines.Any(l => l.Contains("changed: environment")) && s.Releases[0].State == "good", 120);
        var after = await device.ContainersAsync();
        Assert.Equal(before.Single(c => c.Labels["io.osbuild.service"] == "other").ID, after.Single(c => c.Labels["io.osbuild.service"] == "other").ID);
        Assert.NotEqual(before.Single(c => c.Labels["io.osbuild.service"] == "web").ID, after.Single(c => c.Labels["io.osbuild.service"] == "web").ID);
    }

    [Fact]
    public async Task A_hand_over_loses_no_request()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "start-first");
        await device.LoadAsync(TestImages.Archive("app:2"));
        await using var hammer = new Hammer(port);
        await Task.Delay(500);
        device.Compose(Web(port, "app:2", Serve + "\n" + Health, "start-first"));
        await device.UntilAsync("the second release is good", s => s.Releases[0].State == "good" && s.Services is [{ Image: "app:2", State: "running" }], 120);
        output.WriteLine($"hand-over: {hammer.Requests} requests, {hammer.Lost} lost, longest gap {hammer.LongestGap.TotalMilliseconds:0} ms, {string.Join(", ", hammer.Pages.Select(p => $"{p.Key} {p.Value}×"))}");
        Assert.Equal(0, hammer.Lost);
        Assert.Equal(["app:1", "app:2"], hammer.Pages.Keys.Order());
    }

    [Fact]
    public async Task A_hand_over_waits_for_the_signal_and_keeps_the_old_one_without_it()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "hand-over");
        await device.LoadAsync(TestImages.Archive("app:2"));
        await using var hammer = new Hammer(port);
        device.Compose(Web(port, "app:2", Serve + "\n" + Health, "hand-over"));
        var status = await device.UntilAsync("the silent one has lost", s => s.Releases[0].State == "bad" && s.Services.Count == 1, 120);
        Assert.Contains("it has not signalled", status.Releases[0].Reason);
        Assert.Equal(0, hammer.Lost);
        Assert.Equal(["app:1"], hammer.Pages.Keys);

        device.Compose(Web(port, "app:2", "command: [sh, -c, \"httpd -p 8080 -h /www; sleep 1; touch /tmp/balena/handover-complete; exec sleep 1000\"]\n" + Health, "hand-over"));
        await device.UntilAsync("the one that signals has won", s => s.Releases[0].State == "good" && s.Services is [{ Image: "app:2", State: "running" }], 120);
        Assert.Equal(0, hammer.Lost);
        Assert.True(hammer.Pages.ContainsKey("app:2"));
    }

    [Fact]
    public async Task An_update_lock_holds_the_update_back()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        var lockFile = Path.Combine(device.Paths.Run, "services", device.App, "web", "updates.lock");
        await File.WriteAllTextAsync(lockFile, "");
        device.Compose(Web(port, "app:1", Serve + "\n" + Health + "\nenvironment: { NEW: \"1\" }", "download-then-kill"));
        await device.UntilAsync("it waits for the lock", s => s.Waiting.Exists(w => w.Contains("update lock of")), 60);
        Assert.Contains("update lock", await device.AskAsync("why", "web"));
        File.Delete(lockFile);
        await device.UntilAsync("it goes on", s => s.Releases[0].State == "good" && device.Lines.Any(l => l.Contains("changed: environment") && l.Contains("stop")), 120);
    }

    [Fact]
    public async Task What_a_person_removed_comes_back_and_foreign_containers_stay()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        var foreign = await device.Engine.CreateAsync(new() { Image = "app:1", Name = $"foreign-{device.App}", Cmd = ["sleep", "1000"] }, CancellationToken.None);
        try
        {
            var web = (await device.ContainersAsync()).Single();
            await device.Engine.RemoveAsync(web.ID, CancellationToken.None);
            await device.UntilAsync("it is back", s => s.Services is [{ State: "running", Health: "healthy" }], 60);
            Assert.NotNull(await device.Engine.InspectAsync(foreign, CancellationToken.None));
        }
        finally
        {
            await device.Engine.RemoveAsync(foreign, CancellationToken.None);
        }
    }

    [Fact]
    public async Task A_wrong_compose_file_or_none_keeps_what_runs()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "compose.yaml"), "services:\n  web:\n    image: app:1\n    nonsense: 1\n");
        await device.UntilAsync("it says so", s => s.Problems.TryGetValue("compose", out var p) && p.Contains("compose.yaml:4: services.web.nonsense"), 30);
        File.Delete(Path.Combine(device.Paths.Boot, "compose.yaml"));
        var status = await device.UntilAsync("it says so", s => s.Problems.TryGetValue("compose", out var p) && p.Contains("gone"), 30);
        Assert.Equal("running", status.Services.Single().State);
    }

    [Fact]
    public async Task An_image_that_cannot_be_had_never_costs_the_old_one()
    {
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, "download-then-kill");
        await using var hammer = new Hammer(port);
        device.Compose(Web(port, "127.0.0.1:9/nothing:1", Serve, "download-then-kill"));
        await device.UntilAsync("it tries again", s => s.Waiting.Exists(w => w.Contains("it failed 2×")), 60);
        Assert.Equal(0, hammer.Lost);
    }

    public static TheoryData<string> Strategies => ["download-then-kill", "start-first"];

    /// <summary>Every kind of bad release; the first column names it.</summary>
    private static readonly (string Kind, string Keys)[] BadReleases =
    [
        ("exits at once", "command: [\"false\"]"),
        ("exits with 0", "command: [\"true\"]"),
        ("exits after two seconds", "command: [sh, -c, \"httpd -p 8080 -h /www; sleep 2\"]"),
        ("is unhealthy", Serve + "\nhealthcheck: { test: [CMD, \"false\"], interval: 500ms, retries: 3 }"),
        ("does not listen", "command: [sleep, \"1000\"]\n" + Health),
        ("its healthcheck hangs", Serve + "\nhealthcheck: { test: [CMD, sleep, \"100\"], interval: 500ms, timeout: 500ms, retries: 2 }"),
        ("its healthcheck is no program", Serve + "\nhealthcheck: { test: [CMD, /nope], interval: 500ms, retries: 2 }"),
        ("no such program", "entrypoint: [/nope]"),
        ("not executable", "entrypoint: [/etc/passwd]"),
        ("wrong architecture", "entrypoint: [/www/index.html]"),
        ("no such user", Serve + "\nuser: nobody-here"),
        ("no such group", Serve + "\nuser: \"0:no-group\""),
        ("no such device", Serve + "\ndevices: [/dev/not-there]"),
        ("no such runtime", Serve + "\nruntime: none-such"),
        ("no such log driver", Serve + "\nlogging: { driver: none-such }"),
        ("bad log option", Serve + "\nlogging: { driver: json-file, options: { max-size: lots } }"),
        ("bad sysctl", Serve + "\nsysctls: { not.a.sysctl: 1 }"),
        ("bad capability", Serve + "\ncap_add: [CAP_EVERYTHING]"),
        ("bad security option", Serve + "\nsecurity_opt: [\"seccomp=/nope.json\"]"),
        ("too little memory", Serve + "\nmem_limit: 1m"),
        ("out of memory", "command: [sh, -c, \"dd if=/dev/zero of=/dev/shm/x bs=1M count=64; httpd -f\"]\nmem_limit: 16m\nmemswap_limit: 16m\nshm_size: 128m"),
        ("too many CPUs", Serve + "\ncpus: 4000"),
        ("no such CPU", Serve + "\ncpuset: \"99\""),
        ("mount source missing", Serve + "\nvolumes: [{ type: bind, source: /not/there, target: /x, bind: { create_host_path: false } }]"),
        ("file mounted over a directory", Serve + "\nvolumes: [\"/etc/hostname:/bin\"]"),
        ("programs hidden by a tmpfs", Serve + "\ntmpfs: /bin"),
        ("storage limit unsupported", Serve + "\nstorage_opt: { size: 1G }"),
        ("no such GPU", Serve + "\ngpus: all"),
        ("bad working directory", Serve + "\nworking_dir: relative/path"),
        ("bad ulimit", Serve + "\nulimits: { nonsense: 5 }"),
        ("address outside the network", Serve + "\nextra_hosts: [\"bad=not-an-address\"]"),
        ("bad tmpfs option", Serve + "\ntmpfs: \"/x:nonsense=1\""),
    ];

    [Theory]
    [MemberData(nameof(Strategies))]
    public async Task No_bad_release_ever_wins(string strategy)
    {
        var failures = new List<string>();
        var port = Device.FreePort();
        await using var device = await RunningAsync(port, strategy);
        foreach (var bad in BadReleases)
        {
            try
            {
                await using var hammer = new Hammer(port);
                device.Compose(Web(port, "app:1", bad.Keys, strategy));
                var status = await device.UntilAsync($"{bad.Kind} was taken back", s => s.Releases[0].State == "bad" && s.Services is [{ State: "running", Health: "healthy" }], 90);
                await Task.Delay(200);
                output.WriteLine($"{bad.Kind}: {hammer.Lost} of {hammer.Requests} lost, longest gap {hammer.LongestGap.TotalSeconds:0.0} s; {status.Releases[0].Reason}");
                if (strategy == "start-first" && hammer.Lost > 0) failures.Add($"{bad.Kind}: {hammer.Lost} requests were lost");
            }
            catch (Exception e)
            {
                failures.Add($"{bad.Kind}: {e.Message}");
            }

            device.Compose(Web(port, "app:1", Serve + "\n" + Health, strategy));
            await device.UntilAsync("the good release is the target again", s => s.Releases[0].State == "good" && s.Services is [{ State: "running", Health: "healthy" }], 60);
        }

        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }
}
