using System.Diagnostics;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The worker is killed (SIGKILL) at random moments of an update, over and over: the end is the same as without.</summary>
[Collection("engine")]
public sealed class KilledAnywhere(EngineFixture fixture, ITestOutputHelper output)
{
    private static string Web(int port, string strategy, int version) => $$"""
        services:
          web:
            image: app:1
            command: [httpd, -f, -p, "8080", -h, /www]
            ports: ["{{port}}:8080"]
            restart: always
            stop_grace_period: 1s
            environment: { VERSION: "{{version}}" }
            labels: { io.osbuild.update.strategy: {{strategy}}, io.osbuild.update.proving-time: 1s }
            healthcheck: { test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"], interval: 500ms, timeout: 2s, retries: 3 }
        """;

    [Theory]
    [InlineData("download-then-kill")]
    [InlineData("kill-then-download")]
    [InlineData("start-first")]
    public async Task Ends_in_the_same_state(string strategy)
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("app:1"));
        var port = Device.FreePort();
        var kills = 0;
        Process? worker = null;
        try
        {
            for (var version = 1; version <= 3; version++)
            {
                device.Compose(Web(port, strategy, version));
                for (var i = 0; i < 3; i++, kills++)
                {
                    worker = device.StartProcess();
                    await Task.Delay(random.Next(200, 3500));
                    worker.Kill();
                    await worker.WaitForExitAsync();
                    // Containers do not notice that the worker is gone.
                    Assert.True((await device.ContainersAsync()).Count <= 2, "containers piled up");
                }

                worker = device.StartProcess();
                await device.UntilAsync($"version {version} runs alone (seed {seed})", s => s.Releases.Exists(r => r.State == "good") && s.Services is [{ State: "running", Health: "healthy" }], 120);
                var container = (await device.Engine.InspectAsync((await device.ContainersAsync()).Single().ID, CancellationToken.None))!;
                Assert.Contains($"VERSION={version}", container.Config!.Env);
                worker.Kill();
                await worker.WaitForExitAsync();
            }
        }
        finally
        {
            if (worker is { HasExited: false }) worker.Kill();
        }

        output.WriteLine($"{strategy}: {kills} kills");
    }
}
