using System.Globalization;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Network;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Reads what a fleet wants to know of the host. Anything that cannot be read is left out.</summary>
internal sealed class HostReadings(HostPaths paths)
{
    private (long Busy, long All) cpu;

    public DeviceFacts Facts(FleetConfig config)
    {
        var os = OsRelease();
        return new DeviceFacts
        {
            DeviceType = config.DeviceType,
            Architecture = RuntimeInformation.OSArchitecture switch { Architecture.X64 => "amd64", Architecture.Arm64 => "aarch64", Architecture.Arm => "armv7hf", Architecture.X86 => "i386", var other => other.ToString().ToLowerInvariant() },
            OsName = os.GetValueOrDefault("NAME", "Linux"),
            OsVersion = os.GetValueOrDefault("VERSION_ID", ""),
            KernelVersion = Text("/proc/sys/kernel/osrelease"),
            ApiEndpoint = config.ApiEndpoint?.GetLeftPart(UriPartial.Authority) ?? "",
            Port = config.ListenPort,
            EngineSocket = paths.EngineSocket,
            HostPaths = Features.Paths.Where(p => Directory.Exists(p) || File.Exists(p)).ToHashSet(),
        };
    }

    /// <summary>What a uuid is made from: the device's own id, or that of the system it runs under.</summary>
    public string MachineId() => new[] { Path.Combine(paths.State, "machine-id"), "/etc/machine-id" }.Select(Text).FirstOrDefault(t => t.Length > 0) ?? Environment.MachineName;

    /// <summary>The addresses by which others on the network reach the device.</summary>
    public static HostAddresses Addresses()
    {
        try
        {
            var links = Links.Outward();
            var ips = links.SelectMany(l => l.GetIPProperties().UnicastAddresses).Where(a => a.Address.AddressFamily == AddressFamily.InterNetwork || a.Address is { AddressFamily: AddressFamily.InterNetworkV6, IsIPv6LinkLocal: false }).Select(a => a.Address.ToString());
            var macs = links.Select(l => string.Join(':', l.GetPhysicalAddress().GetAddressBytes().Select(b => b.ToString("X2", CultureInfo.InvariantCulture)))).Where(m => m.Length == 17);
            return new(string.Join(' ', ips), string.Join(' ', macs));
        }
        catch (NetworkInformationException)
        {
            return new("", "");
        }
    }

    public HostMetrics Metrics()
    {
        var memory = Pairs("/proc/meminfo", ':');
        var (total, available) = (Kibibytes("MemTotal"), Kibibytes("MemAvailable"));
        var (used, size) = Storage();
        return new(Cpu(), Temperature(), (total - available) / 1024, total / 1024, used, size, BlockDevice(), CpuId());

        long Kibibytes(string name) => memory.TryGetValue(name, out var text) && long.TryParse(text.Replace("kB", "", StringComparison.Ordinal).Trim(), out var value) ? value : 0;
    }

    private int Cpu()
    {
        var numbers = Text("/proc/stat").Split('\n')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(t => long.TryParse(t, out var n) ? n : 0).ToList();
        if (numbers.Count < 5) return 0;
        var now = (Busy: numbers.Take(8).Sum() - numbers[3] - numbers[4], All: numbers.Take(8).Sum());
        var (busy, all) = (now.Busy - cpu.Busy, now.All - cpu.All);
        cpu = now;
        return all <= 0 ? 0 : (int)(100 * busy / all);
    }

    private static int? Temperature() => int.TryParse(Text("/sys/class/thermal/thermal_zone0/temp"), out var milli) ? milli / 1000 : null;

    private static string? CpuId() => Text("/proc/device-tree/serial-number").TrimEnd('\0') is { Length: > 0 } id ? id : null;

    private (long Used, long Size) Storage()
    {
        try
        {
            var drive = new DriveInfo(paths.Data);
            return ((drive.TotalSize - drive.TotalFreeSpace) >> 20, drive.TotalSize >> 20);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return (0, 0);
        }
    }

    private string BlockDevice() => MountInfo.Parse(Text("/proc/self/mountinfo")).LastOrDefault(m => m.Target == paths.Data)?.Source ?? "";

    private static Dictionary<string, string> OsRelease() => Pairs("/etc/os-release", '=').ToDictionary(p => p.Key, p => p.Value.Trim('"'));

    private static Dictionary<string, string> Pairs(string path, char separator)
    {
        var pairs = new Dictionary<string, string>();
        foreach (var line in Text(path).Split('\n'))
            if (line.IndexOf(separator) is > 0 and var at) pairs[line[..at].Trim()] = line[(at + 1)..].Trim();
        return pairs;
    }

    private static string Text(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
