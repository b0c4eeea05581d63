using OsBuild.ImageBuilder.Inspecting;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder size</c>.</summary>
internal static class SizeCommand
{
    public static int Run(string path, string? picture, int depth, Reporter reporter)
    {
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
