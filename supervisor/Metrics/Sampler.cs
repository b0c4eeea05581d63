using System.Diagnostics;
using Docker.DotNet.Models;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Metrics;

/// <summary>One container at one moment. Counters only grow while the container lives.</summary>
internal sealed record ServiceSample(string App, string Service, string Container, bool Up, string Health, int Starts, double CpuSeconds, long Memory, long Received, long Sent);

internal sealed record Sample(string At, HostSample Host, List<ServiceSample> Services, long SupervisorMemory);

/// <summary>Takes samples when somebody asks, at most one a second however many ask: a device nobody looks at measures nothing.</summary>
internal sealed class Sampler(EngineClient engine, Func<List<ContainerState>> containers, IReadOnlyList<(string Name, string Path)> disks, Func<BoardSample> board) : IDisposable
{
    private const int AtOnce = 4;
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim gate = new(1);
    private Sample? last;
    private long taken;

    public async Task<Sample> TakeAsync(CancellationToken stop)
    {
        await gate.WaitAsync(stop);
        try
        {
            if (last is not null && Stopwatch.GetElapsedTime(taken) < Fresh) return last;
            var services = new List<ServiceSample>();
            foreach (var group in containers().OrderBy(c => c.Key, StringComparer.Ordinal).Chunk(AtOnce)) services.AddRange(await Task.WhenAll(group.Select(c => OneAsync(c, stop))));
            last = new(DateTime.UtcNow.ToString("O"), HostReader.Read(disks, board()), services, Environment.WorkingSet);
            taken = Stopwatch.GetTimestamp();
            return last;
        }
        finally
        {
            gate.Release();
        }
    }

    public void Dispose() => gate.Dispose();

    private async Task<ServiceSample> OneAsync(ContainerState container, CancellationToken stop)
    {
        var sample = new ServiceSample(container.App, container.Service, container.Name, container.Up, container.Health == OsBuild.Supervisor.State.Health.None ? "" : container.Health.ToString().ToLowerInvariant(), container.AllStarts, 0, 0, 0, 0);
        if (!container.Up) return sample;
        try
        {
            return await engine.StatsAsync(container.Id, stop) is { } stats ? sample with { CpuSeconds = (stats.CPUStats?.CPUUsage?.TotalUsage ?? 0) / 1e9, Memory = Used(stats.MemoryStats), Received = Sum(stats, n => n.RxBytes), Sent = Sum(stats, n => n.TxBytes) } : sample;
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException)
        {
            return sample;
        }
    }

    /// <summary>Without the page cache, which is given back when it is needed: as <c>docker stats</c> counts.</summary>
    private static long Used(MemoryStats? memory)
    {
        if (memory?.Usage is not { } usage) return 0;
        var cache = 0UL;
        foreach (var name in (string[])["inactive_file", "total_inactive_file"])
            if (memory.Stats?.TryGetValue(name, out var bytes) == true) cache = bytes;
        return (long)(usage > cache ? usage - cache : usage);
    }

    private static long Sum(ContainerStatsResponse stats, Func<NetworkStats, ulong> of) => (long)(stats.Networks ?? new Dictionary<string, NetworkStats>()).Values.Aggregate(0UL, (sum, n) => sum + of(n));
}
