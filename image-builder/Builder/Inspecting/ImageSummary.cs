using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>What an image says of itself (<c>image.json</c> on its boot partition), and what stands in its partitions.</summary>
internal static class ImageSummary
{
    /// <summary>A field of the record the builder left on the boot partition; null when there is none.</summary>
    public static string? Field(OpenImage image, string field)
    {
        foreach (var fileSystem in image.Partitions.Select(p => p.FileSystem).OfType<IFileSystem>().Where(f => f.Format.StartsWith("fat", StringComparison.Ordinal)))
        {
            if (Paths.Text(fileSystem, "image.json") is not { } text) continue;
            try
            {
                using var json = JsonDocument.Parse(text);
                return json.RootElement.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>One line on what is in a partition.</summary>
    public static string Inside(ImagePartition partition)
    {
        if (partition.Problem is { } problem) return problem;
        if (partition.FileSystem is not { } fileSystem) return partition.LooksEmpty ? "empty" : "unknown content";
        var parts = new List<string>();
        if (Paths.Text(fileSystem, "etc/os-release") is { } release)
            parts.Add(release.Split('\n').FirstOrDefault(l => l.StartsWith("PRETTY_NAME=", StringComparison.Ordinal))?[12..].Trim('"') ?? "a root file system");
        if (Paths.Follow(fileSystem, "usr/lib/osbuild/supervisor") is { } supervisor) parts.Add($"supervisor {new ByteSize(supervisor.Size)}");
        foreach (var slot in new[] { "slot-a", "slot-b" })
            if (fileSystem.Find(slot) is { Kind: NodeKind.Directory }) parts.Add($"{slot}: {string.Join(", ", fileSystem.List(slot).Select(n => n.Name))}");
        if (fileSystem.Find("apps") is { Kind: NodeKind.Directory } && fileSystem.List("apps").Count() is var apps and > 0) parts.Add($"{apps} container archive{(apps == 1 ? "" : "s")}");
        foreach (var file in new[] { "config.yaml", "compose.yaml" })
            if (fileSystem.Find(file) is not null) parts.Add(file);
        return parts.Count > 0 ? string.Join("; ", parts) : fileSystem.List("").Any(n => n.Name != "lost+found") ? "files" : "no files yet";
    }

    /// <summary>The table of <c>inspect</c>.</summary>
    public static string Describe(OpenImage image)
    {
        var text = new StringBuilder();
        var board = Field(image, "board");
        text.Append(board is null
            ? $"{image.Table.Kind} disk of {new ByteSize(image.Disk.Length)}\n\n"
            : $"{board}: {Field(image, "image")} {Field(image, "version")}, {image.Table.Kind} disk of {new ByteSize(image.Disk.Length)}, build {Field(image, "build")?[..12]}\n\n");
        PlanText.Table(text, ["#", "partition", "offset", "size", "fs", "label", "used", "inside"], [.. image.Partitions.Select(p => new[]
        {
            p.Entry.Number.ToString(), p.Entry.Name, p.Entry.Offset.ToString(), new ByteSize(p.Entry.Size).ToString(),
            p.FileSystem?.Format ?? "-", p.FileSystem?.Label ?? "", p.FileSystem is { } fs ? new ByteSize(fs.Used).ToString() : "", Inside(p),
        })]);
        return text.ToString();
    }
}
