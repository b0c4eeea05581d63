namespace OsBuild.OracleTests.Supervisor;

/// <summary>Devices that are plugged in after a service wanted them, on a real engine. They are nodes made here, of drivers every kernel has.</summary>
[Collection("engine 2")]
public sealed class Devices(EngineFixture fixture) : IDisposable
{
    private readonly string node = $"/dev/osb-test-{Environment.ProcessId}-{Random.Shared.Next(100_000)}";

    public void Dispose() => File.Delete(node);

    private void PlugIn(int major, int minor) => Judge.Run("mknod", node, "c", $"{major}", $"{minor}").MustPass("mknod");

    [Fact]
    public async Task S95_A_service_starts_when_its_device_is_plugged_in()
    {
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("plug:1"));
        string Compose(string keys) => $$"""
            services:
              serial:
                image: "plug:1"
                command: [sh, -c, "dd if=/dev/serial of=/tmp/balena/read bs=4 count=1 && exec sleep 1000"]
                restart: always
                stop_grace_period: 1s
                {{keys}}
              other: { image: "plug:1", restart: always, stop_grace_period: 1s }
            """;
        device.Compose(Compose($"devices: [\"{node}:/dev/serial\"]"));
        device.Start();
        var status = await device.UntilAsync("it waits for its device, and the other runs", s => s.Waiting.Exists(w => w.Contains($"the device {node}")) && s.Services.Exists(x => x is { Name: "other", State: "running" }));
        Assert.Equal("created", status.Services.Single(s => s.Name == "serial").State);
        Assert.Contains("serial needs it and it is not there", await device.AskAsync("why", "serial"));
        // /dev/zero, by another name.
        PlugIn(1, 5);
        await device.UntilAsync("it started by itself and the release is good", s => s.Releases[0].State == "good");
        Assert.Equal(4, new FileInfo(Path.Combine(device.Paths.Run, "services", device.App, "serial", "read")).Length);

        // Pulled out, and the program ends for it: it is not started in vain, and comes back with the device.
        File.Delete(node);
        var container = (await device.ContainersAsync()).Single(c => c.Labels["io.osbuild.service"] == "serial").ID;
        await device.Engine.Docker.Containers.KillContainerAsync(container, new() { Signal = "KILL" });
        await device.UntilAsync("it waits for its device again", s => s.Waiting.Exists(w => w.Contains($"the device {node}")));
        PlugIn(1, 5);
        await device.UntilAsync("it runs again", s => s.Services.TrueForAll(x => x.State == "running"));
        Assert.Equal(container, (await device.ContainersAsync()).Single(c => c.Labels["io.osbuild.service"] == "serial").ID);
    }

    /// <summary>The loop driver's control device (10:237) is none that a container may open by itself.</summary>
    [Fact]
    public async Task S95_With_device_cgroup_rules_what_is_plugged_in_later_can_be_used_at_once()
    {
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("plug:1"));
        string Service(string name, string rules) => $$"""
              {{name}}:
                image: "plug:1"
                command: [sh, -c, "while ! test -e {{node}}; do sleep 0.2; done; (exec 3<{{node}}) 2>/dev/null && echo yes > /tmp/balena/opened || echo no > /tmp/balena/opened; exec sleep 1000"]
                restart: always
                stop_grace_period: 1s
                volumes: ["/dev:/dev"]
                {{rules}}

            """;
        device.Compose("services:\n" + Service("with", "device_cgroup_rules: [\"c 10:237 rw\"]") + Service("without", ""));
        device.Start();
        await device.UntilRunningAsync("with", "without");
        PlugIn(10, 237);
        string Opened(string name) => Path.Combine(device.Paths.Run, "services", device.App, name, "opened");
        await device.UntilAsync("both have tried", _ => new[] { "with", "without" }.All(n => File.Exists(Opened(n)) && new FileInfo(Opened(n)).Length > 0));
        Assert.Equal(("yes\n", "no\n"), (await File.ReadAllTextAsync(Opened("with")), await File.ReadAllTextAsync(Opened("without"))));
    }
}
