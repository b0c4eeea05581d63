using System.Text;
using OsBuild.Supervisor.Api;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>Logs, events, metrics and push of a device with a real engine, through the command line and over the network.</summary>
[Collection("engine 3")]
public sealed class FaceTests(EngineFixture fixture) : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("osb-face-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static HttpClient Http(Device device, string key) => new() { BaseAddress = new Uri($"http://{device.Address}/"), DefaultRequestHeaders = { Authorization = new("Bearer", key.Trim()) } };

    private static string Talker(string version) => $$"""
        services:
          talk:
            image: face-test:{{version}}
            command: sh -c 'echo hello from {{version}}; echo to stderr >&2; while true; do date; sleep 1; done'
            restart: always
            stop_grace_period: 1s
        """;

    [Fact]
    public async Task Logs_are_followed_through_an_update_and_the_last_words_stay()
    {
        await using var device = await Device.NewAsync(fixture);
        foreach (var version in (string[])["1", "2"]) await device.LoadAsync(TestImages.Archive($"face-test:{version}"));
        device.Compose(Talker("1"));
        device.Start();
        await device.UntilRunningAsync("talk");
        using var http = Http(device, await device.AskAsync("key"));
        using var following = new StreamReader(await http.GetStreamAsync("v1/logs/talk?follow=1&tail=all"));
        using var events = new StreamReader(await http.GetStreamAsync("v1/events"));
        await UntilLineAsync(following, "hello from 1");
        await UntilLineAsync(following, "to stderr");

        device.Compose(Talker("2"));
        await UntilLineAsync(following, "hello from 2");
        var step = await UntilLineAsync(events, "\"what\":\"create ");
        Assert.Contains("\"cause\":\"", step, StringComparison.Ordinal);

        var all = await http.GetStringAsync("v1/logs?tail=all");
        Assert.True(all.IndexOf("talk | hello from 1", StringComparison.Ordinal) is >= 0 and var first && all.IndexOf("talk | hello from 2", StringComparison.Ordinal) > first, all);
        Assert.Single((await http.GetStringAsync("v1/logs/talk?tail=1&since=1h")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => !l.Contains("hello", StringComparison.Ordinal)).Distinct().Take(1));
        Assert.DoesNotContain("hello from 1", await http.GetStringAsync("v1/logs/talk?since=" + DateTimeOffset.UtcNow.AddSeconds(1).ToUnixTimeSeconds()), StringComparison.Ordinal);
        using var nobody = await http.GetAsync("v1/logs/nobody");
        Assert.Equal(System.Net.HttpStatusCode.NotFound, nobody.StatusCode);
        using var nonsense = await http.GetAsync("v1/logs/talk?since=tomorrow");
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, nonsense.StatusCode);
    }

    [Fact]
    public async Task Metrics_are_of_the_containers_that_run()
    {
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("face-test:1"));
        device.Compose(Talker("1"));
        device.Start();
        await device.UntilRunningAsync("talk");
        using var http = Http(device, await device.AskAsync("key"));
        var text = await http.GetStringAsync("metrics");
        string Value(string name) => text.Split('\n').First(l => l.StartsWith(name, StringComparison.Ordinal)).Split(' ')[^1];
        Assert.Equal("1", Value($"osbuild_service_up{{app=\"{device.App}\",service=\"talk\""));
        Assert.True(double.Parse(Value("osbuild_service_memory_bytes"), System.Globalization.CultureInfo.InvariantCulture) > 10_000);
        Assert.True(double.Parse(Value("osbuild_service_cpu_seconds_total"), System.Globalization.CultureInfo.InvariantCulture) > 0);
        Assert.True(double.Parse(Value("osbuild_host_disk_bytes{partition=\"data\",kind=\"total\"}"), System.Globalization.CultureInfo.InvariantCulture) > 1e6);
    }

    /// <summary>A folder as a developer has it: a compose file, a Dockerfile, an ignore file, something to build from.</summary>
    private void Project(string app, string page, string command = "[\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]")
    {
        Directory.CreateDirectory(Path.Combine(folder, "web", "www"));
        File.WriteAllText(Path.Combine(folder, "compose.yaml"), $$"""
            name: {{app}}
            services:
              web:
                build: { context: web, network: none, args: { WHO: tests } }
                restart: always
                configs: [{ source: motd, target: /etc/motd }]
                stop_grace_period: 1s
                labels: { io.osbuild.update.proving-time: 3s }
            configs:
              motd: { file: motd.txt }
            """);
        File.WriteAllText(Path.Combine(folder, "motd.txt"), "good morning\n");
        File.WriteAllText(Path.Combine(folder, "web", "Dockerfile"), $"FROM scratch\nARG WHO\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"mkdir\", \"/made\"]\nCOPY . /\nCMD {command}\n");
        File.WriteAllText(Path.Combine(folder, "web", ".dockerignore"), "secret*\n");
        File.WriteAllText(Path.Combine(folder, "web", "secret.txt"), "not for the device");
        File.WriteAllText(Path.Combine(folder, "web", "www", "index.html"), page);
        File.Copy("/bin/busybox", Path.Combine(folder, "web", "busybox"), overwrite: true);
    }

    private static async Task<(int Code, string Said)> RunAsync(Device device, params string[] args)
    {
        var said = new StringWriter();
        var code = await Cli.RunAsync(args, device.Paths, TextWriter.Synchronized(said), TextWriter.Synchronized(said));
        return (code, said.ToString());
    }

    [Fact]
    public async Task A_folder_is_built_on_the_device_and_runs_and_a_bad_one_is_rolled_back()
    {
        await using var device = await Device.NewAsync(fixture);
        device.Start();
        await device.UntilAsync("up", s => s.Engine.Up);
        var (address, key) = (device.Address, (await device.AskAsync("key")).Trim());
        Project(device.App, "one");

        var (code, said) = await RunAsync(device, "push", folder, "--to", address, "--key", "00000-00000-00000-00000");
        Assert.True(code == 2 && said.Contains("not the key", StringComparison.Ordinal), said);

        (code, said) = await RunAsync(device, "push", folder, "--to", address, "--key", key);
        Assert.True(code == 0, said + string.Join('\n', device.Lines.TakeLast(40)));
        Assert.Contains("web | Step 1/", said, StringComparison.Ordinal);
        Assert.Contains("==> good after", said, StringComparison.Ordinal);
        Assert.Equal("one", await InsideAsync(device, "cat", "/www/index.html"));
        Assert.Equal("good morning\n", await InsideAsync(device, "cat", "/etc/motd"));
        Assert.Equal("", await InsideAsync(device, "ls", "/secret.txt"));

        // Nothing changed: nothing is started anew.
        var before = (await device.ContainersAsync()).Single();
        (code, said) = await RunAsync(device, "push", folder, "--to", address, "--key", key);
        Assert.True(code == 0, said);
        Assert.Equal(before.ID, (await device.ContainersAsync()).Single().ID);

        // A build that fails changes nothing.
        File.AppendAllText(Path.Combine(folder, "web", "Dockerfile"), "RUN [\"/bin/busybox\", \"false\"]\n");
        (code, said) = await RunAsync(device, "push", folder, "--to", address, "--key", key);
        Assert.True(code == 1 && said.Contains("cannot be built", StringComparison.Ordinal), said);
        Assert.Equal(before.ID, (await device.ContainersAsync()).Single().ID);

        // A release that fails is rolled back, and its last words are kept.
        Project(device.App, "two", "[\"/bin/busybox\", \"sh\", \"-c\", \"echo I cannot go on; exit 7\"]");
        (code, said) = await RunAsync(device, "push", folder, "--to", address, "--key", key);
        Assert.True(code == 1 && said.Contains("rolled back", StringComparison.Ordinal), said + string.Join('\n', device.Lines.TakeLast(40)));
        await device.UntilAsync("the old one is back", s => s.Services.Exists(x => x is { Name: "web", State: "running" }));
        Assert.Equal("one", await InsideAsync(device, "cat", "/www/index.html"));
        using var http = Http(device, key);
        await device.UntilAsync("the failed one is gone", s => s.Services.Count(x => x.Name == "web") == 1);
        Assert.Contains("I cannot go on", await http.GetStringAsync("v1/logs/web?tail=all"), StringComparison.Ordinal);
    }

    private static async Task<string> InsideAsync(Device device, params string[] command)
    {
        var container = (await device.ContainersAsync()).First(c => c.State == "running");
        var run = await device.Engine.Docker.Exec.CreateContainerExecAsync(container.ID, new() { Cmd = ["/bin/busybox", .. command], AttachStdout = true, AttachStderr = false });
        using var stream = await device.Engine.Docker.Exec.StartContainerExecAsync(run.ID, new());
        return (await stream.ReadOutputToEndAsync(CancellationToken.None)).stdout;
    }

    private static async Task<string> UntilLineAsync(StreamReader lines, string part)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(Device.HangGuard));
        var read = new StringBuilder();
        try
        {
            while (await lines.ReadLineAsync(limit.Token) is { } line)
            {
                read.AppendLine(line);
                if (line.Contains(part, StringComparison.Ordinal)) return line;
            }
        }
        catch (OperationCanceledException)
        {
        }

        Assert.Fail($"'{part}' did not come in:\n{read}");
        return "";
    }
}
