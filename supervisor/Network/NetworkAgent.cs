using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Network;

/// <summary>Keeps the host's interfaces configured while the device runs.</summary>
internal static class NetworkAgent
{
    public static Task RunAsync(HostPaths paths, CancellationToken stop) => Task.Delay(Timeout.Infinite, stop);
}
