using OsBuild.Supervisor.Engine;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The engine itself fails: it comes late, dies, hangs, or its store is torn. Containers live on, and the supervisor picks up where things are.</summary>
[Collection("engine 3")]
public sealed class EngineTrouble(EngineFixture fixture, ITestOutputHelper output)
{
    [Fact]
    public async Task S48_51_53_When_the_engine_dies_apps_serve_on_and_later_changes_are_seen()
    {
        var port = Device.FreePort();
        await using var device = await Releases.RunningAsync(fixture, port, "start-first");
        var before = (await device.ContainersAsync()).Single();
        var started = (await device.Engine.InspectAsync(before.ID, CancellationToken.None))!.State!.StartedAt;
        await using var hammer = new Hammer(port);
        await fixture.StopAsync(crash: true);
        await device.UntilAsync("it is told", s => s.Problems.ContainsKey("engine"));
        await hammer.UntilAnswersAsync();
        await fixture.StartAsync();
        await device.UntilAsync("it is over", s => !s.Problems.ContainsKey("engine") && s.Services is [{ State: "running", Health: "healthy" }]);
        Assert.Equal(0, hammer.Lost);
        var after = (await device.ContainersAsync()).Single();
        Assert.Equal(before.ID, after.ID);
        Assert.Equal(started, (await device.Engine.InspectAsync(after.ID, CancellationToken.None))!.State!.StartedAt);

        // The stream of events was lost with the engine; there is a new one.
        await device.Engine.RemoveAsync(after.ID, CancellationToken.None);
        await device.UntilAsync("it is back", s => s.Services is [{ State: "running", Health: "healthy", Container.Length: > 0 } x] && device.Lines.Count(l => l.Contains("create " + device.App)) == 2);
    }

    [Fact]
    public async Task S48_An_engine_that_comes_late_is_waited_for()
    {
        await fixture.StopAsync(crash: false);
        await using var device = Device.WithoutEngine(fixture);
        Directory.CreateDirectory(Path.Combine(device.Paths.Boot, "apps"));
        await File.WriteAllBytesAsync(Path.Combine(device.Paths.Boot, "apps", "app.tar"), TestImages.Archive("app:1"));
        device.Compose(Releases.Web(Device.FreePort(), "app:1", Releases.Good, "download-then-kill"));
        device.Start();
        await Task.Delay(2000);
        Assert.DoesNotContain(device.Lines, l => l.Contains("cannot"));
        await fixture.StartAsync();
        await device.UntilRunningAsync("web");
    }

