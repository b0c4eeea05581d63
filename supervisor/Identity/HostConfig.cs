using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Network;
using OsBuild.Supervisor.State;
using OsBuild.Supervisor.Yaml;
using YamlDotNet.Core;

namespace OsBuild.Supervisor.Identity;

/// <summary>How one network interface gets its address.</summary>
/// <param name="Name">Kernel name (eth0), or "*" for every one not named.</param>
/// <param name="Address">Fixed address with prefix length, or null for DHCP.</param>
/// <param name="Gateway">Default gateway of a fixed address.</param>
/// <param name="Dns">Name servers; with DHCP they come before the server's.</param>
/// <param name="Off">The interface is left alone.</param>
internal sealed record InterfaceConfig(string Name, IPNetworkAddress? Address, IPAddress? Gateway, IReadOnlyList<IPAddress> Dns, bool Off = false)
{
    public static InterfaceConfig Dhcp(string name) => new(name, null, null, []);
}

/// <summary>An address with its prefix length: 192.168.1.20/24 (IPNetwork allows no host bits).</summary>
internal readonly record struct IPNetworkAddress(IPAddress Address, int PrefixLength)
{
    public static bool TryParse(string text, out IPNetworkAddress value)
    {
        value = default;
        var slash = text.IndexOf('/');
        if (slash <= 0 || !IPAddress.TryParse(text[..slash], out var address) || address.GetAddressBytes().Length != 4) return false;
        if (!int.TryParse(text[(slash + 1)..], CultureInfo.InvariantCulture, out var prefix) || prefix is < 1 or > 32) return false;
        value = new IPNetworkAddress(address, prefix);
        return true;
    }

    public override string ToString() => $"{Address}/{PrefixLength}";
}

/// <summary>
/// What the user's config.yaml on the boot partition says about the host. A mistake in it is a line in the log, never a device that does not
/// come up: each key that cannot be used is left out.
/// </summary>
/// <code>
/// hostname: kitchen
/// network:
///   eth0: { address: 192.168.1.20/24, gateway: 192.168.1.1, dns: [192.168.1.1] }
///   eth1: dhcp        # or: off
/// ntp: [pool.ntp.org]
/// proxy: http://10.0.0.1:3128
/// no-proxy: [10.0.0.0/8, .example.com]
/// bundle-keys: [MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE...]
/// supervisor: registry.example.com/supervisor:2
/// host: registry.example.com/kitchen-host:7
/// host-not-before: 2026-11-01
/// </code>
internal sealed record HostConfig(string? HostName, IReadOnlyList<InterfaceConfig> Interfaces, IReadOnlyList<string> TimeServers, HostProxy? Proxy = null)
{
    /// <summary>Who may sign bundles for this device: public keys (SubjectPublicKeyInfo in base64), as <c>supervisor bundle</c> shows them.</summary>
    public IReadOnlyList<string> BundleKeys { get; init; } = [];

    /// <summary>The image the supervisor itself is to come from; null: the one in the root.</summary>
    public string? Supervisor { get; init; }

    /// <summary>The image the host itself is to come from; null: what is on the disk.</summary>
    public string? Host { get; init; }

    /// <summary>No host built before this is taken, in seconds since 1970.</summary>
    public long HostNotBefore { get; init; }

    public static readonly HostConfig Empty = new(null, [], []);

    public static HostConfig Read(string path, Action<string> log)
    {
        try
        {
            return File.Exists(path) ? Parse(File.ReadAllText(path), log) : Empty;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log($"config.yaml: {e.Message}");
            return Empty;
        }
    }

    public static HostConfig Parse(string text, Action<string> log)
    {
        try
        {
            var documents = YamlReader.Documents(text);
            if (documents.Count == 0) return Empty;
            if (documents[0] is not YamlMappingNode root)
            {
                log("config.yaml is not a list of keys with values; ignoring it");
                return Empty;
            }

            return new HostConfig(HostNameOf(root, log), InterfacesOf(root, log), [.. Texts(Child(root, "ntp"))], ProxyOf(root, log))
            {
                BundleKeys = [.. Texts(Child(root, "bundle-keys"))],
                Supervisor = ImageOf(root, "supervisor", log),
                Host = ImageOf(root, "host", log),
                HostNotBefore = DateOf(root, "host-not-before", log),
            };
        }
        catch (YamlException e)
        {
            log($"config.yaml line {e.Start.Line}: {e.Message}; ignoring the file");
            return Empty;
        }
    }

