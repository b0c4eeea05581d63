using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>The stub with real processes: scripts that fail as workers may, beside one that works. What a worker says and writes is all the stub knows of it.</summary>
public abstract class StubBench : IAsyncDisposable
{
    protected const string Beat = "n=0; while :; do n=$((n+1)); echo \"$$ $n\" > \"$RUN/heartbeat\"; sleep 0.1; done";
    protected const string ReadyToWork = "case \"$*\" in *--look*) echo '[osbuild] event supervisor ready: 2'; exit 0;; esac; ";
    private static readonly TrialBounds Bounds = new() { ReadyWithin = TimeSpan.FromSeconds(20), Proving = TimeSpan.FromSeconds(1), Silence = TimeSpan.FromSeconds(3), Kilobytes = 64 << 10, Settle = TimeSpan.FromMilliseconds(100), EngineWithin = TimeSpan.Zero, Pause = _ => TimeSpan.FromMilliseconds(100) };

    private protected readonly string folder = Directory.CreateTempSubdirectory("osb-stub-").FullName;
    private protected readonly ConcurrentQueue<string> said = new();

    /// <summary>The record as it was on the disk when each trial began.</summary>
    private protected readonly ConcurrentQueue<UpdateRecord> begun = new();

    private readonly CancellationTokenSource stop = new();
    private protected readonly HostPaths paths;
    private protected readonly UpdateStore store;
    private readonly List<WorkerStub> stubs = [];

    protected StubBench()
    {
        paths = new HostPaths(folder, Path.Combine(folder, "state"), Path.Combine(folder, "data"), folder, Path.Combine(folder, "engine.sock"));
        store = new UpdateStore(paths);
        Directory.CreateDirectory(store.Programs);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var stub in stubs) stub.Worker.Stop(TimeSpan.Zero);
        await stop.CancelAsync();
        Directory.Delete(folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>A stub whose own worker beats and says who it is.</summary>
    private protected WorkerStub Start(string own = "echo own >> \"$RUN/who\"; " + Beat, Func<TrialBounds, TrialBounds>? bounds = null)
    {
        var spec = new ChildSpec("worker", "/bin/sh", ["-c", own], 0, "", new Dictionary<string, string> { ["RUN"] = folder });
        var stub = new WorkerStub(paths, spec, ["worker"], bounds?.Invoke(Bounds) ?? Bounds, new StubVoice(said.Enqueue, Note, _ => { }));
        stubs.Add(stub);
        _ = stub.Worker.RunAsync();
        _ = stub.ConductAsync();
        return stub;
    }

    private void Note(string name, string detail)
    {
        if (name == "supervisor on trial") begun.Enqueue(store.Load());
        said.Enqueue($"{name}: {detail}");
    }

    private protected WorkerBuild Program(string script, bool executable = true)
    {
        var bytes = Encoding.ASCII.GetBytes($"#!/bin/sh\n{script}\n");
        var build = new WorkerBuild(Convert.ToHexStringLower(SHA256.HashData(bytes)), "2", "supervisor:2", "r");
        File.WriteAllBytes(store.ProgramOf(build), bytes);
        if (executable && OperatingSystem.IsLinux()) File.SetUnixFileMode(store.ProgramOf(build), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return build;
    }

    /// <summary>The API of whichever worker runs, as far as the stub asks for it.</summary>
    private protected void Answer() => Answer(paths.ApiSocket);

    /// <summary>A socket where whatever is asked is answered with 200.</summary>
    private protected void Answer(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(4);
        _ = new HttpServer((_, _) => Task.FromResult(HttpAnswer.Text(200, "OK")), Serilog.Core.Logger.None).ListenAsync(listener, stop.Token);
    }

    private protected async Task<UpdateRecord> VerdictAsync()
    {
        await UntilAsync("a verdict", () => store.Load().Trial is null && (store.Load().Bad.Count > 0 || store.Load().Good is not null));
        return store.Load();
    }

    private protected async Task UntilAsync(string what, Func<bool> met)
    {
        for (var i = 0; i < 2400; i++)
        {
            if (met()) return;
            await Task.Delay(25);
        }

        Assert.Fail($"never: {what}\n{string.Join('\n', said)}");
    }

    private protected string Who => File.Exists(Path.Combine(folder, "who")) ? File.ReadAllText(Path.Combine(folder, "who")) : "";

    private protected bool Beats(WorkerStub stub) => stub.Worker.ProcessId is > 0 and var pid && Heartbeat.Read(paths).StartsWith($"{pid} ", StringComparison.Ordinal);
}
