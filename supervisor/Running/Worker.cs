using System.Runtime.InteropServices;
using OsBuild.Supervisor.Clock;
using OsBuild.Supervisor.Network;

namespace OsBuild.Supervisor.Running;

/// <summary>The worker: network, time, reconciler and local API, each a task that is restarted when it fails.</summary>
internal static class Worker
{
    public static async Task<int> RunAsync(HostPaths paths)
    {
        using var stop = new CancellationTokenSource();
        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            stop.Cancel();
        });
        await Task.WhenAll(
            Keep("network", t => NetworkAgent.RunAsync(paths, t), stop.Token),
            Keep("clock", t => ClockAgent.RunAsync(paths, t), stop.Token),
            Keep("heartbeat", t => BeatAsync(paths, t), stop.Token));
        return 0;
    }

    private static async Task BeatAsync(HostPaths paths, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            Heartbeat.Beat(paths);
            await Task.Delay(TimeSpan.FromSeconds(5), stop);
        }
    }

    private static async Task Keep(string name, Func<CancellationToken, Task> run, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await run(stop);
                return;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Console.Error.WriteLine($"{name}: {e}");
                await Task.Delay(1000, CancellationToken.None);
            }
        }
    }
}
