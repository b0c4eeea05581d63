using System.Collections.Concurrent;
using System.Diagnostics;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Running;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>A device for one test: its own folders, the shared engine, and a worker in this process.</summary>
internal sealed class Device : IAsyncDisposable, ILogEventSink
{
    /// <summary>Seconds after which a test that waits has failed: only there so that it ends, on however slow a machine.</summary>
    public const int HangGuard = Hammer.HangGuard;

    private static int count;
    private readonly CancellationTokenSource stop = new();
    private Task worker = Task.CompletedTask;

    private Device(EngineFixture fixture, EngineClient engine, string? root)
    {
        (Engine, Number) = (engine, Interlocked.Increment(ref count));
        Root = Path.Combine(root ?? "/tmp", $"osb-dev-{Environment.ProcessId}-{Number}");
        Paths = new HostPaths(Path.Combine(Root, "boot"), Path.Combine(Root, "state"), Path.Combine(Root, "data"), Path.Combine(Root, "run"), fixture.Socket) { ApiPort = 0 };
        foreach (var directory in (string[])[Paths.Boot, Paths.State, Paths.Data, Paths.Run]) Directory.CreateDirectory(directory);
    }

    public EngineClient Engine { get; }
    public int Number { get; }
    public string Root { get; }
    public HostPaths Paths { get; }

    /// <summary>Host and port of its page and its network API, as <c>--to</c> takes them.</summary>
    public string Address => $"127.0.0.1:{File.ReadAllText(Path.Combine(Paths.Run, "api-port")).Trim()}";

    /// <summary>The app's name; every device has its own, since they share the engine.</summary>
    public string App
    {
        get => field ?? $"t{Environment.ProcessId}-{Number}";
        set;
    }

