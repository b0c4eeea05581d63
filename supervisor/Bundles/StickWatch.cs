using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;
using Serilog;

namespace OsBuild.Supervisor.Bundles;

/// <summary>Which partitions may be on a stick that somebody plugged in. Pure.</summary>
internal static class Sticks
{
    /// <param name="devices">All block devices.</param>
    /// <param name="isStick">Whether a disk is one that can be pulled out.</param>
    /// <param name="mounted">The numbers (major:minor) of what is mounted: the disk the device runs from may be a stick too.</param>
    public static List<BlockDevice> Of(IReadOnlyList<BlockDevice> devices, Func<string, bool> isStick, IReadOnlySet<string> mounted)
    {
        var inUse = devices.Where(d => mounted.Contains(d.Number)).Select(d => d.Disk).ToHashSet();
        return [.. devices.Where(d => d.Size > 0 && !inUse.Contains(d.Disk) && isStick(d.Disk) && (d.Partition > 0 || !devices.Any(p => p.Partition > 0 && p.Disk == d.Name)))];
    }
}

/// <summary>Takes bundles from sticks: <c>*.bundle</c> in the first folder of a FAT or ext4 file system, which is only read. Does nothing on a device whose
/// config.yaml has no bundle-keys.</summary>
internal sealed class StickWatch(HostPaths paths, BundleIntake intake, Reconciler reconciler, ILogger log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);

    /// <summary>Looked at already; forgotten when they are pulled out.</summary>
    private HashSet<string> known = [];

    /// <summary>Whether a disk can be pulled out: it says so, or hangs on USB.</summary>
    public Func<string, bool> IsStick { get; init; } = disk => Removable(disk);

    private string Place => Path.Combine(paths.Run, "stick");

    public async Task RunAsync(CancellationToken stop)
    {
        if (HostConfig.Read(paths.ConfigYaml, _ => { }).BundleKeys.Count == 0) await Task.Delay(Timeout.InfiniteTimeSpan, stop);
        using var timer = new PeriodicTimer(Interval);
        do await LookAsync(stop);
        while (await timer.WaitForNextTickAsync(stop));
    }

    /// <summary>Looks once for sticks that were not there before.</summary>
    public async Task LookAsync(CancellationToken stop)
    {
        var sticks = Sticks.Of(BlockDevice.All(), IsStick, MountInfo.Current().Select(m => m.Device).ToHashSet());
        known = [.. known.Where(k => sticks.Exists(s => s.Name == k))];
        foreach (var stick in sticks)
            if (known.Add(stick.Name)) await TakeFromAsync(stick, stop);
    }

    private async Task TakeFromAsync(BlockDevice stick, CancellationToken stop)
    {
        try
        {
            var type = TypeOf(stick);
            if (type is not ("vfat" or "ext4")) return;
            Directory.CreateDirectory(Place);
            // noload: the journal of an ext4 that was pulled out is not played back, so that nothing is written.
            Libc.Mount(stick.Path, Place, type, Libc.MsRdOnly | Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec, type == "ext4" ? "noload" : null);
            try
            {
                foreach (var file in Directory.GetFiles(Place, "*.bundle").Order(StringComparer.Ordinal)) await TakeAsync(file, stick.Name, stop);
            }
            finally
            {
                Libc.Unmount(Place);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.Warning("the stick {Name} cannot be read: {Reason}", stick.Name, e.Message);
        }
    }

    private async Task TakeAsync(string file, string stick, CancellationToken stop)
    {
        var name = Path.GetFileName(file);
        await using (var before = File.OpenRead(file))
            if (await intake.TookLastAsync(before, stop)) return;
        string? refused;
        try
        {
            await using var stream = File.OpenRead(file);
            var result = await intake.TakeAsync(stream, stop);
            refused = result.Release is null ? result.Explain() : null;
        }
        catch (BundleRefusedException e)
        {
            refused = e.Message;
        }

        reconciler.History.Add(new HistoryEntry(DateTimeOffset.UtcNow, $"take {name}", $"it is on the stick {stick}", refused ?? "done", ""));
        reconciler.Report("bundle", refused is null ? null : $"{name} on the stick was not taken: {refused}");
    }

    private static string TypeOf(BlockDevice device)
    {
        using var file = File.OpenHandle(device.Path);
        var head = new byte[4096];
        return FileSystemProbe.Type(head.AsSpan(0, RandomAccess.Read(file, head, 0)));
    }

    private static bool Removable(string disk)
    {
        var folder = Path.Combine("/sys/class/block", disk);
        try
        {
            return File.ReadAllText(Path.Combine(folder, "removable")).Trim() == "1" || Directory.ResolveLinkTarget(folder, returnFinalTarget: true)?.FullName.Contains("/usb", StringComparison.Ordinal) == true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
