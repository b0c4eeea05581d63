using System.Globalization;
using System.Net;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace OsBuild.Images.Configuration;

/// <summary>One setting of a device.</summary>
/// <param name="Key">One of <see cref="ConfigKeys.Known"/>, such as <c>network.eth0.address</c>.</param>
/// <param name="Value">Its value as people type it; empty removes the key.</param>
public readonly record struct Setting(string Key, string Value);

/// <summary>The keys of config.yaml on the boot partition, checked and put in place. Pure: text in, text out.</summary>
public static class ConfigKeys
{
    /// <summary>All keys; <c>eth0</c> and <c>NAME</c> stand for any name.</summary>
    public static readonly IReadOnlyList<string> Known =
        ["hostname", "ntp", "proxy", "no-proxy", "network.eth0", "network.eth0.address", "network.eth0.gateway", "network.eth0.dns", "wifi.ssid", "wifi.psk", "wifi.country", "ssh.authorized_keys", "env.NAME", "fleet", "supervisor", "host", "host-not-before"];

    /// <summary>Reads <c>KEY=VALUE</c>; a value <c>@FILE</c> is the content of that file.</summary>
    /// <param name="text">As typed.</param>
    /// <param name="readFile">Gives the text of a file, or null when there is none.</param>
    /// <param name="problem">What is wrong, in words that follow <c>--set</c>.</param>
    public static Setting? Parse(string text, Func<string, string?> readFile, out string? problem)
    {
        var equals = text.IndexOf('=');
        var (key, value) = equals > 0 ? (text[..equals], text[(equals + 1)..]) : ("", "");
        var file = value.StartsWith('@') ? value[1..] : null;
        var content = file is null ? value : readFile(file)?.Trim();
        problem = equals <= 0 ? $"{text} is not KEY=VALUE, such as hostname=kitchen"
            : !IsKnown(key) ? $"{key}: there is no such key; the keys are {string.Join(", ", Known)}"
            : content is null ? $"{key}: there is no file {file}"
            : content.Length > 0 && Wrong(key, content) is { } wrong ? $"{key}: {wrong}"
            : null;
        return problem is null ? new Setting(key, content!) : null;
    }

    /// <summary>Whether there is such a key.</summary>
    public static bool IsKnown(string key) => Wrong(key, "?") != NoKey;

    private const string NoKey = "there is no such key";

    /// <summary>What is wrong with a value, or null.</summary>
    public static string? Wrong(string key, string value)
    {
        var parts = key.Split('.');
        return parts switch
        {
            ["hostname"] => IsHostName(value) ? null : "a host name has letters, digits and hyphens, at most 64 in all, such as kitchen-2",
            ["ntp"] or ["no-proxy"] => null,
            ["proxy"] => ProxyServer.Parse(value) is not null ? null : "it is an address such as http://10.0.0.1:3128 (or https, socks5)",
            ["network", { Length: > 0 }] => value is "dhcp" or "off" ? null : "it is dhcp or off; a fixed address is network.IFACE.address=192.168.1.20/24",
            ["network", _, "address"] => IsAddress(value) ? null : "it is an IPv4 address with its prefix, such as 192.168.1.20/24",
            ["network", _, "gateway"] => IsIPv4(value) ? null : "it is an IPv4 address, such as 192.168.1.1",
            ["network", _, "dns"] => value.Split(',').All(a => IPAddress.TryParse(a.Trim(), out _)) ? null : "it is a list of addresses, such as 192.168.1.1,9.9.9.9",
            ["wifi", "ssid"] => System.Text.Encoding.UTF8.GetByteCount(value) <= 32 ? null : "a network name has at most 32 bytes",
            ["wifi", "psk"] => value.Length is >= 8 and <= 63 || (value.Length == 64 && value.All(char.IsAsciiHexDigit)) ? null : "a passphrase has 8 to 63 characters",
            ["wifi", "country"] => value.Length == 2 && value.All(char.IsAsciiLetterUpper) ? null : "it is two capital letters, such as DE",
            ["ssh", "authorized_keys"] => value.Split('\n').All(IsKey) ? null : "it is a public key, such as ssh-ed25519 AAAA... name, or @FILE",
            ["env", var name] when name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_') => null,
            ["supervisor" or "host"] => IsImage(value) ? null : "it is the name of a container image, such as registry.example.com/host:7",
            ["host-not-before"] => DateOnly.TryParseExact(value, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _) ? null : "it is a day, such as 2026-11-01",
            ["fleet"] => IsJsonObject(value) ? null : "it is the config.json of a fleet: fleet=@config.json",
            _ => NoKey,
        };
    }

