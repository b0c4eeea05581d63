using System.Diagnostics;
using OsBuild.Supervisor.Engine;

[assembly: AssemblyFixture(typeof(OsBuild.OracleTests.Supervisor.EngineFixture))]

namespace OsBuild.OracleTests.Supervisor;

/// <summary>One after another: a worker removes what no target of its own names, so two never share an engine at one time.</summary>
[CollectionDefinition("engine", DisableParallelization = true)]
public sealed class OneDeviceAtATime;

/// <summary>A real dockerd with its own containerd, socket and store; started when the first test asks for it and ended by its pid.</summary>
public sealed class EngineFixture : IAsyncDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private Process? process;

    /// <summary>Short, because a unix socket's path may have 108 bytes.</summary>
    public string Directory { get; } = $"/tmp/osb-eng-{Environment.ProcessId}";

    public string Socket => Path.Combine(Directory, "docker.sock");

    internal async Task<EngineClient> ClientAsync()
    {
        await gate.WaitAsync();
        try
        {
            if (process is null) await StartAsync();
        }
        finally
        {
            gate.Release();
        }

        return new EngineClient(Socket);
    }

    internal async Task StartAsync()
    {
        foreach (var tool in (string[])["dockerd", "containerd", "runc", "iptables", "/bin/busybox"]) Judge.Require(tool);
        if (!Judge.IsRoot) Assert.Skip("dockerd needs root");
        System.IO.Directory.CreateDirectory(Directory);
        var start = new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", $"exec dockerd --data-root {Directory}/data --exec-root {Directory}/exec -H unix://{Socket} --pidfile {Directory}/pid --bridge none --storage-driver overlay2 --default-address-pool base=172.29.0.0/16,size=26 --insecure-registry 127.0.0.0/8 --shutdown-timeout 2 >>{Directory}/log 2>&1" } };
        start.Environment["PATH"] += ":/usr/sbin:/sbin";
        process = Process.Start(start)!;
        using var client = new EngineClient(Socket);
        for (var i = 0; ; i++)
        {
            try
            {
                await client.VersionAsync(CancellationToken.None);
                return;
            }
            catch (EngineUnreachableException) when (i < 300 && !process.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Ends the engine as a crash or a shutdown would.</summary>
    internal async Task StopAsync(bool crash)
    {
        if (process is null || process.HasExited) return;
        if (crash) process.Kill();
        else Judge.Run("kill", $"{process.Id}");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await process.WaitForExitAsync(limit.Token);
        // containerd outlives a dockerd that was killed; its pid is in the engine's own folder.
        var containerd = Path.Combine(Directory, "exec", "containerd", "containerd.pid");
        if (crash && File.Exists(containerd)) Judge.Run("kill", File.ReadAllText(containerd).Trim());
        File.Delete(Path.Combine(Directory, "pid"));
    }

    public async ValueTask DisposeAsync()
    {
        if (process is null) return;
        try
        {
            using (var client = new EngineClient(Socket))
                foreach (var container in await client.ListContainersAsync(CancellationToken.None)) await client.RemoveAsync(container.ID, CancellationToken.None);
        }
        catch (Exception e) when (e is EngineUnreachableException or EngineRefusedException)
        {
        }

        await StopAsync(crash: false);
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