    /// <summary>The configuration of an interface: by name, by "*", else DHCP.</summary>
    public InterfaceConfig For(string name) =>
        Interfaces.FirstOrDefault(i => i.Name == name) ?? Interfaces.FirstOrDefault(i => i.Name == "*") ?? InterfaceConfig.Dhcp(name);

    /// <summary>The board's name in the image builder's image.json.</summary>
    public static string Board(string imageJson)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(imageJson))?["board"]?.ToString() ?? "unknown";
        }
        catch (Exception e) when (e is IOException or System.Text.Json.JsonException or InvalidOperationException or UnauthorizedAccessException)
        {
            return "unknown";
        }
    }

    private static string? HostNameOf(YamlMappingNode root, Action<string> log)
    {
        if (Child(root, "hostname") is not { } node) return null;
        if (node is YamlScalarNode { Value: { } name } && DeviceIdentity.IsHostName(name)) return name;
        log($"config.yaml line {node.Start.Line}: hostname must be letters, digits and hyphens; using the default name");
        return null;
    }

    private static string? ImageOf(YamlMappingNode root, string key, Action<string> log)
    {
        if (Child(root, key) is not { } node) return null;
        if (node is YamlScalarNode { Value: { } image } && ImageReference.TryParse(image, out _)) return image;
        log($"config.yaml line {node.Start.Line}: {key} must name an image; going on with the {key} that runs");
        return null;
    }

    /// <summary>A day (UTC), in seconds since 1970; 0 when there is none.</summary>
    private static long DateOf(YamlMappingNode root, string key, Action<string> log)
    {
        if (Child(root, key) is not { } node) return 0;
        if (node is YamlScalarNode { Value: { } text } && DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)) return new DateTimeOffset(day.ToDateTime(TimeOnly.MinValue), TimeSpan.Zero).ToUnixTimeSeconds();
        log($"config.yaml line {node.Start.Line}: {key} must be a day such as 2026-11-01; going on without it");
        return 0;
    }

    private static HostProxy? ProxyOf(YamlMappingNode root, Action<string> log)
    {
        if (Child(root, "proxy") is not { } node) return null;
        var proxy = node is YamlScalarNode { Value: { } text } ? HostProxy.Parse(text, [.. Texts(Child(root, "no-proxy"))]) : null;
        if (proxy is null) log($"config.yaml line {node.Start.Line}: proxy must be like http://10.0.0.1:3128 (or https, socks5); going on without one");
        return proxy;
    }

    private static List<InterfaceConfig> InterfacesOf(YamlMappingNode root, Action<string> log)
    {
        var result = new List<InterfaceConfig>();
        if (Child(root, "network") is not YamlMappingNode network) return result;
        foreach (var (key, value) in network.Children)
        {
            var name = (key as YamlScalarNode)?.Value ?? "";
            if (Interface(name, value) is { } config) result.Add(config);
            else log($"config.yaml line {value.Start.Line}: network.{name} needs dhcp, off, or address: A.B.C.D/PREFIX with gateway and dns; using DHCP");
        }

        return result;
    }

    private static InterfaceConfig? Interface(string name, YamlNode value)
    {
        switch (value)
        {
            case YamlScalarNode { Value: "dhcp" }: return InterfaceConfig.Dhcp(name);
            case YamlScalarNode { Value: "off" or "false" }: return InterfaceConfig.Dhcp(name) with { Off = true };
            case YamlMappingNode map:
                List<IPAddress> dns = [];
                foreach (var text in Texts(Child(map, "dns")))
                    if (IPAddress.TryParse(text, out var server)) dns.Add(server);
                    else return null;
                var gateway = (Child(map, "gateway") as YamlScalarNode)?.Value;
                IPAddress? router = null;
                if (gateway is not null && !IPAddress.TryParse(gateway, out router)) return null;
                var address = (Child(map, "address") as YamlScalarNode)?.Value;
                if (address is null or "dhcp") return InterfaceConfig.Dhcp(name) with { Dns = dns };
                return IPNetworkAddress.TryParse(address, out var fix) ? new InterfaceConfig(name, fix, router, dns) : null;
            default: return null;
        }
    }

    private static YamlNode? Child(YamlMappingNode map, string key) =>
        map.Children.FirstOrDefault(c => c.Key is YamlScalarNode { Value: { } name } && name == key).Value;

    private static IEnumerable<string> Texts(YamlNode? node) => node switch
    {
        YamlScalarNode { Value: { Length: > 0 } value } => [value],
        YamlSequenceNode list => list.Children.OfType<YamlScalarNode>().Select(s => s.Value ?? "").Where(v => v.Length > 0),
        _ => [],
    };
}
