using System.Net;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>The top-level networks and volumes.</summary>
internal sealed class ResourceReader(Diagnostics diagnostics, Values values)
{
    public SortedDictionary<string, NetworkSpec> Networks(MapNode? map)
    {
        var networks = new SortedDictionary<string, NetworkSpec>(StringComparer.Ordinal);
        foreach (var (name, node) in map?.Entries ?? [])
        {
            if (Entry(node) is not { } entry) continue;
            Only(entry, "name", "external", "driver", "driver_opts", "labels", "internal", "attachable", "enable_ipv4", "enable_ipv6", "ipam");
            var (external, externalName) = External(entry);
            if (values.Text(entry["driver"]) is { } driver && driver is not ("bridge" or "macvlan" or "ipvlan" or "host" or "none" or "default")) diagnostics.Error(entry["driver"]!, $"'{driver}' is not bridge, macvlan or ipvlan");
            var network = new NetworkSpec
            {
                Name = externalName ?? values.Text(entry["name"]) ?? (external ? name : null),
                External = external,
                Driver = values.Text(entry["driver"]) is "default" ? null : values.Text(entry["driver"]),
                Options = values.Map(entry["driver_opts"]),
                Labels = values.Map(entry["labels"]),
                Internal = values.Flag(entry["internal"]) is true ? true : null,
                EnableIpv6 = values.Flag(entry["enable_ipv6"]) is true ? true : null,
            };
            networks[name] = entry["ipam"] is MapNode ipam ? WithIpam(ipam, network) : network;
        }

        return networks;
    }

    public SortedDictionary<string, VolumeSpec> Volumes(MapNode? map)
    {
        var volumes = new SortedDictionary<string, VolumeSpec>(StringComparer.Ordinal);
        foreach (var (name, node) in map?.Entries ?? [])
        {
            if (Entry(node) is not { } entry) continue;
            Only(entry, "name", "external", "driver", "driver_opts", "labels");
            var (external, externalName) = External(entry);
            volumes[name] = new VolumeSpec
            {
                Name = externalName ?? values.Text(entry["name"]) ?? (external ? name : null),
                External = external,
                Driver = values.Text(entry["driver"]),
                Options = values.Map(entry["driver_opts"]),
                Labels = values.Map(entry["labels"]),
            };
        }

        return volumes;
    }

    private NetworkSpec WithIpam(MapNode map, NetworkSpec network)
    {
        Only(map, "driver", "config", "options");
        var subnets = new List<Subnet>();
        foreach (var item in map["config"] is ListNode list ? list.Items : [])
        {
            if (item is not MapNode config)
            {
                diagnostics.Error(item, "must be a map with a subnet");
                continue;
            }

            Only(config, "subnet", "gateway", "ip_range", "aux_addresses");
            foreach (var key in (string[])["subnet", "ip_range"])
                if (values.Text(config[key]) is { } cidr && !IPNetwork.TryParse(cidr, out _)) diagnostics.Error(config[key]!, $"'{cidr}' is not a subnet such as 172.28.0.0/24");
            if (values.Text(config["gateway"]) is { } gateway && !IPAddress.TryParse(gateway, out _)) diagnostics.Error(config["gateway"]!, $"'{gateway}' is not an IP address");
            subnets.Add(new(values.Text(config["subnet"]), values.Text(config["gateway"]), values.Text(config["ip_range"]), values.Map(config["aux_addresses"])));
        }

        return network with { IpamDriver = values.Text(map["driver"]) is "default" ? null : values.Text(map["driver"]), IpamOptions = values.Map(map["options"]), Subnets = subnets.Count == 0 ? null : subnets };
    }

    /// <summary><c>external: true</c>, or the old form with a name inside.</summary>
    private (bool External, string? Name) External(MapNode entry) =>
        entry["external"] is MapNode old ? (true, values.Text(old["name"])) : (values.Flag(entry["external"]) ?? false, null);

    private MapNode? Entry(Node node)
    {
        if (node is MapNode map) return map;
        if (node.IsNull) return new MapNode(node.File, node.Line, node.Path, []);
        diagnostics.Error(node, $"must be a map, but is {node.Kind}");
        return null;
    }

    private void Only(MapNode map, params string[] known)
    {
        foreach (var (key, node) in map.Entries)
            if (!known.Contains(key) && !key.StartsWith("x-", StringComparison.Ordinal)) diagnostics.Error(node, $"is not known here; known are {string.Join(", ", known)}");
    }
}
