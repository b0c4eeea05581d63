using Serilog;

namespace OsBuild.Supervisor.Running;

/// <summary>Whoever holds it writes the state and steers the containers: one worker at a time. A lock of the kernel, so that it ends with its process.</summary>
internal static class Lease
{
    /// <summary>A worker that hangs must not keep another from taking over for ever.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Waits until the worker before has let go.</summary>
    public static async Task<IDisposable?> TakeAsync(HostPaths paths, ILogger log, CancellationToken stop)
    {
        var until = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        while (true)
        {
            try
            {
                Directory.CreateDirectory(paths.Run);
                return new FileStream(Path.Combine(paths.Run, "lease"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (Environment.TickCount64 > until || stop.IsCancellationRequested)
                {
                    log.Warning("going on without the lease: {Reason}", e.Message);
                    return null;
                }
            }

            await Task.Delay(50, CancellationToken.None);
        }
    }
}
