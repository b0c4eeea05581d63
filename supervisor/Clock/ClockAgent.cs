using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Clock;

/// <summary>Keeps the time while the device runs.</summary>
internal static class ClockAgent
{
    public static async Task RunAsync(HostPaths paths, CancellationToken stop)
    {
        using var hourly = new PeriodicTimer(TimeSpan.FromHours(1));
        while (await hourly.WaitForNextTickAsync(stop)) ClockStart.Save(paths);
    }
}
