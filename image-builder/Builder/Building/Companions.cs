using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Images.Bmap;
using OsBuild.Images.Fat;
using OsBuild.Images.Streams;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The files beside an image, brought up to date after its boot partition was changed in place.</summary>
internal static class Companions
{
    /// <summary>Does what is needed for those of <c>.bmap</c> and <c>.json</c> that are there; an entry of an os_list, which has the digest of the
    /// whole image, is taken away.</summary>
    /// <param name="path">The image.</param>
    /// <param name="offset">First byte of its boot partition.</param>
    /// <param name="size">Size of its boot partition.</param>
    public static void Refresh(string path, long offset, long size)
    {
        File.Delete(path + ".os_list.json");
        if (!File.Exists(path + ".bmap")) return;
        using var image = File.OpenRead(path);
        BlockMap old;
        using (var xml = File.OpenRead(path + ".bmap")) old = BlockMap.ReadXml(xml);
        var map = old with { Ranges = [.. Ranges(image, old, offset, size).OrderBy(r => r.First)] };
        Replace(path + ".bmap", map.WriteXml);
        if (File.Exists(path + ".json")) RefreshDescription(path, map, offset, size);
    }

    // New content lies in clusters that were free before, so the map of the boot partition is made anew: all that FAT uses.
    private static IEnumerable<BlockRange> Ranges(FileStream image, BlockMap old, long offset, long size)
    {
        BlockRange Made(long first, long last) => new(first, last, Digest(image, first * old.BlockSize, Math.Min((last + 1) * old.BlockSize, image.Length)));
        var (first, end) = (offset / old.BlockSize, (offset + size) / old.BlockSize);
        foreach (var range in old.Ranges)
        {
            if (range.Last < first || range.First >= end)
            {
                yield return range;
                continue;
            }

            // What sticks out on either side belongs to others.
            if (range.First < first) yield return Made(range.First, first - 1);
            if (range.Last >= end) yield return Made(end, range.Last);
        }

        yield return Made(first, (offset + End(image, offset, size) - 1) / old.BlockSize);
    }

    // To the end of what is set: the tables, the directories and the files, which lie at the front; a file that was deleted may have left
    // something behind them.
    private static long End(FileStream image, long offset, long size)
    {
        using var volume = new SubStream(image, offset, size);
        var end = new FatReader(volume).Used;
        var buffer = new byte[1 << 20];
        for (volume.Position = end; volume.Position < size;)
        {
            var at = volume.Position;
            var index = buffer.AsSpan(0, volume.Read(buffer)).LastIndexOfAnyExcept((byte)0);
            if (index >= 0) end = at + index + 1;
        }

        return end;
    }

    private static void RefreshDescription(string path, BlockMap map, long offset, long size)
    {
        if (JsonNode.Parse(File.ReadAllText(path + ".json")) is not JsonObject json) return;
        json["mapped"] = map.MappedBytes;
        json["bmapSha256"] = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path + ".bmap")));
        if (json["partitions"] is JsonArray partitions && partitions.FirstOrDefault(p => (long?)p?["offset"] == offset) is JsonObject boot)
            boot["contentSha256"] = ImageDescription.ContentDigest(map, offset, size);
        Replace(path + ".json", to =>
        {
            using var writer = new Utf8JsonWriter(to, Planning.ImageRecord.Indented);
            json.WriteTo(writer);
            writer.Flush();
            to.WriteByte((byte)'\n');
        });
    }

    private static string Digest(FileStream image, long from, long to)
    {
        using var part = new SubStream(image, from, to - from);
        return Convert.ToHexStringLower(SHA256.HashData(part));
    }

    private static void Replace(string path, Action<Stream> write)
    {
        using (var file = new FileStream(path + ".tmp", FileMode.Create)) write(file);
        File.Move(path + ".tmp", path, overwrite: true);
    }
}
