using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Engine;

/// <summary>Which images lie on the device as <c>docker save</c> archives. Reads only the small manifest of each, and each file only once.</summary>
internal sealed class ArchiveIndex(params string[] directories)
{
    private const int MaxManifest = 4 << 20;
    private readonly Dictionary<string, (long Length, DateTime Written, List<string> References)> known = [];

    /// <summary>Archives that cannot be read, with the reason.</summary>
    public SortedDictionary<string, string> Broken { get; } = [];

    /// <summary>Full reference to archive file.</summary>
    public SortedDictionary<string, string> Read()
    {
        var index = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var directory in directories)
        {
            foreach (var file in Files(directory))
            {
                foreach (var reference in References(file)) index.TryAdd(reference, file.FullName);
            }
        }

        return index;
    }

    private static IEnumerable<FileInfo> Files(string directory)
    {
        try
        {
            var folder = new DirectoryInfo(directory);
            return !folder.Exists ? [] : [.. folder.EnumerateFiles().Where(f => f.Name.EndsWith(".tar", StringComparison.OrdinalIgnoreCase) || f.Name.EndsWith(".tar.gz", StringComparison.OrdinalIgnoreCase) || f.Name.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase)).OrderBy(f => f.Name, StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private List<string> References(FileInfo file)
    {
        try
        {
            if (known.TryGetValue(file.FullName, out var before) && before.Length == file.Length && before.Written == file.LastWriteTimeUtc) return before.References;
            Broken.Remove(file.FullName);
            var references = ReadManifest(file);
            known[file.FullName] = (file.Length, file.LastWriteTimeUtc, references);
            return references;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or JsonException or FormatException or InvalidOperationException)
        {
            Broken[file.FullName] = e.Message;
            known[file.FullName] = (file.Length, file.LastWriteTimeUtc, []);
            return [];
        }
    }

    private static List<string> ReadManifest(FileInfo file)
    {
        using var raw = file.OpenRead();
        using Stream stream = file.Name.EndsWith("gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(raw, CompressionMode.Decompress) : raw;
        using var tar = new TarReader(stream);
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.Name.TrimStart('.', '/') != "manifest.json" || entry.DataStream is null) continue;
            if (entry.Length > MaxManifest) throw new InvalidDataException("its manifest.json is too large");
            using var json = JsonDocument.Parse(entry.DataStream);
            return [.. json.RootElement.EnumerateArray().SelectMany(image => image.TryGetProperty("RepoTags", out var tags) && tags.ValueKind == JsonValueKind.Array
                ? tags.EnumerateArray().Select(t => ImageReference.Normalize(t.GetString() ?? "")) : []).Where(r => r.Length > 0)];
        }

        throw new InvalidDataException("it has no manifest.json; make it with 'docker save'");
    }
}
