namespace OsBuild.OracleTests.Supervisor;

/// <summary>A small data partition of its own (ext4 on a loop device) with the engine's store on it, which fills up.</summary>
[CollectionDefinition("small disk")]
public sealed class SmallDisk : ICollectionFixture<EngineFixture>;

[Collection("small disk")]
public sealed class FullDisk(EngineFixture fixture, ITestOutputHelper output) : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("osb-disk").FullName;
    private bool mounted;

    private string Mount => Path.Combine(folder, "mnt");

    public async ValueTask DisposeAsync()
    {
        if (mounted)
        {
            await fixture.DisposeAsync();
            Judge.Run("umount", "-l", Mount).MustPass("umount");
        }

        Directory.Delete(folder, recursive: true);
    }

    private void Prepare(int mebibytes)
    {
        if (!Judge.IsRoot) Assert.Skip("a mount needs root");
        var image = Path.Combine(folder, "disk.img");
        Directory.CreateDirectory(Mount);
        using (var file = File.Create(image)) file.SetLength((long)mebibytes << 20);
        Judge.Run("mkfs.ext4", "-q", "-m", "0", image).MustPass("mkfs.ext4");
        Judge.Run("mount", "-o", "loop", image, Mount).MustPass("mount");
        mounted = true;
        fixture.DataRoot = Mount;
    }

    /// <summary>Leaves this many mebibytes free.</summary>
    private void Fill(int leave)
    {
        var ballast = Path.Combine(Mount, "ballast");
        File.Delete(ballast);
        var free = new DriveInfo(Mount).AvailableFreeSpace;
        Judge.Run("fallocate", "-l", $"{free - ((long)leave << 20)}", ballast).MustPass("fallocate");
    }

    [Fact]
    public async Task S71_73_On_a_full_disk_the_app_serves_unused_images_go_and_the_update_follows_when_there_is_room()
    {
        Prepare(400);
        await using var registry = await Registry.StartAsync();
        await using var device = await Device.NewAsync(fixture, Mount);
        var port = Device.FreePort();
        device.Compose(Releases.Web(port, await registry.PushAsync("web:1"), Releases.Good, "start-first"));
        device.Start();
        await device.UntilAsync("the first release is good", s => s.Releases.Exists(r => r.State == "good"));
        // An image without a name, as an interrupted build or a moved tag leaves it.
        await device.LoadAsync(TestImages.Archive("nameless:1"));
        var nameless = (await device.Engine.InspectImageAsync("nameless:1", CancellationToken.None))!.ID!;
        await device.LoadAsync(TestImages.Archive("nameless:1", new() { ["www/index.html"] = "another" }));
        await using var hammer = new Hammer(port);

        Fill(leave: 3);
        var next = await registry.PushAsync("web:2");
        await device.ApplyAsync(Releases.Web(port, next, Releases.Good, "start-first"));
        await device.UntilAsync("it waits for room", s => s.Problems.ContainsKey("disk") && s.Waiting.Exists(w => w.Contains("room to pull")));
        for (var i = 0; i < Device.HangGuard * 10 && await device.Engine.InspectImageAsync(nameless, CancellationToken.None) is not null; i++) await Task.Delay(100);
        Assert.Null(await device.Engine.InspectImageAsync(nameless, CancellationToken.None));
        Assert.NotNull(await device.Engine.InspectImageAsync(registry.Name("web:1"), CancellationToken.None));
        Assert.NotNull(await device.Engine.InspectImageAsync("nameless:1", CancellationToken.None));
        await hammer.UntilAnswersAsync();

        Fill(leave: 150);
        await device.UntilAsync("updated by itself", s => s.Releases[0].State == "good" && s.Services is [{ State: "running" } x] && x.Image == next && !s.Problems.ContainsKey("disk"));
        output.WriteLine($"{hammer.Lost} of {hammer.Requests} requests lost");
        Assert.Equal(0, hammer.Lost);
    }

    /// <summary>The state partition is full or gone bad: what must be remembered is kept in memory, and apps do not notice.</summary>
    [Fact]
    public async Task S62_When_the_state_cannot_be_written_apps_run_and_updates_go_on()
    {
        Prepare(64);
        fixture.DataRoot = fixture.Directory;
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("app:1"));
        Judge.Run("mount", "--bind", Mount, device.Paths.State).MustPass("mount");
        try
        {
            var port = Device.FreePort();
            device.Compose(Releases.Web(port, "app:1", Releases.Good, "start-first"));
            device.Start();
            await device.UntilAsync("the first release is good", s => s.Releases.Exists(r => r.State == "good"));
            Fill(leave: 1);
            // To the last block: dd ends when there is no room left.
            Assert.Contains("No space left", Judge.Run("dd", "if=/dev/zero", $"of={Mount}/more-ballast", "bs=1k").Output);
            await using var hammer = new Hammer(port);
            device.Compose(Releases.Web(port, "app:1", Releases.Good + $"\nenvironment: {{ NEW: \"{new string('x', 20_000)}\" }}", "start-first"));
            await device.UntilAsync("it is told, and the update happens", s => s.Problems.ContainsKey("state") && s.Releases[0].State == "good" && s.Services is [{ State: "running", Health: "healthy" }] && device.Lines.Any(l => l.Contains("changed: environment")));
            foreach (var name in (string[])["ballast", "more-ballast"]) File.Delete(Path.Combine(Mount, name));
            device.Compose(Releases.Web(port, "app:1", Releases.Good, "start-first"));
            await device.UntilAsync("it is over", s => !s.Problems.ContainsKey("state") && s.Releases[0].State == "good");
            Assert.Equal(0, hammer.Lost);
        }
        finally
        {
            await device.StopAsync();
            Judge.Run("umount", "-l", device.Paths.State).MustPass("umount");
        }
    }
}
