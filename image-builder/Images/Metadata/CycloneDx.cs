using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OsBuild.Images.Metadata;

/// <summary>Writes a bill of materials as CycloneDX 1.6 JSON (ECMA-424).</summary>
public static class CycloneDx
{
    /// <summary>The document as UTF-8, indented, with a newline at its end.</summary>
    public static byte[] Write(BillOfMaterials bill)
    {
        var parts = bill.Parts
            .DistinctBy(Reference)
            .OrderBy(p => p.Kind).ThenBy(p => p.Name, StringComparer.Ordinal).ThenBy(Reference, StringComparer.Ordinal)
            .ToList();
        var root = new CdxComponent
        {
            Type = "firmware",
            BomRef = "image",
            Name = bill.Image,
            Version = bill.Version,
            Hashes = Hashes(bill.Sha256),
        };
        var document = new CdxDocument
        {
            Metadata = new CdxMetadata
            {
                Timestamp = DateTimeOffset.FromUnixTimeSeconds(bill.Time).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
                Tools = new CdxTools { Components = [new CdxComponent { Type = "application", Name = bill.Tool.Name, Version = bill.Tool.Version }] },
                Component = root,
            },
            Components = [.. parts.Select(Component)],
            Dependencies = [new CdxDependency { Ref = "image", DependsOn = [.. parts.Select(Reference)] }],
        };
        // The number is drawn from the content: the same image has the same one.
        var digest = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(document, CdxJson.Default.CdxDocument));
        digest[6] = (byte)(digest[6] & 0x0F | 0x80);
        digest[8] = (byte)(digest[8] & 0x3F | 0x80);
        document = document with { SerialNumber = $"urn:uuid:{new Guid(digest.AsSpan(0, 16), bigEndian: true)}" };
        return [.. JsonSerializer.SerializeToUtf8Bytes(document, CdxJson.Default.CdxDocument), (byte)'\n'];
    }

    private static string Reference(BomPart part) =>
        string.Join('/', new[] { part.Kind.ToString().ToLowerInvariant(), part.Name, part.Version, part.Architecture, part.Sha256 }.Where(p => p is not null));

    private static CdxComponent Component(BomPart part) => new()
    {
        Type = part.Kind switch
        {
            BomKind.Package => "library",
            BomKind.Program => "application",
            BomKind.Firmware => "firmware",
            BomKind.Container => "container",
            _ => "file",
        },
        BomRef = Reference(part),
        Name = part.Name,
        Version = part.Version,
        Hashes = Hashes(part.Sha256),
        Licenses = part.License is { } license ? [new CdxLicense { Expression = license }] : null,
        Purl = part.Kind == BomKind.Package ? PackageUrl(part) : null,
        Properties = part.Architecture is { } architecture ? [new CdxProperty { Name = "osbuild:architecture", Value = architecture }] : null,
    };

    /// <summary>Packages of bitbake have no registry: the generic type of the package-url specification.</summary>
    private static string PackageUrl(BomPart part) =>
        $"pkg:generic/{Uri.EscapeDataString(part.Name)}"
        + (part.Version is { } version ? $"@{Uri.EscapeDataString(version)}" : "")
        + (part.Architecture is { } architecture ? $"?arch={Uri.EscapeDataString(architecture)}" : "");

    private static CdxHash[]? Hashes(string? sha256) => sha256 is null ? null : [new CdxHash { Alg = "SHA-256", Content = sha256.ToLowerInvariant() }];
}

internal sealed record CdxDocument
{
    [JsonPropertyName("$schema")]
    public string Schema { get; } = "http://cyclonedx.org/schema/bom-1.6.schema.json";

    public string BomFormat { get; } = "CycloneDX";

    public string SpecVersion { get; } = "1.6";

    public string? SerialNumber { get; init; }

    public int Version { get; } = 1;

    public required CdxMetadata Metadata { get; init; }

    public required CdxComponent[] Components { get; init; }

    public required CdxDependency[] Dependencies { get; init; }
}

internal sealed record CdxMetadata
{
    public required string Timestamp { get; init; }

    public required CdxTools Tools { get; init; }

    public required CdxComponent Component { get; init; }
}

internal sealed record CdxTools
{
    public required CdxComponent[] Components { get; init; }
}

internal sealed record CdxComponent
{
    public required string Type { get; init; }

    [JsonPropertyName("bom-ref")]
    public string? BomRef { get; init; }

    public required string Name { get; init; }

    public string? Version { get; init; }

    public CdxHash[]? Hashes { get; init; }

    public CdxLicense[]? Licenses { get; init; }

    public string? Purl { get; init; }

    public CdxProperty[]? Properties { get; init; }
}

internal sealed record CdxHash
{
    public required string Alg { get; init; }

    public required string Content { get; init; }
}

internal sealed record CdxLicense
{
    public required string Expression { get; init; }
}

internal sealed record CdxProperty
{
    public required string Name { get; init; }

    public required string Value { get; init; }
}

internal sealed record CdxDependency
{
    public required string Ref { get; init; }

    public required string[] DependsOn { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true,
    NewLine = "\n")]
[JsonSerializable(typeof(CdxDocument))]
internal sealed partial class CdxJson : JsonSerializerContext;
