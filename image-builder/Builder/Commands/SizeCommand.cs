using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inspecting;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder size</c>.</summary>
internal static class SizeCommand
{
    public static int Run(string path, string? picture, int depth, Reporter reporter)
    {
        if (depth < 1) throw new RefusedException($"--depth {depth} is no number of levels; give 1 or more.");
        if (picture is not null && Path.GetDirectoryName(Path.GetFullPath(picture)) is var folder && (Directory.Exists(picture) || !Directory.Exists(folder)))
            throw new RefusedException($"--picture {picture} cannot be made there: {(Directory.Exists(picture) ? "it is a folder" : $"there is no folder {folder}")}; give the name of a file.");
        using var image = OpenImage.Open(path);
        var parts = image.Partitions.Where(p => p.FileSystem is not null)
            .Select(p => SizeReport.Of(p.FileSystem!, p.Entry.Name.Length > 0 ? p.Entry.Name : p.Entry.Number.ToString())).ToList();
        var root = new SizeNode(Path.GetFileName(path), parts.Sum(p => p.Size), [.. parts.OrderByDescending(p => p.Size)]);
        if (reporter.Json) reporter.Line(w =>
        {
            w.WriteNumber("size", root.Size);
            w.WriteStartObject("partitions");
            foreach (var part in parts) w.WriteNumber(part.Name, part.Size);
            w.WriteEndObject();
        });
        else reporter.Output.Write(SizeReport.Describe(root, depth));
        if (picture is null) return 0;
        File.WriteAllText(picture, TreeMap.Svg(root));
        return reporter.Done($"{picture}: drawn");
    }
}
