using System.Text.Json;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Compression;
using OsBuild.Images.Trees;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads the files a user adds to a deploy directory.</summary>
internal static class UserFileReader
{
    // FAT32: the size field of a directory entry has 32 bits.
    private const long MaxFatFile = uint.MaxValue;

    // Of manifest.json in an archive of docker save.
    private const string ConfigKey = "Config";

    /// <summary>Looks at the files; what is wrong with them goes to the problems.</summary>
    /// <param name="supervisor">The supervisor binary; null when there is none, which was told elsewhere.</param>
    /// <param name="compose">A compose file, or null.</param>
    /// <param name="config">A config.yaml, or null.</param>
    /// <param name="load">Archives that <c>docker save</c> wrote.</param>
    /// <param name="code">The board's processor (<see cref="MachineCode"/>).</param>
    /// <param name="problems">Where problems go.</param>
    public static UserFiles Read(string? supervisor, string? compose, string? config, IReadOnlyList<string> load, string code, Problems problems)
    {
        var program = supervisor is null ? null : InputFile.Named(supervisor, "--supervisor", problems);
        if (program is not null && !HeaderChecks.ElfProgram(program, code, problems)) program = null;
        var composeFile = compose is null ? null : InputFile.Named(compose, "--compose", problems);
        if (composeFile is not null && Yaml(composeFile, problems) is { } root && !root.Children.ContainsKey(new YamlScalarNode("services")))
            problems.Add($"{composeFile.Name} has no services; write each container under a services: key.");
        var configFile = config is null ? null : InputFile.Named(config, "--config", problems);
        if (configFile is not null) Yaml(configFile, problems);

        var apps = new List<PlacedFile>();
        foreach (var path in load)
        {
            if (InputFile.Named(path, "--load", problems) is not { } file) continue;
            var name = "apps/" + System.IO.Path.GetFileName(path);
            if (apps.Exists(a => string.Equals(a.Dest, name, StringComparison.OrdinalIgnoreCase)))
                problems.Add($"--load names two archives called {System.IO.Path.GetFileName(path)}; give them different names.");
            else if (file.Size > MaxFatFile)
                problems.Add($"{file.Name} has {new ByteSize(file.Size)}, but a file on the boot partition can have at most 4 GiB; compress it with zstd or split the image.");
            else if (ContainerArchive(file, code, problems))
                apps.Add(new(file, name));
        }

        return new UserFiles { Supervisor = program, Compose = composeFile, Config = configFile, Apps = apps };
    }

    private static YamlMappingNode? Yaml(InputFile file, Problems problems)
    {
        try
        {
            var yaml = new YamlStream();
            using var text = new StreamReader(file.Open());
            yaml.Load(text);
            if (yaml.Documents.Count == 1 && yaml.Documents[0].RootNode is YamlMappingNode map) return map;
            problems.Add($"{file.Name} is not one YAML mapping (key: value lines); see the example in the README.");
        }
        catch (YamlException e)
        {
            problems.Add($"{file.Name} line {e.Start.Line}, column {e.Start.Column} is not YAML ({e.InnerException?.Message ?? e.Message}); mend it first.");
        }

        return null;
    }

    /// <summary>Checks an archive of <c>docker save</c> (with manifest.json) or an OCI layout (index.json), and its images' processor.</summary>
    private static bool ContainerArchive(InputFile file, string code, Problems problems)
    {
        try
        {
            using var raw = file.Open();
            var codec = Codecs.Detect(file.Head(Codecs.HeaderSize));
            using var tar = codec == Codec.None ? raw : Codecs.OpenRead(raw, codec);
            var small = new Dictionary<string, byte[]>(StringComparer.Ordinal);
            foreach (var (node, content) in TarTree.Read(tar))
            {
                if (node.Kind != NodeKind.File || node.Size > 1 << 20) continue;
                var bytes = new byte[node.Size];
                content.ReadExactly(bytes);
                small[node.Path] = bytes;
            }

            if (!small.ContainsKey("manifest.json") && !small.ContainsKey("index.json"))
            {
                problems.Add($"{file.Name} is not a container image archive (no manifest.json in it); make it with docker save.");
                return false;
            }

            foreach (var (name, arch) in Architectures(small))
            {
                if (arch == (code == MachineCode.X8664 ? "amd64" : "arm64")) continue;
                problems.Add($"{file.Name} holds {name} for {arch}, but the board is {code}; build or pull it with --platform linux/{(code == MachineCode.X8664 ? "amd64" : "arm64")}.");
                return false;
            }

            return true;
        }
        catch (Exception e) when (e is ImageException or JsonException or EndOfStreamException)
        {
            problems.Add($"{file.Name} cannot be read as a container image archive ({Problems.Cause(e)}); make it again with docker save.");
            return false;
        }
    }

    private static IEnumerable<(string Name, string Arch)> Architectures(Dictionary<string, byte[]> files)
    {
        if (!files.TryGetValue("manifest.json", out var manifest)) yield break;
        using var json = JsonDocument.Parse(manifest);
        foreach (var image in json.RootElement.EnumerateArray())
        {
            var name = image.TryGetProperty("RepoTags", out var tags) && tags.ValueKind == JsonValueKind.Array && tags.GetArrayLength() > 0 ? tags[0].GetString()! : "an image";
            if (!image.TryGetProperty(ConfigKey, out var config) || !files.TryGetValue(config.GetString()!, out var bytes)) continue;
            using var details = JsonDocument.Parse(bytes);
            if (details.RootElement.TryGetProperty("architecture", out var arch)) yield return (name, arch.GetString()!);
        }
    }
}
