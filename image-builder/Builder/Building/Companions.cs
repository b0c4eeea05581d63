using System.Security.Cryptography;
using System.Text.Json.Nodes;
using OsBuild.Images.Bmap;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The files beside an image, brought up to date after its boot partition was changed in place.</summary>
internal static class Companions
{
    /// <summary>Does what is needed for those of <c>.bmap</c> and <c>.json</c> that are there.</summary>
    public static void Refresh(string path)
    {
        using var image = File.OpenRead(path);
        if (File.Exists(path + ".bmap")) RefreshMap(path, image);
        if (File.Exists(path + ".json")) RefreshDescription(path, image);
    }

    // New content lies in clusters that were free before, so the map of the boot partition is made anew: all that FAT uses.
    private static void RefreshMap(string path, FileStream image)
    {
        BlockMap old;
        using (var xml = File.OpenRead(path + ".bmap")) old = BlockMap.ReadXml(xml);
        var boot = Boot(image);
        var size = old.BlockSize;
        var (first, last) = (boot.Offset / size, (boot.Offset + boot.Size - 1) / size);
        var used = BlocksInUse(image, boot, size);
        var ranges = old.Ranges.Where(r => r.Last < first || r.First > last).ToList();
        ranges.AddRange(used.Select(r => new BlockRange(r.First, r.Last, Digest(image, r.First * size, (r.Last - r.First + 1) * (long)size))));
        ranges.Sort((a, b) => a.First.CompareTo(b.First));
        Replace(path + ".bmap", (old with { Ranges = ranges }).WriteXml);
    }

    // From the first block to the end of what is set: the tables, the directories and the files, which lie at the front.
    private static List<(long First, long Last)> BlocksInUse(FileStream image, PartitionEntry boot, int size)
    {
        using var volume = new SubStream(image, boot.Offset, boot.Size);
        var end = new FatReader(volume).Used;
        var buffer = new byte[1 << 20];
        long lastSet = 0;
        for (volume.Position = end; volume.Position < boot.Size;)
        {
            var at = volume.Position;
            var got = volume.Read(buffer);
            var index = buffer.AsSpan(0, got).LastIndexOfAnyExcept((byte)0);
            if (index >= 0) lastSet = at + index + 1;
        }

        return [(boot.Offset / size, (boot.Offset + Math.Max(end, lastSet) - 1) / size)];
    }

    private static void RefreshDescription(string path, FileStream image)
    {
        if (JsonNode.Parse(File.ReadAllText(path + ".json")) is not JsonObject json) return;
        image.Position = 0;
        json["sha256"] = Convert.ToHexStringLower(SHA256.HashData(image));
        var boot = Boot(image);
        foreach (var partition in json["partitions"]?.AsArray() ?? [])
            if (partition?["name"]?.GetValue<string>() == boot.Name) partition["sha256"] = Digest(image, boot.Offset, boot.Size);
        Replace(path + ".json", to =>
        {
            using var writer = new System.Text.Json.Utf8JsonWriter(to, Planning.ImageRecord.Indented);
            json.WriteTo(writer);
            writer.Flush();
            to.WriteByte((byte)'\n');
        });
    }

    private static PartitionEntry Boot(FileStream image) => PartitionTable.Read(image)!.Partitions.First(p => p.Name is "boot" or "");

    private static string Digest(FileStream image, long offset, long length)
    {
        using var part = new SubStream(image, offset, Math.Min(length, image.Length - offset));
        return Convert.ToHexStringLower(SHA256.HashData(part));
    }

    private static void Replace(string path, Action<Stream> write)
    {
        using (var file = new FileStream(path + ".tmp", FileMode.Create)) write(file);
        File.Move(path + ".tmp", path, overwrite: true);
    }
}
