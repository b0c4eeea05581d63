using System.Globalization;
using System.Net;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>Ports, volumes and networks of a service, each in its short and its long form.</summary>
internal sealed partial class ServiceReader
{
    private const int MaxRange = 1000;

    private List<PortSpec>? ReadPorts(Node node)
    {
        if (node is not ListNode list) return node.IsNull ? null : Refuse<List<PortSpec>?>(node, "must be a list", null);
        var ports = new List<PortSpec>();
        foreach (var item in list.Items)
        {
            var found = item is MapNode map ? ReadLongPort(map) : ReadShortPort(item);
            ports.AddRange(found.Where(p => !ports.Contains(p)));
        }

        return ports.Count == 0 ? null : ports;
    }

    private List<PortSpec> ReadLongPort(MapNode map)
    {
        OnlyKeys(map, "target", "published", "host_ip", "protocol", "mode", "app_protocol", "name");
        if (values.Whole(map["target"], 1, 65535) is not { } target) return Refuse<List<PortSpec>>(map, "needs a target", []);
        var published = values.Text(map["published"]) ?? "0";
        return Ranges(map, values.Text(map["host_ip"]), published, $"{target}", values.Text(map["protocol"]) ?? "tcp");
    }

    /// <summary><c>[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]</c>, where HOST and CONTAINER may be ranges and ADDRESS may be <c>[::1]</c>.</summary>
    private List<PortSpec> ReadShortPort(Node node)
    {
        if (values.Text(node) is not { } text) return [];
        var slash = text.IndexOf('/');
        var protocol = slash < 0 ? "tcp" : text[(slash + 1)..];
        var rest = slash < 0 ? text : text[..slash];
        var last = rest.LastIndexOf(':');
        if (last < 0) return Ranges(node, null, "0", rest, protocol);
        var container = rest[(last + 1)..];
        rest = rest[..last];
        last = rest.EndsWith(']') ? rest.Length : rest.LastIndexOf(':');
        var (address, host) = last < 0 ? (null, rest) : last == rest.Length ? (rest, "") : (rest[..last], rest[(last + 1)..]);
        return Ranges(node, address, host, container, protocol);
    }

    private List<PortSpec> Ranges(Node node, string? address, string host, string container, string protocol)
    {
        if (protocol is not ("tcp" or "udp" or "sctp")) return Refuse<List<PortSpec>>(node, $"'{protocol}' is not tcp, udp or sctp", []);
        if (address is not null && !IPAddress.TryParse(address.Trim('[', ']'), out _)) return Refuse<List<PortSpec>>(node, $"'{address}' is not an IP address", []);
        address = address?.Trim('[', ']');
        if (!Range(container, 1, out var first, out var last)) return Refuse<List<PortSpec>>(node, $"'{container}' is not a port or a range of ports", []);
        if (!Range(host.Length == 0 ? "0" : host, 0, out var hostFirst, out var hostLast)) return Refuse<List<PortSpec>>(node, $"'{host}' is not a port or a range of ports", []);
        if (hostFirst != 0 && hostLast - hostFirst != last - first)
            return Refuse<List<PortSpec>>(node, $"the ranges {host} and {container} are not of one size", []);
        return [.. Enumerable.Range(0, last - first + 1).Select(i => new PortSpec(first + i, hostFirst == 0 ? 0 : hostFirst + i, protocol, address))];
    }

