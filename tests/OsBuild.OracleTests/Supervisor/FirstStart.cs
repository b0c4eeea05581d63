namespace OsBuild.OracleTests.Supervisor;

/// <summary>The demo's road on a real engine: an archive on the boot partition, a compose file, a page.</summary>
[Collection("engine")]
public sealed class FirstStart(EngineFixture fixture)
{
    private static string Demo(int port) => $$"""
        services:
          web:
            image: demo-web:1
            ports: ["{{port}}:8080"]
            restart: unless-stopped
            volumes: ["data:/data"]
            healthcheck:
              test: wget -q -O /dev/null http://127.0.0.1:8080/
              interval: 1s
              timeout: 20s
              retries: 3
          clock:
            image: demo-web:1
            command: sh -c 'while true; do date; sleep 1; done'
            restart: unless-stopped
            depends_on:
              web: { condition: service_healthy }
        volumes:
          data:
        """;

    [Fact]
    public async Task Loads_the_archive_starts_in_order_and_answers()
    {
        await using var device = await Device.NewAsync(fixture);
        Directory.CreateDirectory(Path.Combine(device.Paths.Boot, "apps"));
        await File.WriteAllBytesAsync(Path.Combine(device.Paths.Boot, "apps", "demo.tar"), TestImages.Archive("demo-web:1"));
        var port = Device.FreePort();
        device.Compose(Demo(port));
        device.Start();
        await device.UntilRunningAsync("web", "clock");
        using var http = new HttpClient();
        Assert.Equal("demo-web:1\n", await http.GetStringAsync($"http://127.0.0.1:{port}/"));
        await device.UntilSettledAsync();
        Assert.Contains("Nothing to do", await device.AskAsync("plan"));
        Assert.Contains("the service has no container", await device.AskAsync("why", "web"));
        var lines = device.Lines.ToList();
        var healthy = lines.FindIndex(l => l.Contains("start " + device.App + "-clock"));
        Assert.True(healthy > lines.FindIndex(l => l.Contains("start " + device.App + "-web")), string.Join('\n', lines));

        await device.StopAsync();
        Assert.All(await device.ContainersAsync(), c => Assert.NotEqual("running", c.State));
        // The dependent one goes first.
        lines = [.. device.Lines];
        Assert.True(lines.FindIndex(l => l.Contains("stop " + device.App + "-clock")) < lines.FindIndex(l => l.Contains("stop " + device.App + "-web")));
    }
}