    /// <summary>A port of the host that was free a moment ago.</summary>
    public static int FreePort()
    {
        using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp);
        socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Any, 0));
        return ((System.Net.IPEndPoint)socket.LocalEndPoint!).Port;
    }

    public ConcurrentQueue<string> Lines { get; } = new();

    /// <param name="fixture">The engine.</param>
    /// <param name="root">The folder its partitions are in, when they must lie somewhere special.</param>
    public static async Task<Device> NewAsync(EngineFixture fixture, string? root = null) => new(fixture, await fixture.ClientAsync(), root);

    /// <summary>A device whose engine has not been started.</summary>
    public static Device WithoutEngine(EngineFixture fixture) => new(fixture, new EngineClient(fixture.Socket), null);

    public void Emit(LogEvent logEvent) => Lines.Enqueue($"{DateTime.Now:HH:mm:ss.fff} {logEvent.RenderMessage()}{(logEvent.Exception is { } e ? "\n" + e : "")}");

    /// <summary>Hands a compose file over to the worker that runs, which takes it at once.</summary>
    public async Task ApplyAsync(string text)
    {
        var file = Path.Combine(Root, "apply.yaml");
        await File.WriteAllTextAsync(file, $"name: {App}\n{text}");
        var output = new StringWriter();
        for (var i = 0; i < 100; i++)
        {
            var code = await Cli.RunAsync(["apply", file], Paths, output, output);
            if (code == 0) return;
            Assert.True(code == 1, $"the compose file was refused: {output}");
            await Task.Delay(100);
        }

        Assert.Fail($"the worker does not answer: {output}");
    }

    /// <summary>Puts a compose file onto the boot partition.</summary>
    public void Compose(string text) => File.WriteAllText(Path.Combine(Paths.Boot, "compose.yaml"), $"name: {App}\n{text}");

    public Task LoadAsync(byte[] archive) => Engine.LoadAsync(new MemoryStream(archive), CancellationToken.None);

    public void Start() => worker = Worker.RunAsync(Paths, new LoggerConfiguration().WriteTo.Sink(this).CreateLogger(), TimeSpan.FromSeconds(60), stop.Token);

    /// <summary>Starts the worker as a process of its own, which can be killed.</summary>
    /// <param name="onLine">Told of every line it prints.</param>
    public Process StartProcess(Action<Process, string> onLine)
    {
        var start = new ProcessStartInfo("dotnet") { ArgumentList = { Path.Combine(AppContext.BaseDirectory, "supervisor.dll"), "worker", "--containers-only" }, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[("BOOT", Paths.Boot), ("STATE", Paths.State), ("DATA", Paths.Data), ("RUN", Paths.Run), ("ENGINE", Paths.EngineSocket), ("PORT", "0")]) start.Environment["OSBUILD_" + name] = value;
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, e) =>
        {
            Lines.Enqueue($"{process.Id} {e.Data}");
            if (e.Data is { } line) onLine(process, line);
        };
        process.ErrorDataReceived += (_, e) => Lines.Enqueue($"{process.Id} {e.Data}");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>SIGTERM: containers are stopped in order.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync();
        await worker.WaitAsync(TimeSpan.FromSeconds(90));
    }

    /// <summary>What the worker says, or null when it does not answer (yet).</summary>
    private async Task<(StatusReport? Status, string Errors)> AnswerAsync()
    {
        var output = new StringWriter();
        var errors = new StringWriter();
        var code = await Cli.RunAsync(["status", "--json"], Paths, output, errors);
        return (code == 0 ? System.Text.Json.JsonSerializer.Deserialize(output.ToString(), ApiJson.Default.StatusReport) : null, $"{errors}");
    }

    public async Task<StatusReport> StatusAsync()
    {
        var (status, errors) = await AnswerAsync();
        Assert.True(status is not null, $"the worker does not answer: {errors}");
        return status;
    }

    public async Task<string> AskAsync(params string[] args)
    {
        var output = new StringWriter();
        await Cli.RunAsync(args, Paths, output, output);
        return output.ToString();
    }

    /// <summary>Waits until the status is as wanted; fails with the log otherwise.</summary>
    public async Task<StatusReport> UntilAsync(string what, Func<StatusReport, bool> condition, int seconds = HangGuard)
    {
        var clock = Stopwatch.StartNew();
        StatusReport? status;
        string errors;
        do
        {
            (status, errors) = await AnswerAsync();
            if (status is not null && condition(status)) return status;
            if (worker.IsFaulted) await worker;
            await Task.Delay(100);
        }
        while (clock.Elapsed.TotalSeconds < seconds);
        Assert.Fail($"not within {seconds} s: {what}\n{(status is null ? errors : CliText.Status(status))}\n{string.Join('\n', Lines.TakeLast(80))}");
        throw new System.Diagnostics.UnreachableException();
    }

    public Task<StatusReport> UntilRunningAsync(params string[] services) => UntilAsync($"running: {string.Join(", ", services)}",
        s => services.All(name => s.Services.Exists(x => x.Name == name && x.State == "running" && x.Health is "" or "healthy" && x.Name == name)));

    /// <summary>Waits until there is nothing left to do.</summary>
    public Task<StatusReport> UntilSettledAsync() => UntilAsync("settled", s => s.Releases.Count > 0 && s.Waiting.Count == 0 && s.Services.TrueForAll(x => x.State is "running" or "exited") && s.Releases.TrueForAll(r => r.State != "on trial"));

    public async Task<List<Docker.DotNet.Models.ContainerListResponse>> ContainersAsync() =>
        [.. (await Engine.ListContainersAsync(CancellationToken.None)).Where(c => c.Labels[EngineLabels.App] == App)];

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        try
        {
            await worker.WaitAsync(TimeSpan.FromSeconds(90));
        }
        finally
        {
            await CleanAsync();
            Engine.Dispose();
            Directory.Delete(Root, recursive: true);
        }
    }

    private async Task CleanAsync()
    {
        try
        {
            foreach (var container in await ContainersAsync()) await Engine.RemoveAsync(container.ID, CancellationToken.None);
            foreach (var network in await Engine.ListNetworksAsync(CancellationToken.None))
                if (network.Labels.TryGetValue(EngineLabels.App, out var app) && app == App) await Engine.RemoveNetworkAsync(network.ID, CancellationToken.None);
        }
        catch (EngineUnreachableException)
        {
            // The test ended its engine; the fixture removes what is left with the store.
        }
    }
}
