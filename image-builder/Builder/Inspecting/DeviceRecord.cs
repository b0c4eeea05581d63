using System.Text.Json;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>What an image tells the device of itself: <c>image.json</c> on its boot partition, as Planning/ImageRecord.cs writes it.</summary>
internal sealed record DeviceRecord
{
    public required string Board { get; init; }
    public required string Machine { get; init; }
    public required string Image { get; init; }
    public required string Version { get; init; }
    public required string Build { get; init; }

    /// <summary>Seconds since 1970.</summary>
    public required long Time { get; init; }
    public required string Builder { get; init; }
    public required string Kernel { get; init; }

    /// <summary>Name and PARTUUID of root-a.</summary>
    public required (string Name, string PartUuid) RootA { get; init; }

    /// <summary>Name of root-b; null when there is none.</summary>
    public string? RootB { get; init; }

    /// <summary>How the loader chooses between the slots; null when the image was made before it was told.</summary>
    public string? Scheme { get; init; }

    /// <summary>The record; null when it is no such record.</summary>
    public static DeviceRecord? Read(string text)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            var root = json.RootElement;
            string Word(JsonElement of, string field) => of.GetProperty(field).GetString() ?? throw new KeyNotFoundException(field);
            var slots = root.GetProperty("slots");
            var a = slots.GetProperty("a");
            return new()
            {
                Board = Word(root, "board"),
                Machine = Word(root, "machine"),
                Image = Word(root, "image"),
                Version = Word(root, "version"),
                Build = Word(root, "build"),
                Time = root.GetProperty("time").GetInt64(),
                Builder = Word(root, "builder"),
                Kernel = Word(a, "kernel"),
                RootA = (Word(a, "partition"), Word(a, "partuuid")),
                RootB = slots.TryGetProperty("b", out var b) ? Word(b, "partition") : null,
                Scheme = root.TryGetProperty("boot", out var boot) ? Word(boot, "scheme") : null,
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    /// <summary>The file system that has a record, and the record; null when none has.</summary>
    public static (IFileSystem Boot, DeviceRecord Record)? Find(OpenImage image)
    {
        foreach (var fileSystem in image.Partitions.Select(p => p.FileSystem).OfType<IFileSystem>().Where(f => f.Format.StartsWith("fat", StringComparison.Ordinal)))
            if (Paths.Text(fileSystem, "image.json") is { } text && Read(text) is { } record) return (fileSystem, record);
        return null;
    }
}
