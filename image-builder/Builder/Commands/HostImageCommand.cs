using System.Text.RegularExpressions;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder host-image</c>: the system of an image as a container image, with which devices update themselves.</summary>
internal static partial class HostImageCommand
{
    private const int LongestName = 255;

    public static int Run(string path, string tag, string? output, Reporter reporter, CancellationToken cancel)
    {
        if (!IsTag(tag)) throw new RefusedException($"--tag {tag} is no name of a container image; give NAME:TAG, such as registry.example.com/host:12, the name in lower-case letters.");
        using var image = OpenImage.Open(path);
        var target = Target(path, output);
        var (folder, name) = (Path.GetDirectoryName(target)!, Path.GetFileName(target));
        var slot = HostSlot.Of(image, path);
        var problems = new Problems();
        Outputs.Check(folder, HostArchive.SizeOf(slot), problems);
        problems.ThrowIfAny();

        using var outputs = new Outputs(folder);
        string id;
        using (var file = outputs.Create(name)) id = new HostArchive(slot, tag, reporter.Progress(), cancel).WriteTo(file);
        outputs.Commit();
        if (reporter.Json) reporter.Line(w =>
        {
            w.WriteString("file", target);
            w.WriteString("tag", tag);
            w.WriteString("id", id);
            w.WriteString("board", slot.Record.Board);
            w.WriteString("version", slot.Record.Version);
            w.WriteNumber("root", slot.Root.Length);
        });
        return reporter.Done($"{output ?? target}: {tag}, board {slot.Record.Board}, version {slot.Record.Version}, a root of {new ByteSize(slot.Root.Length)} ({slot.RootFormat}); `docker load -i` takes it");
    }

    /// <summary>The file to make: beside the image unless said.</summary>
    private static string Target(string image, string? output)
    {
        if (output is null)
        {
            if (Path.GetFullPath(image).StartsWith("/dev/", StringComparison.Ordinal)) throw new RefusedException($"{image} is a disk, and no file is made beside it; say with --output where to.");
            return Path.ChangeExtension(Path.GetFullPath(image), ".host.tar");
        }

        if (Directory.Exists(output) || Path.EndsInDirectorySeparator(output)) throw new RefusedException($"--output {output} is a folder; give the name of a file.");
        if (Path.GetFullPath(output) == Path.GetFullPath(image)) throw new RefusedException($"--output {output} is the image itself; give the name of another file.");
        return Path.GetFullPath(output);
    }

    /// <summary>Whether a word is a name with a tag (github.com/distribution/reference, "Grammar").</summary>
    internal static bool IsTag(string word) => word.Length - word.LastIndexOf(':') <= 129 && word.LastIndexOf(':') <= LongestName && Tagged().IsMatch(word);

    [GeneratedRegex(@"\A(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*:[A-Za-z0-9_][A-Za-z0-9_.-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Tagged();
}
