using System.Globalization;
using System.Net.NetworkInformation;
using OsBuild.Supervisor.Network;

namespace OsBuild.Supervisor.Metrics;

/// <summary>The host at one moment. Counters only grow; whoever wants a rate takes two samples.</summary>
/// <param name="Seconds">The monotonic clock of the sample: seconds since the kernel started.</param>
/// <param name="CpuSeconds">Processor time used since start, over all processors.</param>
/// <param name="MemoryUsed">Bytes that could not be had without swapping.</param>
internal sealed record HostSample(double Seconds, double CpuSeconds, int Processors, double Load, long MemoryTotal, long MemoryUsed,
    List<DiskSample> Disks, List<TemperatureSample> Temperatures, List<NetworkSample> Networks)
{
    /// <summary>True while the board's sensor sees too little supply voltage; null on a board without one.</summary>
    public bool? Undervolted { get; init; }
}

internal sealed record DiskSample(string Name, long Total, long Used);

/// <param name="Name">The kernel's name of the sensor.</param>
/// <param name="Celsius">What it says.</param>
/// <param name="SlowsAt">From here on the kernel slows the board down (°C); null when it never does.</param>
/// <param name="EndsAt">From here on the board is switched off, or soon will be (°C).</param>
internal sealed record TemperatureSample(string Name, double Celsius, double? SlowsAt = null, double? EndsAt = null);

internal sealed record NetworkSample(string Name, long Received, long Sent);

/// <summary>Reads the kernel's own texts. Pure.</summary>
internal static class KernelText
{
    /// <summary>The kernel's unit of processor time towards user space is a hundredth of a second on every architecture.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>From <c>/proc/stat</c>: seconds used, and the number of processors.</summary>
    public static (double Seconds, int Processors) Cpu(string stat)
    {
        var (used, processors) = (0.0, 0);
        foreach (var line in stat.Split('\n'))
        {
            if (line.StartsWith("cpu ", StringComparison.Ordinal))
            {
                // user nice system idle iowait irq softirq steal; guest time is part of user.
                var ticks = Numbers(line[4..]);
                used = ticks.Where((_, i) => i is not (3 or 4) && i < 8).Sum() / TicksPerSecond;
            }
            else if (line.StartsWith("cpu", StringComparison.Ordinal))
            {
                processors++;
            }
        }

        return (used, Math.Max(1, processors));
    }

    /// <summary>From <c>/proc/meminfo</c>: bytes in all, and bytes used.</summary>
    public static (long Total, long Used) Memory(string text)
    {
        var (total, available) = (0L, 0L);
        foreach (var line in text.Split('\n'))
            if (line.StartsWith("MemTotal:", StringComparison.Ordinal)) total = Numbers(line[9..]).FirstOrDefault() * 1024;
            else if (line.StartsWith("MemAvailable:", StringComparison.Ordinal)) available = Numbers(line[13..]).FirstOrDefault() * 1024;
        return (total, total - available);
    }

    /// <summary>From <c>/proc/net/dev</c>: the host's own interfaces, not those of containers.</summary>
    public static List<NetworkSample> Networks(string text)
    {
        var networks = new List<NetworkSample>();
        foreach (var line in text.Split('\n'))
        {
            var colon = line.IndexOf(':');
            var name = colon < 0 ? "" : line[..colon].Trim();
            if (name.Length == 0 || name is "lo" || Links.IsOfContainers(name)) continue;
            var numbers = Numbers(line[(colon + 1)..]);
            if (numbers.Count >= 9) networks.Add(new(name, numbers[0], numbers[8]));
        }

        return networks;
    }

    /// <summary>The first number of a text such as <c>/proc/uptime</c> or <c>/proc/loadavg</c>; 0 when there is none.</summary>
    public static double First(string text) => double.TryParse(text.AsSpan().Trim().ToString().Split(' ')[0], NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : 0;

    private static List<long> Numbers(string text) => [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).TakeWhile(w => long.TryParse(w, NumberStyles.None, CultureInfo.InvariantCulture, out _)).Select(w => long.Parse(w, CultureInfo.InvariantCulture))];
}

/// <summary>Takes samples of the host. What a kernel does not tell is left out.</summary>
internal static class HostReader
{
    /// <param name="disks">The places to measure, by name.</param>
    /// <param name="board">What the board's sensors said last.</param>
    public static HostSample Read(IReadOnlyList<(string Name, string Path)> disks, BoardSample board)
    {
        var (seconds, processors) = KernelText.Cpu(Text("/proc/stat"));
        var (total, used) = KernelText.Memory(Text("/proc/meminfo"));
        return new(KernelText.First(Text("/proc/uptime")), seconds, processors, KernelText.First(Text("/proc/loadavg")), total, used,
            [.. disks.Select(d => Disk(d.Name, d.Path)).OfType<DiskSample>()], board.Temperatures, KernelText.Networks(Text("/proc/net/dev"))) { Undervolted = board.Undervolted };
    }

    /// <summary>The addresses by which the device is reached.</summary>
    public static List<string> Addresses()
    {
        try
        {
            return [.. Links.Outward().SelectMany(i => i.GetIPProperties().UnicastAddresses).Where(a => a.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork).Select(a => a.Address.ToString())];
        }
        catch (NetworkInformationException)
        {
            return [];
        }
    }

    private static DiskSample? Disk(string name, string path)
    {
        try
        {
            var drive = new DriveInfo(path);
            return new(name, drive.TotalSize, drive.TotalSize - drive.AvailableFreeSpace);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    private static string Text(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
