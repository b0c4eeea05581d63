using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Commands;

/// <summary>The commands that look into an image: inspect, ls, cat, extract, check, diff.</summary>
internal static class ImageCommands
{
    public static int Inspect(string path, Reporter reporter)
    {
        using var image = OpenImage.Open(path);
        if (!reporter.Json)
        {
            reporter.Output.Write(ImageSummary.Describe(image));
            return 0;
        }

        reporter.Line(w =>
        {
            w.WriteString("board", ImageSummary.Field(image, "board"));
            w.WriteString("image", ImageSummary.Field(image, "image"));
            w.WriteString("version", ImageSummary.Field(image, "version"));
            w.WriteString("build", ImageSummary.Field(image, "build"));
            w.WriteNumber("size", image.Disk.Length);
            w.WriteString("table", image.Table.Kind.ToString().ToLowerInvariant());
            w.WriteStartArray("partitions");
            foreach (var p in image.Partitions)
            {
                w.WriteStartObject();
                w.WriteNumber("number", p.Entry.Number);
                w.WriteString("name", p.Entry.Name);
                w.WriteString("type", p.Entry.Type);
                w.WriteString("id", p.Entry.Id);
                w.WriteNumber("offset", p.Entry.Offset);
                w.WriteNumber("size", p.Entry.Size);
                w.WriteString("fs", p.FileSystem?.Format);
                w.WriteString("label", p.FileSystem?.Label);
                if (p.FileSystem is { } fs) w.WriteNumber("used", fs.Used);
                else w.WriteNull("used");
                w.WriteString("inside", ImageSummary.Inside(p));
                w.WriteEndObject();
            }

            w.WriteEndArray();
        });
        return 0;
    }

    public static int List(string path, string partition, string directory, Reporter reporter)
    {
        using var image = OpenImage.Open(path);
        var fileSystem = image.FileSystem(partition);
        var node = Existing(fileSystem, partition, directory);
        IEnumerable<Node> nodes = node.Kind == NodeKind.Directory ? fileSystem.List(node.Path) : [node];
        if (reporter.Json)
        {
            foreach (var n in nodes) reporter.Line(w =>
            {
                w.WriteString("name", n.Name);
                w.WriteString("kind", n.Kind.ToString().ToLowerInvariant());
                w.WriteNumber("mode", n.Mode);
                w.WriteNumber("uid", n.Uid);
                w.WriteNumber("gid", n.Gid);
                w.WriteNumber("size", n.Size);
                w.WriteNumber("modifiedAt", n.ModifiedAt);
                if (n.LinkTarget is { } target) w.WriteString("target", target);
            });
            return 0;
        }

        var text = new System.Text.StringBuilder();
        PlanText.Table(text, null, [.. nodes.Select(n => new[]
        {
            Paths.Mode(n), $"{n.Uid}:{n.Gid}", n.Kind is NodeKind.CharDevice or NodeKind.BlockDevice ? $"{n.Major}, {n.Minor}" : n.Size.ToString(),
            DateTimeOffset.FromUnixTimeSeconds(n.ModifiedAt).ToString("yyyy-MM-dd HH:mm"), n.Kind == NodeKind.Symlink ? $"{n.Name} -> {n.LinkTarget}" : n.Name,
        })]);
        reporter.Output.Write(text);
        return 0;
    }

    public static int Cat(string path, string partition, string file, Stream output)
    {
        using var image = OpenImage.Open(path);
        var fileSystem = image.FileSystem(partition);
        var node = Existing(fileSystem, partition, file);
        if (node.Kind != NodeKind.File) throw new RefusedException($"{file} in partition {partition} is not a file; list it with ls.");
        using var content = fileSystem.Open(node.Path);
        content.CopyTo(output);
        output.Flush();
        return 0;
    }

