using System.Diagnostics;
using System.Text.RegularExpressions;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A worker of its own is killed (SIGKILL) in each step of an update, as it begins the step or a moment later, and started again: the end is the
/// same as without. It says each step before it does it, so what it prints is where it is.</summary>
[Collection("engine 2")]
public sealed partial class KilledAnywhere(EngineFixture fixture, ITestOutputHelper output)
{
    private static string Web(int port, string image, string strategy, int version) => Releases.Web(port, image,
        $"command: [sh, -c, \"httpd -p 8080 -h /www; touch /tmp/balena/handover-complete; exec sleep 1000\"]\nenvironment: {{ VERSION: \"{version}\" }}\n{Releases.Health}", strategy);

    [Fact]
    public Task S24_41_Ends_in_the_same_state_start_first() => TryAsync("start-first", mostKills: 4);

    [Theory, Trait("length", "long")]
    [InlineData("download-then-kill")]
    [InlineData("kill-then-download")]
    [InlineData("delete-then-download")]
    [InlineData("start-first")]
    [InlineData("hand-over")]
    public Task S24_41_Ends_in_the_same_state(string strategy) => TryAsync(strategy, mostKills: 100);

    private async Task TryAsync(string strategy, int mostKills)
    {
        await using var registry = await Registry.StartAsync();
        await using var device = await Device.NewAsync(fixture);
        var port = Device.FreePort();
        await using var worker = new Worker(device);
        var version = 0;
        var image = await registry.PushAsync("web:0");
        device.Compose(Web(port, image, strategy, version));
        worker.Start();
        await EndAsync(device, image, version);
        // Once in peace, to know the steps.
        var steps = await worker.StepsOfAsync(UpdateAsync);
        output.WriteLine($"{strategy}: {steps.Count} steps: {string.Join(", ", steps)}");
        var kills = 0;
        for (var at = 1; at <= steps.Count && kills < mostKills; at++)
            foreach (var delay in (int[])[0, 60])
            {
                if (kills == mostKills) break;
                worker.KillAt(at, delay);
                await PublishAsync();
                await worker.UntilKilledAsync();
                worker.Start();
                await EndAsync(device, image, version);
                kills++;
            }

        output.WriteLine($"{strategy}: {kills} kills in {steps.Count} steps");
        Assert.True(kills >= Math.Min(mostKills, 8));

        async Task PublishAsync()
        {
            image = await registry.PushAsync($"web:{++version}");
            await device.ApplyAsync(Web(port, image, strategy, version));
        }

        async Task UpdateAsync()
        {
            await PublishAsync();
            await EndAsync(device, image, version);
        }
    }

    /// <summary>The wanted version runs alone, under its plain name, is good and serves.</summary>
    private static async Task EndAsync(Device device, string image, int version)
    {
        await device.UntilAsync($"version {version} runs alone", s => s.Releases is [{ State: "good" }] && s.Services is [{ State: "running", Health: "healthy" } x] && x.Image == image && x.Container == device.App + "-web");
        var container = (await device.Engine.InspectAsync((await device.ContainersAsync()).Single().ID, CancellationToken.None))!;
        Assert.Contains($"VERSION={version}", container.Config!.Env);
    }

    [GeneratedRegex("^(ask for|pull|load|create|start|stop|remove|rename|lead|take the release|close) .*: ")]
    private static partial Regex StepLine();

    /// <summary>The worker as a process that can be killed at a step.</summary>
    private sealed class Worker(Device device) : IAsyncDisposable
    {
        private readonly Lock gate = new();
        private readonly List<string> steps = [];
        private Process? process;
        private (int Step, int Delay)? killAt;

        public void Start()
        {
            lock (gate) killAt = null;
            process = device.StartProcess(OnLine);
        }

        public void KillAt(int step, int delay)
        {
            lock (gate)
            {
                steps.Clear();
                killAt = (step, delay);
            }
        }

        public async Task<List<string>> StepsOfAsync(Func<Task> act)
        {
            lock (gate) steps.Clear();
            await act();
            lock (gate) return [.. steps];
        }

        public async Task UntilKilledAsync()
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(Device.HangGuard));
            try
            {
                await process!.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"the step never came: {string.Join(", ", steps)}\n{string.Join('\n', device.Lines.TakeLast(40))}");
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (process is null) return;
            if (!process.HasExited) process.Kill();
            await process.WaitForExitAsync();
        }

        private void OnLine(Process from, string line)
        {
            if (!StepLine().IsMatch(line)) return;
            lock (gate)
            {
                steps.Add(line[..line.IndexOf(' ')]);
                if (killAt is not { } at || at.Step != steps.Count) return;
                if (at.Delay == 0) from.Kill();
                else _ = Task.Delay(at.Delay).ContinueWith(_ => from.Kill(), TaskScheduler.Default);
            }
        }
    }
}
