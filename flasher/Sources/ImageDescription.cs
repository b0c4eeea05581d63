using System.Text.Json;
using System.Text.Json.Serialization;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Sources;

/// <summary>What the flasher wants to know of the <c>.img.json</c> that the builder leaves beside an image.</summary>
internal sealed record ImageDescription
{
    public string? Board { get; init; }

    /// <summary>Size of the decoded image in bytes.</summary>
    public long? Size { get; init; }

    /// <summary>SHA-256 of the decoded image.</summary>
    public string? Sha256 { get; init; }

    [JsonIgnore]
    public string? ImageSha256 => Sha256;

    public static ImageDescription? Beside(string image)
    {
        var name = Sidecars.Names(image, ".json").FirstOrDefault(n => n.EndsWith(".img.json", StringComparison.Ordinal) && File.Exists(n));
        if (name is null) return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(name), DescriptionJson.Default.ImageDescription);
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
