using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OsBuild.Supervisor.State;

/// <summary>The one string that decides whether something changed: a digest over the canonical JSON of its specification.</summary>
/// <remarks>Canonical: properties in declaration order, maps sorted, nulls left out. Inspecting the engine instead would never do,
/// because it fills in defaults that differ by version.</remarks>
internal static class SpecHash
{
    // Keyed by reference: a copy made by `with` is another service and is digested anew.
    private static readonly ConditionalWeakTable<Service, string> Known = [];

    public static string Of(Service service) => Known.GetValue(service, static s => Digest(Canonical(s)));

    private static readonly ConditionalWeakTable<NetworkSpec, string> KnownNetworks = [];
    private static readonly ConditionalWeakTable<VolumeSpec, string> KnownVolumes = [];

    public static string Of(NetworkSpec network) => KnownNetworks.GetValue(network, static n => Digest(JsonSerializer.SerializeToUtf8Bytes(n, StateJson.Default.NetworkSpec)));

    public static string Of(VolumeSpec volume) => KnownVolumes.GetValue(volume, static v => Digest(JsonSerializer.SerializeToUtf8Bytes(v, StateJson.Default.VolumeSpec)));

    private static readonly ConditionalWeakTable<Release, string> KnownReleases = [];

    public static string Of(Release release) => KnownReleases.GetValue(release, static r =>
    {
        var text = new StringBuilder();
        foreach (var (name, service) in r.Services) text.Append("s ").Append(name).Append(' ').Append(service.Hash()).Append(service.Running ? "\n" : " off\n");
        foreach (var (name, network) in r.Networks) text.Append("n ").Append(name).Append(' ').Append(Of(network)).Append('\n');
        foreach (var (name, volume) in r.Volumes) text.Append("v ").Append(name).Append(' ').Append(Of(volume)).Append('\n');
        return Digest(Encoding.UTF8.GetBytes(text.ToString()));
    });

    /// <summary>What the hash is taken over; also kept as a label, so that a container explains itself without our state.</summary>
    public static byte[] Canonical(Service service) => JsonSerializer.SerializeToUtf8Bytes(
        new HashedService(service.Image, service.Container, service.OwnsPorts), StateJson.Default.HashedService);

    /// <summary>The specification in a container's own label; null when it has none that can be read.</summary>
    public static ContainerSpec? Read(string? canonical) => ReadService(canonical)?.Container;

    /// <summary>What a container was made from, by its own label; null when it has none that can be read.</summary>
    public static HashedService? ReadService(string? canonical)
    {
        try
        {
            return canonical is null ? null : JsonSerializer.Deserialize(canonical, StateJson.Default.HashedService);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The names of what differs between two canonical specifications, for a person: <c>image, environment.LEVEL</c>.</summary>
    public static string Difference(string? before, string after)
    {
        try
        {
            if (before is null || JsonNode.Parse(before) is not JsonObject a || JsonNode.Parse(after) is not JsonObject b) return "specification";
            var names = new List<string>();
            Compare("", a, b, names);
            return names.Count == 0 ? "nothing" : string.Join(", ", names.Take(6)) + (names.Count > 6 ? $" and {names.Count - 6} more" : "");
        }
        catch (JsonException)
        {
            return "specification";
        }
    }

    private static void Compare(string path, JsonObject a, JsonObject b, List<string> names)
    {
        foreach (var key in a.Select(p => p.Key).Union(b.Select(p => p.Key)))
        {
            var (x, y) = (a[key], b[key]);
            if (JsonNode.DeepEquals(x, y)) continue;
            if (path.Length == 0 && key == "container" && x is JsonObject c && y is JsonObject d) Compare("", c, d, names);
            else if (!path.Contains('.') && x is JsonObject e && y is JsonObject f) Compare(path + key + ".", e, f, names);
            else names.Add(path + key);
        }
    }

    private static string Digest(byte[] canonical) => Convert.ToHexStringLower(SHA256.HashData(canonical))[..16];
}

internal sealed record HashedService(string Image, ContainerSpec Container, bool OwnsPorts);
