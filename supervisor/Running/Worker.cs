namespace OsBuild.Supervisor.Running;

/// <summary>The worker: network, time, reconciler and local API, each a task that is restarted when it fails.</summary>
internal static class Worker
{
    public static Task<int> RunAsync(HostPaths paths) => throw new NotImplementedException(paths.ToString());
}
