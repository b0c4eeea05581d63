using System.Collections.Concurrent;
using System.Diagnostics;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The real balena CLI pushing to a running supervisor: build on the device's engine, run, logs, and files changed in the running container.</summary>
[Collection("engine")]
public sealed class BalenaPush(EngineFixture fixture, ITestOutputHelper output)
{
    /// <summary>Where the CLI is: <c>tests/reference/balena-cli.sh</c> says how it is installed.</summary>
    private static string Cli()
    {
        var named = Environment.GetEnvironmentVariable("OSBUILD_BALENA_CLI");
        var found = named ?? (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(d => Path.Combine(d, "balena")).FirstOrDefault(File.Exists);
        if (found is null) Assert.Skip("The balena CLI is not installed (tests/reference/balena-cli.sh installs it; OSBUILD_BALENA_CLI names it).");
        return found;
    }

    private static Process Run(ConcurrentQueue<string> lines, string source, int api, params string[] options)
    {
        var start = new ProcessStartInfo(Cli()) { ArgumentList = { "push", "127.0.0.1", "--source", source }, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var option in options) start.ArgumentList.Add(option);
        start.Environment["BALENARC_SUPERVISOR_ADDRESS"] = $"http://127.0.0.1:{api}/";
        start.Environment["BALENARC_NO_ANALYTICS"] = "1";
        start.Environment["BALENARC_DATA_DIRECTORY"] = Path.Combine(source, "..", "balena-home");
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) => lines.Enqueue(e.Data ?? "");
        process.ErrorDataReceived += (_, e) => lines.Enqueue(e.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    [Fact]
    public async Task Builds_runs_shows_logs_and_changes_files_live()
    {
        Cli();
        await using var device = await Device.NewAsync(fixture);
        device.App = "localapp";
        var api = Device.FreePort();
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "config.json"), $$"""{"developmentMode":true,"listenPort":{{api}},"deviceType":"generic-amd64"}""");
        var source = Directory.CreateDirectory(Path.Combine(device.Root, "source")).FullName;
        File.Copy("/bin/busybox", Path.Combine(source, "busybox"));
        await File.WriteAllTextAsync(Path.Combine(source, "Dockerfile"), "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/rm\nCOPY busybox /bin/sh\nCOPY hello.sh /hello.sh\nCMD [\"/bin/busybox\", \"sh\", \"/hello.sh\"]\n");
        await File.WriteAllTextAsync(Path.Combine(source, "hello.sh"), Script("one"));
        // What the tool makes of a bare Dockerfile, but not privileged: a test machine that is a container itself cannot do that.
        await File.WriteAllTextAsync(Path.Combine(source, "docker-compose.yml"), "version: '2.1'\nvolumes: { resin-data: {} }\nservices:\n  main: { build: ., tty: true, restart: always, network_mode: host, volumes: ['resin-data:/data'], labels: { io.resin.features.supervisor-api: '1' } }\n");
        device.Start();
        var lines = new ConcurrentQueue<string>();
        using var push = Run(lines, source, api);
        try
        {
            await UntilAsync(device, lines, push, "its log", l => l.Contains("hello one"));
            var container = Assert.Single(await device.ContainersAsync());
            Assert.Equal("/main_1_1_10ca12e1ea5e", container.Names.Single());
            await UntilAsync(device, lines, push, "live sync", l => l.Contains("Waiting for device state to settle", StringComparison.Ordinal) || l.Contains("Watching for", StringComparison.Ordinal) || l.Contains("Live", StringComparison.Ordinal));
            // The tool watches with polling, and only what changes after that counts.
            await Task.Delay(3000);
            await File.WriteAllTextAsync(Path.Combine(source, "hello.sh"), Script("two"));
            await UntilAsync(device, lines, push, "the changed file's log", l => l.Contains("hello two"));
            Assert.Equal(container.ID, (await device.ContainersAsync()).Single().ID);
            // Another Dockerfile: built again, and the container is another one.
            await File.WriteAllTextAsync(Path.Combine(source, "Dockerfile"), (await File.ReadAllTextAsync(Path.Combine(source, "Dockerfile"))).Replace("CMD", "ENV ROUND=three\nCMD", StringComparison.Ordinal));
            await UntilAsync(device, lines, push, "the log of the container that was built again", l => l.Contains("hello two three"));
            Assert.NotEqual(container.ID, (await device.ContainersAsync()).Single(c => c.State == "running").ID);
        }
        finally
        {
            push.Kill(entireProcessTree: true);
            foreach (var line in lines.Take(80)) output.WriteLine(line);
        }
    }

    [Fact]
    public async Task A_detached_push_ends_when_the_target_is_taken()
    {
        Cli();
        await using var device = await Device.NewAsync(fixture);
        device.App = "localapp";
        var api = Device.FreePort();
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "config.json"), $$"""{"developmentMode":true,"listenPort":{{api}}}""");
        var source = Directory.CreateDirectory(Path.Combine(device.Root, "source")).FullName;
        File.Copy("/bin/busybox", Path.Combine(source, "busybox"));
        foreach (var service in (string[])["one", "two"])
        {
            Directory.CreateDirectory(Path.Combine(source, service));
            File.Copy("/bin/busybox", Path.Combine(source, service, "busybox"));
            await File.WriteAllTextAsync(Path.Combine(source, service, "Dockerfile"), "FROM scratch\nCOPY busybox /bin/busybox\nCMD [\"/bin/busybox\", \"sleep\", \"1000\"]\n");
        }

        await File.WriteAllTextAsync(Path.Combine(source, "docker-compose.yml"), "version: '2.1'\nservices:\n  one: { build: ./one, restart: always, stop_grace_period: 1s }\n  two: { build: ./two, restart: always, stop_grace_period: 1s, depends_on: [one] }\n");
        device.Start();
        var lines = new ConcurrentQueue<string>();
        using var push = Run(lines, source, api, "--detached");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(300));
        await push.WaitForExitAsync(limit.Token);
        Assert.True(push.ExitCode == 0, string.Join('\n', lines));
        await device.UntilRunningAsync("one", "two");
    }

    private static string Script(string word) => $"trap 'exit 0' TERM\nwhile true; do echo hello {word} $ROUND; /bin/busybox sleep 1 & wait $!; done\n";

    private static async Task UntilAsync(Device device, ConcurrentQueue<string> lines, Process push, string what, Func<string, bool> line, int seconds = 300)
    {
        var clock = Stopwatch.StartNew();
        while (!lines.Any(line))
        {
            if (clock.Elapsed.TotalSeconds > seconds || push.HasExited) Assert.Fail($"not {(push.HasExited ? $"before it ended with {push.ExitCode}" : $"within {seconds} s")}: {what}\n{string.Join('\n', lines.TakeLast(60))}\n--- device ---\n{string.Join('\n', device.Lines.TakeLast(60))}");
            await Task.Delay(100);
        }
    }
}