    /// <summary>The registry's name means nothing here: what comes can only have come through the proxy of config.yaml.</summary>
    [Fact]
    public async Task S58_With_a_proxy_the_engine_downloads_through_it_and_without_it_no_more()
    {
        await using var registry = await Registry.StartAsync();
        await using var proxy = new ForwardProxy("registry.invalid:5000", registry.Port);
        await registry.PushAsync("far:1");
        await registry.PushAsync("far:2");
        var yaml = $"proxy: http://127.0.0.1:{proxy.Port}\nno-proxy: [127.0.0.1]\n";
        await fixture.StopAsync(crash: false);
        fixture.Variables = OsBuild.Supervisor.Identity.HostConfig.Parse(yaml, Assert.Fail).Proxy!.Environment;
        await fixture.StartAsync();
        using (var engine = await fixture.ClientAsync())
        {
            await engine.PullAsync("registry.invalid:5000/far:1", null, null, CancellationToken.None);
            Assert.NotNull(await engine.InspectImageAsync("registry.invalid:5000/far:1", CancellationToken.None));
            Assert.True(proxy.Requests > 0);
            // What no-proxy names is asked directly.
            var before = proxy.Requests;
            await engine.PullAsync(registry.Name("far:2"), null, null, CancellationToken.None);
            Assert.Equal(before, proxy.Requests);
        }

        await fixture.StopAsync(crash: false);
        fixture.Variables = new Dictionary<string, string>();
        await fixture.StartAsync();
        using var without = await fixture.ClientAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => without.PullAsync("registry.invalid:5000/far:2", null, null, CancellationToken.None));
    }

    [Fact, Trait("length", "long")]
    public async Task S48_An_engine_that_hangs_is_told_and_apps_serve_on()
    {
        var port = Device.FreePort();
        await using var device = await Releases.RunningAsync(fixture, port, "start-first");
        await using var hammer = new Hammer(port);
        fixture.Freeze(true);
        try
        {
            await device.UntilAsync("it is told", s => s.Problems.TryGetValue("engine", out var p) && p.Contains("did not answer within"));
            await hammer.UntilAnswersAsync();
        }
        finally
        {
            fixture.Freeze(false);
        }

        await device.UntilAsync("it is over", s => !s.Problems.ContainsKey("engine"));
        Assert.Equal(0, hammer.Lost);
    }

    [Fact]
    public async Task S48_An_engine_that_dies_in_a_download_downloads_again()
    {
        await using var registry = await Registry.StartAsync();
        var port = Device.FreePort();
        await using var device = await Releases.RunningAsync(fixture, port, "start-first", await registry.PushAsync("web:1"));
        var next = await registry.PushAsync("web:2");
        registry.Fault = new(Blobs: true) { Silent = true };
        var requests = registry.Requests;
        await using var hammer = new Hammer(port);
        await device.ApplyAsync(Releases.Web(port, next, Releases.Good, "start-first"));
        await device.UntilAsync("the download is under way", s => registry.Requests > requests + 2);
        await fixture.StopAsync(crash: true);
        registry.Fault = null;
        await fixture.StartAsync();
        await device.UntilAsync("updated", s => s.Releases[0].State == "good" && s.Services is [{ State: "running", Health: "healthy" } x] && x.Image == next);
        Assert.Equal(0, hammer.Lost);
    }

    public static TheoryData<string> Wounds => ["the layer's files", "the layer's link", "the image's layer record", "the shared link"];

    /// <summary>The store as a power cut leaves it. Only the broken image is had again, from its archive on the boot partition; the volume stays.</summary>
    [Theory]
    [MemberData(nameof(Wounds))]
    public async Task S47_A_torn_store_is_mended(string wound)
    {
        await using var device = await Device.NewAsync(fixture);
        Directory.CreateDirectory(Path.Combine(device.Paths.Boot, "apps"));
        var torn = $"torn{device.Number}:1";
        await File.WriteAllBytesAsync(Path.Combine(device.Paths.Boot, "apps", "torn.tar"), TestImages.Archive(torn));
        await device.LoadAsync(TestImages.Archive("whole:1"));
        device.Compose(Compose(torn, ""));
        device.Start();
        await device.UntilRunningAsync("broken", "other");
        await device.UntilSettledAsync();
        var other = (await device.ContainersAsync()).Single(c => c.Labels[EngineLabels.Service] == "other").ID;
        var broken = (await device.ContainersAsync()).Single(c => c.Labels[EngineLabels.Service] == "broken");
        var image = (await device.Engine.InspectImageAsync(torn, CancellationToken.None))!;
        await device.Engine.RemoveAsync(broken.ID, CancellationToken.None);
        await fixture.StopAsync(crash: true);
        Tear(wound, image.GraphDriver!.Data["UpperDir"], image.RootFS!.Layers!.Single());
        await fixture.StartAsync();
        await device.UntilAsync("it runs again", s => s.Services.Count == 2 && s.Services.TrueForAll(x => x.State == "running") && !s.Problems.ContainsKey("engine"));
        output.WriteLine($"{wound}: {string.Join(" | ", device.Lines.Where(l => l.Contains("cannot ") || l.Contains("broken copy") || l.Contains("load ")).TakeLast(6))}");
        Assert.Equal(other, (await device.ContainersAsync()).Single(c => c.Labels[EngineLabels.Service] == "other").ID);
        var id = (await device.ContainersAsync()).Single(c => c.Labels[EngineLabels.Service] == "broken").ID;
        Assert.Contains("whole", await ReadAsync(device, id));
    }

    private static string Compose(string torn, string keys) => $$"""
        services:
          broken: { image: "{{torn}}", restart: always, stop_grace_period: 1s, volumes: ["kept:/data"], command: [sh, -c, "echo whole; exec sleep 1000"]{{keys}} }
          other: { image: "whole:1", restart: always, stop_grace_period: 1s, command: [sleep, "1000"] }
        volumes: { kept: {} }
        """;

    private void Tear(string wound, string upper, string diffId)
    {
        var layer = Path.GetDirectoryName(upper)!;
        Assert.StartsWith(fixture.DataRoot, layer);
        switch (wound)
        {
            case "the layer's files": Directory.Delete(layer, recursive: true); break;
            case "the layer's link": File.WriteAllText(Path.Combine(layer, "link"), ""); break;
            case "the shared link": foreach (var link in new DirectoryInfo(Path.Combine(layer, "..", "l")).GetFiles()) if (File.ReadAllText(Path.Combine(layer, "link")) == link.Name) link.Delete(); break;
            default: Directory.Delete(Path.Combine(fixture.DataRoot, "data", "image", "overlay2", "layerdb", "sha256", diffId["sha256:".Length..]), recursive: true); break;
        }
    }

    private static async Task<string> ReadAsync(Device device, string id)
    {
        for (var i = 0; i < 50; i++)
        {
            using var stream = await device.Engine.LogsAsync(id, new() { ShowStdout = true }, CancellationToken.None);
            var (text, _) = await stream.ReadOutputToEndAsync(CancellationToken.None);
            if (text.Length > 0) return text;
            await Task.Delay(100);
        }

        return "";
    }
}
