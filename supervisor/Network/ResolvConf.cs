using System.Net;

namespace OsBuild.Supervisor.Network;

/// <summary>What the interfaces know together. Pure.</summary>
internal static class ResolvConf
{
    /// <summary>At most three servers, as resolv.conf(5) allows, in the order of the interfaces.</summary>
    public static string Text(IEnumerable<IPAddress> servers, IEnumerable<string> domains)
    {
        var lines = servers.Distinct().Take(3).Select(s => $"nameserver {s}").ToList();
        var search = domains.Distinct().Take(6).ToList();
        if (search.Count > 0) lines.Insert(0, "search " + string.Join(' ', search));
        return string.Concat(lines.Select(l => l + "\n"));
    }
}
