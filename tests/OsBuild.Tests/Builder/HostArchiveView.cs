using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace OsBuild.Tests.Builder;

/// <summary>A host image as .NET's own tar reader sees it.</summary>
internal sealed class HostArchiveView
{
    public HostArchiveView(string path)
    {
        foreach (var (name, bytes) in Entries(File.ReadAllBytes(path))) Outer.Add(name, bytes);
        using var manifest = JsonDocument.Parse(Outer["manifest.json"]);
        Manifest = manifest.RootElement.EnumerateArray().Single().Clone();
        Configuration = JsonDocument.Parse(Outer[Manifest.GetProperty("Config").GetString()!]).RootElement;
        LayerBytes = Outer[Manifest.GetProperty("Layers").EnumerateArray().Single().GetString()!];
        Layer = [.. Entries(LayerBytes)];
        Host = JsonDocument.Parse(this["host.json"]).RootElement;
    }

    public Dictionary<string, byte[]> Outer { get; } = [];

    public JsonElement Manifest { get; }

    public JsonElement Configuration { get; }

    public byte[] LayerBytes { get; }

    /// <summary>The entries of the layer in their order; a directory's name ends in /.</summary>
    public IReadOnlyList<(string Name, byte[] Bytes)> Layer { get; }

    public JsonElement Host { get; }

    public byte[] this[string path] => Layer.Single(l => l.Name == path).Bytes;

    public string Text(string path) => Encoding.UTF8.GetString(this[path]);

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static IEnumerable<(string Name, byte[] Bytes)> Entries(byte[] tar)
    {
        using var reader = new TarReader(new MemoryStream(tar));
        while (reader.GetNextEntry(copyData: true) is { } entry)
        {
            Assert.Equal((0, 0, entry.EntryType == TarEntryType.Directory ? 0x1ED : 0x1A4), (entry.Uid, entry.Gid, (int)entry.Mode));
            using var bytes = new MemoryStream();
            entry.DataStream?.CopyTo(bytes);
            yield return (entry.Name, bytes.ToArray());
        }
    }
}