    /// <summary>Puts settings into a config.yaml; null when nothing is left of it.</summary>
    /// <exception cref="ImageException">The old text is no YAML mapping.</exception>
    public static string Apply(string? old, IEnumerable<Setting> settings)
    {
        var root = Read(old);
        foreach (var setting in settings) Put(root, setting);
        using var text = new StringWriter { NewLine = "\n" };
        new YamlStream(new YamlDocument(root)).Save(text, assignAnchors: false);
        // YamlStream ends a document with "...", which a person would not write.
        return text.ToString().Replace("\r", "", StringComparison.Ordinal).Replace("\n...\n", "\n", StringComparison.Ordinal);
    }

    private static YamlMappingNode Read(string? old)
    {
        if (string.IsNullOrWhiteSpace(old)) return [];
        try
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(old));
            if (yaml.Documents is [{ RootNode: YamlMappingNode map }]) return map;
            if (yaml.Documents.Count == 0) return [];
        }
        catch (YamlException e)
        {
            throw new ImageException(ImageErrorKind.Corrupt, $"The config.yaml on the boot partition is not YAML (line {e.Start.Line}); mend it first, or remove it.");
        }

        throw new ImageException(ImageErrorKind.Corrupt, "The config.yaml on the boot partition is not a mapping of keys; mend it first, or remove it.");
    }

    private static void Put(YamlMappingNode root, Setting setting)
    {
        var parts = setting.Key.Split('.');
        var map = root;
        var trail = new List<(YamlMappingNode Map, string Key)>();
        foreach (var part in parts[..^1])
        {
            trail.Add((map, part));
            if (map.Children.TryGetValue(new YamlScalarNode(part), out var child) && child is YamlMappingNode below)
            {
                map = below;
                continue;
            }

            var made = new YamlMappingNode();
            map.Children[new YamlScalarNode(part)] = made;
            map = made;
        }

        var key = new YamlScalarNode(parts[^1]);
        if (setting.Value.Length > 0)
        {
            map.Children[key] = Node(setting);
            return;
        }

        map.Children.Remove(key);
        // A mapping with nothing left in it goes too.
        for (var i = trail.Count - 1; i >= 0 && trail[i].Map.Children[new YamlScalarNode(trail[i].Key)] is YamlMappingNode { Children.Count: 0 }; i--)
            trail[i].Map.Children.Remove(new YamlScalarNode(trail[i].Key));
    }

    private static YamlNode Node(Setting setting) => setting.Key.Split('.') switch
    {
        ["ntp"] or ["no-proxy"] or ["network", _, "dns"] => new YamlSequenceNode(setting.Value.Split(',').Select(v => new YamlScalarNode(v.Trim()))),
        ["ssh", "authorized_keys"] => new YamlSequenceNode(setting.Value.Split('\n').Select(k => new YamlScalarNode(k.Trim()))),
        // A number or "yes" in the environment is still a text.
        ["env", _] or ["wifi", _] => new YamlScalarNode(setting.Value) { Style = ScalarStyle.DoubleQuoted },
        _ => new YamlScalarNode(setting.Value),
    };

    // RFC 1123; 64 is the kernel's limit.
    private static bool IsHostName(string value) => value.Length <= 64
        && value.Split('.').All(label => label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'));

    private static bool IsAddress(string value) =>
        value.Split('/') is [var address, var prefix] && IsIPv4(address) && int.TryParse(prefix, NumberStyles.None, CultureInfo.InvariantCulture, out var bits) && bits is >= 1 and <= 32;

    private static bool IsIPv4(string value) => IPAddress.TryParse(value, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork && value.Count(c => c == '.') == 3;

    // The device knows the rules; what is caught here is what nobody means.
    private static bool IsImage(string value) => value.Length <= 255 && value.All(c => char.IsAsciiLetterOrDigit(c) || "._-/:@".Contains(c)) && char.IsAsciiLetterOrDigit(value[0]) && !value.EndsWith(':') && !value.EndsWith('/');

    private static bool IsKey(string line) => line.Split(' ', 3) is [var kind, var blob, ..] && (kind.StartsWith("ssh-", StringComparison.Ordinal) || kind.StartsWith("ecdsa-", StringComparison.Ordinal) || kind.StartsWith("sk-", StringComparison.Ordinal)) && blob.StartsWith("AAAA", StringComparison.Ordinal);

    private static bool IsJsonObject(string value)
    {
        try
        {
            using var json = JsonDocument.Parse(value);
            return json.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
