using System.Text.Json;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Bmap;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Writes <c>NAME.img.json</c>: what the image is, for programs.</summary>
internal static class ImageDescription
{
    public static void Write(Stream target, ImagePlan plan, string sha256, IReadOnlyList<string> partitions, BlockMap map)
    {
        using var json = new Utf8JsonWriter(target, ImageRecord.Indented);
        json.WriteStartObject();
        json.WriteString("board", plan.Board.Name);
        json.WriteString("title", plan.Board.Title);
        json.WriteString("machine", plan.Machine);
        json.WriteString("image", plan.Image);
        json.WriteString("version", plan.Version);
        json.WriteString("kernel", plan.KernelVersion);
        json.WriteString("build", plan.Identity.BuildId);
        json.WriteNumber("time", plan.Time);
        json.WriteString("file", plan.FileName);
        json.WriteNumber("size", plan.Disk.Size);
        json.WriteNumber("mapped", map.Ranges.Sum(r => (r.Last - r.First + 1) * map.BlockSize));
        json.WriteString("sha256", sha256);
        json.WriteString("commandLine", plan.CommandLine);
        json.WriteStartArray("partitions");
        foreach (var (partition, digest) in plan.Disk.Partitions.Zip(partitions))
        {
            var fileSystem = plan.FileSystems.FirstOrDefault(f => f.Partition == partition);
            json.WriteStartObject();
            json.WriteNumber("number", partition.Number);
            json.WriteString("name", partition.Spec.Name);
            json.WriteString("partuuid", BootText.PartUuid(plan.Disk, partition));
            json.WriteNumber("offset", partition.Offset);
            json.WriteNumber("size", partition.Size);
            if (fileSystem is not null)
            {
                json.WriteString("fs", fileSystem.Kind == Boards.FileSystemKind.Vfat ? "fat32" : "ext4");
                json.WriteString("label", fileSystem.Label);
                json.WriteString("sha256", digest);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        target.WriteByte((byte)'\n');
    }
}
