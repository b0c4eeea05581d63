using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Sources;

/// <summary>What the flasher wants to know of the <c>.img.json</c> that the builder leaves beside an image.</summary>
internal sealed record ImageDescription
{
    /// <summary>The file it was read from.</summary>
    [JsonIgnore]
    public string Name { get; init; } = "";

    public string? Board { get; init; }

    /// <summary>Size of the decoded image in bytes.</summary>
    public long? Size { get; init; }

    /// <summary>SHA-256 of the decoded image.</summary>
    public string? Sha256 { get; init; }

    /// <summary>SHA-256 of the file of its block map, which has a digest of every block that matters: it stands for the whole image.</summary>
    public string? BmapSha256 { get; init; }

    public static ImageDescription? Beside(string image)
    {
        var name = Sidecars.Names(image, ".json").FirstOrDefault(n => n.EndsWith(".img.json", StringComparison.Ordinal) && File.Exists(n));
        if (name is null) return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(name), DescriptionJson.Default.ImageDescription) is { } read ? read with { Name = name } : null;
        }
        catch (JsonException e)
        {
            throw new RefusedException($"{name} cannot be read as JSON ({e.Message.TrimEnd('.')}); nothing was written. Remove it or build the image again.");
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, AllowTrailingCommas = true, ReadCommentHandling = JsonCommentHandling.Skip)]
[JsonSerializable(typeof(ImageDescription))]
internal sealed partial class DescriptionJson : JsonSerializerContext;
