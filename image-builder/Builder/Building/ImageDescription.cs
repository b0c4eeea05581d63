using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Bmap;
using OsBuild.Images.Metadata;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The files beside an image that say what is in it.</summary>
internal static class ImageDescription
{
    /// <summary>Writes <c>NAME.img.json</c>: what the image is, for programs. The digest of the block map stands for the whole image: the map has
    /// a digest of every block that matters. The image is not hashed as one, because most of it is empty slots.</summary>
    /// <param name="target">Takes the JSON.</param>
    /// <param name="inputs">What the image was made of.</param>
    /// <param name="disk">Its layout.</param>
    /// <param name="commandLine">Its kernel command line.</param>
    /// <param name="map">Its block map.</param>
    /// <param name="mapDigest">SHA-256 of the block map's file.</param>
    public static void Write(Stream target, BootInputs inputs, DiskPlan disk, string commandLine, BlockMap map, string mapDigest)
    {
        using var json = new Utf8JsonWriter(target, ImageRecord.Indented);
        json.WriteStartObject();
        json.WriteString("board", inputs.Board.Name);
        json.WriteString("title", inputs.Board.Title);
        json.WriteString("machine", inputs.Deploy.Machine);
        json.WriteString("image", inputs.Deploy.Image);
        json.WriteString("version", inputs.System.Version);
        json.WriteString("kernel", inputs.System.Kernel);
        json.WriteString("build", inputs.Identity.BuildId);
        json.WriteNumber("time", inputs.Time);
        json.WriteString("file", inputs.FileName);
        json.WriteNumber("size", disk.Size);
        json.WriteNumber("mapped", map.MappedBytes);
        json.WriteString("bmapSha256", mapDigest);
        json.WriteString("commandLine", commandLine);
        json.WriteStartArray("partitions");
        foreach (var partition in disk.Partitions)
        {
            var board = inputs.Board.Partition(partition.Spec.Name)!;
            json.WriteStartObject();
            json.WriteNumber("number", partition.Number);
            json.WriteString("name", partition.Spec.Name);
            json.WriteString("partuuid", BootText.PartUuid(disk, partition));
            json.WriteNumber("offset", partition.Offset);
            json.WriteNumber("size", partition.Size);
            if (board.FileSystem != FileSystemKind.None && board.Role != PartitionRole.RootB)
            {
                json.WriteString("fs", board.FileSystem == FileSystemKind.Vfat ? "fat32" : Words.FileSystem.Of(board.FileSystem));
                json.WriteString("label", board.Name);
            }

            if (ContentDigest(map, partition.Offset, partition.Size) is { } digest) json.WriteString("contentSha256", digest);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        target.WriteByte((byte)'\n');
    }

    /// <summary>A digest of what a partition holds, made of the digests of the block map: of one line <c>FIRST LAST SHA256</c> for every range in it,
    /// blocks counted from its own first. Null when it is empty, or a range reaches over its border.</summary>
    public static string? ContentDigest(BlockMap map, long offset, long size)
    {
        var (first, end) = (offset / map.BlockSize, (offset + size) / map.BlockSize);
        var ranges = map.Ranges.Where(r => r.Last >= first && r.First < end).ToList();
        if (ranges.Count == 0 || ranges[0].First < first || ranges[^1].Last >= end) return null;
        var text = string.Concat(ranges.Select(r => $"{r.First - first} {r.Last - first} {r.Sha256}\n"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text)));
    }

    /// <summary>The bill of materials: the packages of the Yocto manifest, the kernel, firmware, and what the builder added.</summary>
    public static byte[] Bill(BootInputs inputs, IReadOnlyList<InputDigest> digests)
    {
        string? Digest(string role) => digests.FirstOrDefault(d => d.Role == role).Sha256;
        var files = inputs.Deploy.Blobs.Select(b => b.File).Concat(inputs.Deploy.Loader is { } loader ? [loader.File] : []).DistinctBy(f => f.Path);
        return CycloneDx.Write(new()
        {
            Image = $"{inputs.Deploy.Image}-{inputs.Deploy.Machine}",
            Version = inputs.System.Version,
            Time = inputs.Time,
            Tool = ("image-builder", inputs.BuilderVersion),
            Parts =
            [
                .. inputs.Deploy.Packages.Select(p => new BomPart { Kind = BomKind.Package, Name = p.Name, Version = p.Version, Architecture = p.Arch }),
                new() { Kind = BomKind.Program, Name = "osbuild-supervisor", Version = inputs.BuilderVersion, Sha256 = Digest("supervisor"), License = "Apache-2.0" },
                new() { Kind = BomKind.Firmware, Name = "linux", Version = inputs.System.Kernel, Sha256 = Digest("file " + inputs.Deploy.Kernel.Name) },
                .. files.Select(f => new BomPart { Kind = BomKind.Firmware, Name = f.Name, Sha256 = Digest("file " + f.Name) }),
                .. inputs.User.Apps.Select(a => new BomPart { Kind = BomKind.Container, Name = a.Dest }),
            ],
        });
    }
}
