using System.Net.NetworkInformation;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Network;

/// <summary>A network interface as /sys/class/net shows it.</summary>
internal sealed record Link(string Name, int Index, byte[] Hardware, bool Up, bool Carrier);

/// <summary>Reading links from sysfs.</summary>
internal static class Links
{
    /// <summary>Interfaces that are ours to configure: those with a device behind them. Bridges, veths and tunnels belong to the engine.</summary>
    public static IReadOnlyList<Link> Physical(string sysClassNet = "/sys/class/net")
    {
        if (!Directory.Exists(sysClassNet)) return [];
        return [.. Directory.EnumerateFileSystemEntries(sysClassNet).Where(p => Path.Exists(Path.Combine(p, "device"))).Select(Read).OfType<Link>().OrderBy(l => l.Index)];
    }

    /// <summary>All interfaces with their addresses. The framework asks the kernel in several steps and throws ArgumentException when an interface goes in
    /// between (seen with .NET 10 while containers stopped): it is asked again, and after five times nothing is told this once.</summary>
    /// <param name="read">What asks; the framework itself when it is left out.</param>
    public static IReadOnlyList<NetworkInterface> All(Func<NetworkInterface[]>? read = null)
    {
        for (var attempt = 1; attempt <= 5; attempt++)
        {
            try
            {
                return (read ?? NetworkInterface.GetAllNetworkInterfaces)();
            }
            catch (Exception e) when (e is ArgumentException or NetworkInformationException)
            {
            }
        }

        return [];
    }

    /// <summary>The interfaces by which others reach the device: those that are up, without the loopback and what leads to containers alone.</summary>
    public static IReadOnlyList<NetworkInterface> Outward() =>
        [.. All().Where(l => l.OperationalStatus == OperationalStatus.Up && l.NetworkInterfaceType != NetworkInterfaceType.Loopback && !IsOfContainers(l.Name))];

    /// <summary>True for an interface the engine made: its bridges (a bridge of the host's own may be how the device is reached), and the host's ends of
    /// containers' interfaces. Pure.</summary>
    public static bool IsOfContainers(string name) => Array.Exists((string[])["veth", "br-", "docker", "balena"], start => name.StartsWith(start, StringComparison.Ordinal));

    public static void BringUpLoopback()
    {
        using var netlink = new RouteSocket();
        netlink.SetUp(1);
    }

    private static Link? Read(string path)
    {
        try
        {
            var type = Text(path, "type");
            if (type != "1") return null; // ARPHRD_ETHER, which Wi-Fi has too
            var flags = Convert.ToInt32(Text(path, "flags"), 16);
            var hardware = Text(path, "address").Split(':').Select(h => Convert.ToByte(h, 16)).ToArray();
            var up = (flags & 1) != 0;
            return new Link(Path.GetFileName(path), int.Parse(Text(path, "ifindex")), hardware, up, up && Text(path, "carrier") == "1");
        }
        catch (Exception e) when (e is IOException or FormatException or ArgumentException)
        {
            return null; // unplugged while we looked
        }
    }

    private static string Text(string path, string name) => File.ReadAllText(Path.Combine(path, name)).Trim();
}
