namespace OsBuild.OracleTests.Supervisor;

/// <summary>A web server in the network of another service, which owns the published port: on a real engine.</summary>
[Collection("engine 2")]
public sealed class SharedNetwork(EngineFixture fixture, ITestOutputHelper output)
{
    private static string Compose(int port, string front, string image, string order) => $$"""
        services:
          front:
            image: "{{front}}"
            command: [sleep, "1000"]
            restart: always
            stop_grace_period: 1s
            ports: ["{{port}}:8080"]
            deploy: { update_config: { order: {{order}}, monitor: 4s } }
          web:
            image: {{image}}
            network_mode: service:front
            pid: service:front
            restart: always
            stop_grace_period: 1s
            {{Releases.Serve}}
            {{Releases.Health}}
            deploy: { update_config: { monitor: 4s } }
        """;

    private static async Task<string> IdAsync(Device device, string service) => (await device.ContainersAsync()).Single(c => c.Labels["io.osbuild.service"] == service).ID;

    private static Task GoodAsync(Device device, string image) => device.UntilAsync($"the release with {image} is good", s => s.Releases[0].State == "good" && s.Services.Count == 2 && s.Services.TrueForAll(x => x.State == "running") && s.Services.Exists(x => x.Image == image));

    [Theory]
    [InlineData("stop-first")]
    [InlineData("start-first")]
    public async Task Answers_at_the_port_of_the_other_and_follows_it(string order)
    {
        var port = Device.FreePort();
        await using var device = await Device.NewAsync(fixture);
        foreach (var image in (string[])["front:1", "front:2", "inner:1", "inner:2"]) await device.LoadAsync(TestImages.Archive(image));
        device.Compose(Compose(port, "front:1", "inner:1", order));
        device.Start();
        await GoodAsync(device, "inner:1");
        var (front, web) = (await IdAsync(device, "front"), await IdAsync(device, "web"));
        Assert.Equal("container:" + front, (await device.Engine.InspectAsync(web, CancellationToken.None))!.HostConfig!.NetworkMode);

        await using (var hammer = new Hammer(port))
        {
            await hammer.UntilAnswersAsync();
            await device.ApplyAsync(Compose(port, "front:2", "inner:2", order));
            await GoodAsync(device, "inner:2");
            await device.UntilAsync("the new one answers", _ => hammer.Saw("inner:2"));
            output.WriteLine($"{order}: {hammer.Requests} requests, {hammer.Lost} lost, longest gap {hammer.LongestGap.TotalMilliseconds:0} ms");
            if (order == "start-first") Assert.Equal(0, hammer.Lost);
        }

        // The owner ends: what is in its network is started again with it, since the old network is gone.
        var (second, inner) = (await IdAsync(device, "front"), await IdAsync(device, "web"));
        Assert.NotEqual((front, web), (second, inner));
        await device.Engine.Docker.Containers.KillContainerAsync(second, new() { Signal = "KILL" });
        await device.UntilAsync("the owner was started again", _ => device.Lines.Any(l => l.Contains($"start {device.App}-front") && l.Contains("it ended with code 137")));
        await using var after = new Hammer(port);
        await after.UntilAnswersAsync();
        Assert.Equal((second, inner), (await IdAsync(device, "front"), await IdAsync(device, "web")));
    }
}
