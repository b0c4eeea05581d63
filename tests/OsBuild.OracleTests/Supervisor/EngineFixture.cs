using System.Diagnostics;
using OsBuild.Supervisor.Engine;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>One after another: a worker removes what no target of its own names, so two never share an engine at one time.</summary>
[CollectionDefinition("engine")]
public sealed class OneDeviceAtATime : ICollectionFixture<EngineFixture>;

[CollectionDefinition("engine 2")]
public sealed class SecondEngine : ICollectionFixture<EngineFixture>;

[CollectionDefinition("engine 3")]
public sealed class ThirdEngine : ICollectionFixture<EngineFixture>;

[CollectionDefinition("engine 4")]
public sealed class FourthEngine : ICollectionFixture<EngineFixture>;

/// <summary>A real dockerd with its own containerd, socket and store; started when the first test asks for it and ended by its pid.
/// Every collection of tests has its own, so that collections run side by side.</summary>
public sealed class EngineFixture : IAsyncDisposable
{
    private static int count;
    private readonly SemaphoreSlim gate = new(1);
    private readonly int number = Interlocked.Increment(ref count);
    private Process? process;

    public EngineFixture() => Directory = DataRoot = $"/tmp/osb-eng-{Environment.ProcessId}-{number}";

    /// <summary>Short, because a unix socket's path may have 108 bytes.</summary>
    public string Directory { get; }

    /// <summary>Where images and volumes are; a test of full disks puts it on a small one.</summary>
    public string DataRoot { get; set; }

    /// <summary>Further variables of the engine, from its next start on.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; set; } = new Dictionary<string, string>();

    public string Socket => Path.Combine(Directory, "docker.sock");

    internal async Task<EngineClient> ClientAsync()
    {
        await gate.WaitAsync();
        try
        {
            if (process is null or { HasExited: true }) await StartAsync();
        }
        finally
        {
            gate.Release();
        }

        return new EngineClient(Socket);
    }

    internal async Task StartAsync()
    {
        Begin();
        using var client = new EngineClient(Socket);
        for (var i = 0; ; i++)
        {
            try
            {
                await client.VersionAsync(CancellationToken.None);
                return;
            }
            catch (EngineUnreachableException) when (i < 3000 && !process!.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Starts the engine without waiting for it.</summary>
    internal void Begin()
    {
        foreach (var tool in (string[])["dockerd", "containerd", "runc", "docker-proxy", "/bin/busybox"]) Judge.Require(tool);
        if (!Judge.IsRoot) Assert.Skip("dockerd needs root");
        System.IO.Directory.CreateDirectory(Directory);
        // What an engine that was killed left behind would keep the next one from starting.
        File.Delete(Path.Combine(Directory, "pid"));
        // Other runs on the same machine have other addresses. No iptables: engines in one network name space flush each other's rules; published
        // ports go through docker-proxy then.
        var pool = $"base=10.{20 + Environment.ProcessId % 200}.{number % 8 * 32}.0/19,size=26";
        var start = new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", $"exec dockerd --data-root {DataRoot}/data --exec-root {Directory}/exec -H unix://{Socket} --pidfile {Directory}/pid --bridge none --iptables=false --ip6tables=false --storage-driver overlay2 --live-restore --default-address-pool {pool} --insecure-registry 127.0.0.0/8 --insecure-registry registry.invalid:5000 --max-download-attempts 1 --shutdown-timeout 2 >>{Directory}/log 2>&1" } };
        start.Environment["PATH"] += ":/usr/sbin:/sbin";
        foreach (var (name, value) in Variables) start.Environment[name] = value;
        process = Process.Start(start)!;
    }

    /// <summary>Ends the engine as a crash or a shutdown would; containers live on (live-restore).</summary>
    internal async Task StopAsync(bool crash)
    {
        if (process is null || process.HasExited) return;
        if (crash) process.Kill();
        else Judge.Run("kill", $"{process.Id}");
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await process.WaitForExitAsync(limit.Token);
        if (crash) await EndContainerdAsync();
    }

    /// <summary>The engine hangs: it is there and says nothing.</summary>
    internal void Freeze(bool on) => Judge.Run("kill", on ? "-STOP" : "-CONT", $"{process!.Id}").MustPass("kill");

    /// <summary>containerd outlives a dockerd that was killed; its pid is in the engine's own folder.</summary>
    private async Task EndContainerdAsync()
    {
        var file = Path.Combine(Directory, "exec", "containerd", "containerd.pid");
        if (!File.Exists(file)) return;
        var pid = (await File.ReadAllTextAsync(file)).Trim();
        Judge.Run("kill", pid);
        for (var i = 0; i < 100 && System.IO.Directory.Exists($"/proc/{pid}"); i++) await Task.Delay(100);
    }

    public async ValueTask DisposeAsync()
    {
        if (process is null) return;
        try
        {
            using (var client = new EngineClient(Socket))
                foreach (var container in (await client.Docker.Containers.ListContainersAsync(new() { All = true }))) await client.RemoveAsync(container.ID, CancellationToken.None);
        }
        catch (Exception e) when (e is EngineUnreachableException or EngineRefusedException or HttpRequestException or TimeoutException)
        {
        }

        await StopAsync(crash: false);
        await EndContainerdAsync();
        // Overlay and network name-space mounts may linger for a moment.
        for (var i = 0; i < 20; i++)
        {
            try
            {
                System.IO.Directory.Delete(Directory, recursive: true);
                return;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                await Task.Delay(100);
            }
        }
    }
}
