namespace OsBuild.OracleTests.Supervisor;

/// <summary>Updates out of a real registry that fails in every way a registry can, with a client hammering the old release. The old one serves,
/// and once the registry is well again the update happens by itself.</summary>
[Collection("engine 2")]
public sealed class Downloads(EngineFixture fixture, ITestOutputHelper output)
{
    private static readonly (string Kind, RegistryFault Fault)[] Faults =
    [
        ("401 unauthorized", new(401)),
        ("403 forbidden", new(403)),
        ("404 no such image", new(404)),
        ("429 too many requests", new(429)),
        ("500 broken", new(500)),
        ("504 gateway time-out", new(504)),
        ("200 from a captive portal", new(200)),
        ("content: 404", new(404, Blobs: true)),
        ("content: the token has run out", new(401, Blobs: true)),
        ("content: 503", new(503, Blobs: true)),
        ("content: the link is cut", new(Blobs: true) { CutAfter = 50_000 }),
        ("content: a flipped bit", new(Blobs: true) { Flip = true }),
    ];

    private async Task TryAsync(string strategy, IEnumerable<(string Kind, RegistryFault Fault)> faults)
    {
        await using var registry = await Registry.StartAsync();
        var port = Device.FreePort();
        // Of its own name and so of its own content: what another test has downloaded into this engine is not downloaded again.
        var (name, version) = ($"late{port}", 1);
        await using var device = await Releases.RunningAsync(fixture, port, strategy, await registry.PushAsync($"{name}:1"));
        foreach (var (kind, fault) in faults)
        {
            await using var hammer = new Hammer(port);
            var (old, next) = ($"{name}:{version}", await registry.PushAsync($"{name}:{++version}"));
            registry.Fault = fault;
            await device.ApplyAsync(Releases.Web(port, next, Releases.Good, strategy));
            await device.UntilAsync($"{kind}: it tries again and again", s => s.Waiting.Exists(w => w.Contains("it failed 2×") || w.Contains("it failed 3×")));
            await hammer.UntilAnswersAsync();
            Assert.Equal([old], hammer.Pages.Keys);
            var lost = hammer.Lost;
            registry.Fault = null;
            await device.UntilAsync($"{kind}: updated by itself", s => s.Releases[0].State == "good" && s.Services is [{ State: "running", Health: "healthy" } x] && x.Image == next);
            await hammer.UntilAnswersAsync();
            output.WriteLine($"{strategy} | {kind}: {lost} lost while the registry failed, {hammer.Lost} of {hammer.Requests} in all, longest gap {hammer.LongestGap.TotalSeconds:0.0} s");
            if (strategy is "download-then-kill" or "start-first" || !fault.Blobs) Assert.Equal(0, lost);
            if (strategy == "start-first") Assert.Equal(0, hammer.Lost);
        }
    }

    [Fact]
    public Task S54_56_A_start_first_update_waits_for_the_registry() => TryAsync("start-first", Faults.Where(f => f.Kind is "404 no such image" or "429 too many requests" or "content: the link is cut"));

    [Theory, Trait("length", "long")]
    [InlineData("download-then-kill")]
    [InlineData("kill-then-download")]
    [InlineData("start-first")]
    public Task S20_54_55_56_57_Every_failure_of_a_registry(string strategy) => TryAsync(strategy, Faults);

    [Fact, Trait("length", "long")]
    public async Task S21_When_the_download_fails_for_good_the_deleted_release_is_had_again()
    {
        await using var registry = await Registry.StartAsync();
        var port = Device.FreePort();
        var name = $"gone{port}";
        await using var device = await Releases.RunningAsync(fixture, port, "delete-then-download", await registry.PushAsync($"{name}:1"));
        var next = await registry.PushAsync($"{name}:2");
        await using var hammer = new Hammer(port);
        registry.Fault = new(404);
        await device.ApplyAsync(Releases.Web(port, next, Releases.Good, "delete-then-download"));
        await device.UntilAsync("nothing is deleted for it", s => s.Waiting.Exists(w => w.Contains("it failed 2×")));
        Assert.Equal(0, hammer.Lost);
        registry.Fault = new(Blobs: true) { CutAfter = 50_000 };
        await device.UntilAsync("it goes back", s => s.Releases[0].State == "bad");
        registry.Fault = null;
        await device.UntilAsync("the old one serves again", s => s.Services is [{ State: "running", Health: "healthy" }]);
        await hammer.UntilAnswersAsync();
        Assert.Equal([$"{name}:1"], hammer.Pages.Keys);
    }

    [Fact]
    public async Task S11_An_image_for_another_machine_never_costs_the_old_one()
    {
        await using var registry = await Registry.StartAsync();
        var port = Device.FreePort();
        await using var device = await Releases.RunningAsync(fixture, port, "start-first", await registry.PushAsync("web:1"));
        await using var hammer = new Hammer(port);
        await device.ApplyAsync(Releases.Web(port, await registry.PushAsync("foreign:1", "s390x"), "entrypoint: [/www/index.html]", "start-first"));
        var status = await device.UntilAsync("it is taken back", s => s.Releases[0].State == "bad" && s.Services is [{ State: "running", Health: "healthy" }]);
        output.WriteLine($"{hammer.Lost} of {hammer.Requests} lost; {status.Releases[0].Reason}");
        Assert.Equal(0, hammer.Lost);
    }

    /// <summary>A registry that takes the request and then says nothing must not hold a download for ever.</summary>
    [Fact]
    public async Task S43_A_silent_registry_is_given_up()
    {
        await using var registry = await Registry.StartAsync();
        using var patient = await fixture.ClientAsync();
        using var engine = new OsBuild.Supervisor.Engine.EngineClient(fixture.Socket) { PullPatience = TimeSpan.FromSeconds(3) };
        var name = await registry.PushAsync("quiet:1");
        registry.Fault = new(Blobs: true) { Silent = true };
        var gaveUp = await Assert.ThrowsAsync<OsBuild.Supervisor.Engine.EngineUnreachableException>(() => engine.PullAsync(name, null, null, CancellationToken.None));
        Assert.Contains("stood still for 3 s", gaveUp.Message);
        registry.Fault = null;
        await patient.PullAsync(name, null, null, CancellationToken.None);
        Assert.NotNull(await patient.InspectImageAsync(name, CancellationToken.None));
    }
}
