using System.Diagnostics;
using System.Globalization;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>The order in which a host is taken down. Pure part first, then the doing.</summary>
internal static class Shutdown
{
    /// <summary>How long the worker may take to stop the containers in order.</summary>
    public static readonly TimeSpan WorkerBudget = TimeSpan.FromSeconds(60);

    /// <summary>How long the engine may take.</summary>
    public static readonly TimeSpan EngineBudget = TimeSpan.FromSeconds(20);

    /// <summary>Mount points in the order they are to be unmounted: the latest first, so that no mount is covered by another; kernel file systems
    /// and the root stay.</summary>
    public static IReadOnlyList<string> UnmountOrder(IReadOnlyList<MountInfo> mounts) =>
        [.. mounts.Reverse().Where(m => m.Target != "/" && !IsKernel(m)).Select(m => m.Target)];

    private static bool IsKernel(MountInfo mount) =>
        mount.Target is "/proc" or "/sys" or "/dev" or "/run" || mount.Target.StartsWith("/sys/", StringComparison.Ordinal) ||
        mount.Target.StartsWith("/dev/", StringComparison.Ordinal);

    /// <summary>Ends every process but this one.</summary>
    public static void EndProcesses(Action<string> log)
    {
        Signal(Libc.SIGTERM);
        if (WaitForNone(TimeSpan.FromSeconds(8))) return;
        log($"ending by force: {string.Join(", ", Others().Select(Name))}");
        Signal(Libc.SIGKILL);
        WaitForNone(TimeSpan.FromSeconds(5));
    }

    /// <summary>Unmounts everything that has its data on a disk; what cannot be unmounted is made read-only.</summary>
    public static void UnmountAll(Action<string> log)
    {
        for (var round = 0; round < 3; round++)
        {
            foreach (var target in UnmountOrder(MountInfo.Current()))
            {
                try
                {
                    Libc.Unmount(target);
                }
                catch (LinuxException e) when (e.Errno is Libc.EINVAL or Libc.ENOENT)
                {
                    // Went together with another one: mounts are shared.
                }
                catch (LinuxException e)
                {
                    if (round == 2 && MountInfo.Current().Any(m => m.Target == target && m.IsOnDisk)) ReadOnly(target, e, log);
                }
            }

            if (!MountInfo.Current().Any(m => m.IsOnDisk && m.Target != "/")) return;
            Thread.Sleep(100);
        }
    }

    private static void ReadOnly(string target, LinuxException why, Action<string> log)
    {
        log($"{why.Message}; making it read-only instead");
        try
        {
            Libc.Mount("none", target, null, Libc.MsRemount | Libc.MsRdOnly, null);
        }
        catch (LinuxException e)
        {
            log(e.Message);
            try
            {
                Libc.Unmount(target, Libc.MntDetach);
            }
            catch (LinuxException detach)
            {
                log(detach.Message);
            }
        }
    }

    private static void Signal(int number)
    {
        try
        {
            Libc.Kill(-1, number);
        }
        catch (LinuxException)
        {
            // Nobody left.
        }
    }

    private static bool WaitForNone(TimeSpan patience)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < patience)
        {
            if (!Others().Any()) return true;
            Thread.Sleep(50);
        }

        return false;
    }

    /// <summary>Processes of user space: those with a command line. Kernel threads have none.</summary>
    private static IEnumerable<int> Others()
    {
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var pid) || pid == 1) continue;
            var alive = false;
            try
            {
                alive = File.ReadAllText(Path.Combine(directory, "cmdline")).Length > 0;
            }
            catch (IOException)
            {
                // Ended while we looked.
            }

            if (alive) yield return pid;
        }
    }

    private static string Name(int pid)
    {
        try
        {
            return $"{File.ReadAllText($"/proc/{pid}/comm").Trim()} ({pid})";
        }
        catch (IOException)
        {
            return $"{pid}";
        }
    }
}

/// <summary>The record on the state partition that tells the next boot how this run ended.</summary>
internal static class ShutdownRecord
{
    /// <summary>Reads how the last run ended and marks this one as running. Null at the first boot.</summary>
    public static string? Begin(string state)
    {
        var path = Path.Combine(state, "last-run");
        var last = File.Exists(path) ? File.ReadAllText(path).Trim() : null;
        DurableFile.Write(path, "running\n");
        return last;
    }

    /// <summary>Marks the run as ended well: the last thing written before the unmount.</summary>
    public static void End(string state, string reason) => DurableFile.Write(Path.Combine(state, "last-run"), $"clean {reason}\n");

    /// <summary>True for a clean end, false for power loss or a crash, null when there was no run before.</summary>
    public static bool? WasClean(string? record) => record?.StartsWith("clean", StringComparison.Ordinal);
}
