using System.Text.Json;
using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.Bundles;

/// <summary>What a bundle is: <c>bundle.json</c>, the one part of it that is signed. A bundle is a tar that begins with it, then has its signature
/// (<c>bundle.sig</c>), then the files it names, in its order.</summary>
/// <param name="App">The app, for messages.</param>
/// <param name="Sequence">Grows with every bundle of an app: a lower one than that which ran is refused.</param>
/// <param name="ValidUntil">After that time it is refused; null for ever.</param>
/// <param name="For">Host names, machine ids or board names of the devices it is for; null for all.</param>
/// <param name="Files">The compose file with what it needs (<see cref="Compose"/>), and the image archives.</param>
internal sealed record BundleManifest(string App, long Sequence, DateTimeOffset? ValidUntil, List<string>? For, List<BundleFile> Files)
{
    public const string Name = "bundle.json";
    public const string Signature = "bundle.sig";

    /// <summary>The file that holds a <see cref="State.Handover"/>.</summary>
    public const string Compose = "compose.json";

    /// <exception cref="JsonException">The bytes are no manifest.</exception>
    public static BundleManifest Parse(ReadOnlySpan<byte> json) => JsonSerializer.Deserialize(json, BundleJson.Default.BundleManifest) is { App: not null, Files: { } files } manifest
        && files.TrueForAll(f => f is { Name.Length: > 0, Sha256.Length: 64, Size: >= 0 } && Path.GetFileName(f.Name) == f.Name && f.Name is not ("." or ".." or Name or Signature))
        && files.Select(f => f.Name).Distinct().Count() == files.Count ? manifest : throw new JsonException("it is no manifest of a bundle");

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, BundleJson.Default.BundleManifest);
}

/// <summary>A file of a bundle: its name without folders, its bytes and their digest (64 hexadecimal digits).</summary>
internal sealed record BundleFile(string Name, long Size, string Sha256);

/// <summary>The last bundle this device took, by its number and the digest of its manifest.</summary>
internal sealed record BundleMark(string App, long Sequence, string Digest);

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BundleManifest))]
[JsonSerializable(typeof(BundleMark))]
internal sealed partial class BundleJson : JsonSerializerContext;