    /// <summary>Copies a file or a tree out of an image. Owners and devices stay behind: they need root, and an image keeps them better.</summary>
    public static int Extract(string path, string partition, string from, string to, Reporter reporter, CancellationToken cancel)
    {
        using var image = OpenImage.Open(path);
        var fileSystem = image.FileSystem(partition);
        var node = Existing(fileSystem, partition, from);
        var name = node.Path.Length == 0 ? partition : node.Name;
        var target = Path.Combine(to, name);
        if (File.Exists(to)) throw new RefusedException($"--output {to} is a file; give a folder.");
        if (File.Exists(target) || Directory.Exists(target)) throw new RefusedException($"{target} is there already; give another folder with --output.");
        Directory.CreateDirectory(to);
        long files = 0, bytes = 0, left = 0;
        void Copy(Node n, string place)
        {
            cancel.ThrowIfCancellationRequested();
            if (n.Kind == NodeKind.Directory) Directory.CreateDirectory(place);
            else if (n.Kind == NodeKind.Symlink) File.CreateSymbolicLink(place, n.LinkTarget!);
            else if (n.Kind is NodeKind.File or NodeKind.HardLink)
            {
                using var content = fileSystem.Open(n.Path);
                using (var file = new FileStream(place, FileMode.CreateNew)) content.CopyTo(file);
                if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(place, (UnixFileMode)(n.Mode & 0x1FF));
                files++;
                bytes += n.Size;
            }
            else left++;
        }

        Copy(node, target);
        if (node.Kind == NodeKind.Directory)
        {
            // A name out of an image may try to leave the folder it is put into.
            foreach (var n in Paths.Walk(fileSystem, node.Path))
            {
                var relative = node.Path.Length == 0 ? n.Path : n.Path[(node.Path.Length + 1)..];
                if (relative.Split('/').Any(p => p is ".." or "" or ".")) throw new ImageException(ImageErrorKind.Corrupt, $"{n.Path} would leave the folder it is put into; the image is corrupt.");
                Copy(n, Path.Combine(target, relative));
            }
        }

        return reporter.Done($"{target}: {files} file{(files == 1 ? "" : "s")}, {new ByteSize(bytes)}{(left > 0 ? $"; {left} devices, pipes and sockets were left out" : "")}");
    }

    /// <summary>Exit code 0 when nothing is wrong, else 1.</summary>
    public static int Check(string path, Reporter reporter)
    {
        using var image = OpenImage.Open(path);
        var findings = 0;
        foreach (var partition in image.Partitions)
        {
            var name = partition.Entry.Name.Length > 0 ? partition.Entry.Name : partition.Entry.Number.ToString();
            IEnumerable<string> found = partition.Problem is { } problem ? [problem] : partition.FileSystem?.Check() ?? [];
            foreach (var finding in found)
            {
                findings++;
                if (reporter.Json) reporter.Line(w =>
                {
                    w.WriteString("partition", name);
                    w.WriteString("finding", finding);
                });
                else reporter.Output.WriteLine($"{name}: {finding}");
            }
        }

        if (findings == 0) return reporter.Done($"{path}: {image.Partitions.Count} partitions, nothing wrong");
        reporter.Problem($"{path}: {findings} finding{(findings == 1 ? "" : "s")}; build the image again, or run the file system's own fsck on a copy.");
        return 1;
    }

    /// <summary>Exit code 0 when the images hold the same, else 1.</summary>
    public static int Diff(string first, string second, Reporter reporter)
    {
        using var a = OpenImage.Open(first);
        using var b = OpenImage.Open(second);
        var differences = 0;
        foreach (var line in ImageDiff.Between(a, b))
        {
            differences++;
            if (reporter.Json) reporter.Line(w => w.WriteString("difference", line));
            else reporter.Output.WriteLine(line);
        }

        return differences > 0 ? 1 : reporter.Done("The images hold the same.");
    }

    private static Node Existing(IFileSystem fileSystem, string partition, string path)
    {
        if (Paths.Plain(path).Length == 0) return fileSystem.Find("") ?? new Node { Path = "", Kind = NodeKind.Directory };
        if (Paths.Follow(fileSystem, path) is { } node) return node;
        var folder = Paths.Plain(path);
        folder = folder.LastIndexOf('/') is var slash and > 0 ? folder[..slash] : "";
        var siblings = Paths.Follow(fileSystem, folder) is { Kind: NodeKind.Directory } parent ? fileSystem.List(parent.Path).Select(n => n.Name) : fileSystem.List("").Select(n => n.Name);
        throw new RefusedException($"There is no {path} in partition {partition}{Inputs.Nearest.Hint(path[(path.LastIndexOf('/') + 1)..], siblings)}.");
    }
}