    private static bool Range(string text, int least, out int first, out int last)
    {
        var dash = text.IndexOf('-');
        (first, last) = (0, 0);
        if (!int.TryParse(dash < 0 ? text : text[..dash], NumberStyles.None, CultureInfo.InvariantCulture, out first)) return false;
        last = first;
        if (dash >= 0 && !int.TryParse(text[(dash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out last)) return false;
        return first >= least && last <= 65535 && last >= first && last - first < MaxRange;
    }

    private List<MountSpec> ReadVolumes(Node node)
    {
        if (node is not ListNode list) return node.IsNull ? [] : Refuse<List<MountSpec>>(node, "must be a list", []);
        var mounts = new List<MountSpec>();
        foreach (var item in list.Items)
        {
            if ((item is MapNode map ? ReadLongVolume(map) : ReadShortVolume(item)) is not { } mount) continue;
            // extends and merges append: the later one wins.
            mounts.RemoveAll(m => m.Target == mount.Target);
            mounts.Add(mount);
        }

        return mounts;
    }

    /// <summary><c>[SOURCE:]TARGET[:OPTIONS]</c>; a source with a slash, dot or tilde is a path of the host.</summary>
    private MountSpec? ReadShortVolume(Node node)
    {
        if (values.Text(node) is not { } text) return null;
        var parts = text.Split(':');
        if (parts.Length > 3 || parts.Any(p => p.Length == 0)) return Refuse<MountSpec?>(node, $"'{text}' is not [SOURCE:]TARGET[:OPTIONS]", null);
        var target = parts.Length == 1 ? parts[0] : parts[1];
        if (!target.StartsWith('/')) return Refuse<MountSpec?>(node, $"'{target}' must be an absolute path in the container", null);
        if (parts.Length == 1) return new(MountKind.Volume, null, target);
        var source = parts[0];
        var mount = source[0] is '/' or '.' or '~' ? new MountSpec(MountKind.Bind, sources.HostPath(source), target) : new(MountKind.Volume, source, target);
        foreach (var option in parts.Length == 3 ? parts[2].Split(',') : [])
            switch (option)
            {
                case "ro": mount = mount with { ReadOnly = true }; break;
                case "rw" or "z" or "Z" or "cached" or "delegated" or "consistent": break;
                case "nocopy": mount = mount with { NoCopy = true }; break;
                case "private" or "rprivate" or "shared" or "rshared" or "slave" or "rslave": mount = mount with { Propagation = option }; break;
                default: diagnostics.Error(node, $"'{option}' is not a volume option"); break;
            }

        return mount;
    }

    private MountSpec? ReadLongVolume(MapNode map)
    {
        OnlyKeys(map, "type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency");
        var kind = values.OneOf(map["type"], ("volume", MountKind.Volume), ("bind", MountKind.Bind), ("tmpfs", MountKind.Tmpfs));
        var source = values.Text(map["source"]);
        var target = values.Text(map["target"]);
        if (kind is null || target is null || !target.StartsWith('/')) return Refuse<MountSpec?>(map, "needs type (volume, bind or tmpfs) and an absolute target", null);
        if (kind == MountKind.Bind && source is null) return Refuse<MountSpec?>(map, "a bind needs a source", null);
        if (kind == MountKind.Bind) source = sources.HostPath(source!);
        var mount = new MountSpec(kind.Value, kind == MountKind.Tmpfs ? null : source, target) { ReadOnly = values.Flag(map["read_only"]) is true ? true : null };
        if (map["bind"] is MapNode bind)
        {
            OnlyKeys(bind, "propagation", "create_host_path", "selinux", "recursive");
            mount = mount with { Propagation = values.Text(bind["propagation"]), NoCreate = values.Flag(bind["create_host_path"]) is false ? true : null };
        }

        if (map["volume"] is MapNode volume)
        {
            OnlyKeys(volume, "nocopy", "subpath");
            mount = mount with { NoCopy = values.Flag(volume["nocopy"]), Subpath = values.Text(volume["subpath"]) };
        }

        if (map["tmpfs"] is MapNode tmpfs)
        {
            OnlyKeys(tmpfs, "size", "mode");
            mount = mount with { TmpfsSize = values.Size(tmpfs["size"]), TmpfsMode = Octal(tmpfs["mode"]) };
        }

        return mount;
    }

    private MountSpec ReadTmpfs(string text)
    {
        var colon = text.IndexOf(':');
        return new(MountKind.Tmpfs, null, colon < 0 ? text : text[..colon]) { TmpfsOptions = colon < 0 ? null : text[(colon + 1)..] };
    }

    private int? Octal(Node? node)
    {
        if (values.Text(node) is not { } text) return null;
        try
        {
            return Convert.ToInt32(text.StartsWith("0o", StringComparison.Ordinal) ? text[2..] : text, 8);
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            return Refuse<int?>(node!, $"must be an octal mode such as 0440, not '{text}'", null);
        }
    }

    private List<NetworkLink>? ReadNetworks(Node node)
    {
        if (node is not MapNode map) return values.List(node) is { Count: > 0 } names ? [.. names.Distinct().Select(n => new NetworkLink(n))] : null;
        var links = new List<NetworkLink>();
        foreach (var (name, value) in map.Entries)
        {
            var entry = AsMap(value);
            OnlyKeys(entry, "aliases", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "driver_opts", "priority", "gw_priority", "interface_name");
            if (entry["interface_name"] is { } wanted) diagnostics.Error(wanted, "is not supported");
            links.Add(new(name)
            {
                Aliases = values.List(entry["aliases"]) is { Count: > 0 } aliases ? aliases : null,
                Ipv4 = Address(entry["ipv4_address"]),
                Ipv6 = Address(entry["ipv6_address"]),
                LinkLocal = values.List(entry["link_local_ips"]),
                MacAddress = values.Text(entry["mac_address"]),
                Priority = (int?)values.Whole(entry["priority"] ?? entry["gw_priority"], int.MinValue, int.MaxValue),
                DriverOptions = values.Map(entry["driver_opts"]),
            });
        }

        return links.Count == 0 ? null : links;
    }

    private string? Address(Node? node)
    {
        var text = values.Text(node);
        if (text is not null && !IPAddress.TryParse(text, out _)) diagnostics.Error(node!, $"'{text}' is not an IP address");
        return text;
    }
}
