namespace OsBuild.Supervisor.Running;

/// <summary>The worker's proof of progress. Its main loop calls <see cref="Beat"/> each time it has gone round; never a timer of its own.</summary>
internal static class Heartbeat
{
    private static long _count;

    public static void Beat(HostPaths paths)
    {
        try
        {
            File.WriteAllText(PathOf(paths), $"{Environment.ProcessId} {Interlocked.Increment(ref _count)}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // PID 1 will see no progress, and that is the truth.
        }
    }

    /// <summary>What PID 1 sees; a text that changes with every beat.</summary>
    public static string Read(HostPaths paths)
    {
        try
        {
            return File.ReadAllText(PathOf(paths));
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static string PathOf(HostPaths paths) => Path.Combine(paths.Run, "heartbeat");
}
