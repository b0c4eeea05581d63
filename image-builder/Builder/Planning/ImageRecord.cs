using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The records that describe an image: <c>image.json</c> on its boot partition, for the device itself.</summary>
internal static class ImageRecord
{
    internal static readonly JsonWriterOptions Indented = new() { Indented = true, NewLine = "\n" };

    /// <summary>What the device knows of its image: what it was made of, where its slots are, and how its loader chooses between them (<c>store</c>: the file
    /// of the boot partition in which the loader keeps slot, upgrade_available and bootcount; absent when it is no file).</summary>
    public static string OnDevice(BootInputs inputs, DiskPlan disk)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Indented))
        {
            json.WriteStartObject();
            json.WriteString("board", inputs.Board.Name);
            json.WriteString("machine", inputs.Deploy.Machine);
            json.WriteString("image", inputs.Deploy.Image);
            json.WriteString("version", inputs.System.Version);
            json.WriteString("build", inputs.Identity.BuildId);
            json.WriteNumber("time", inputs.Time);
            json.WriteString("builder", inputs.BuilderVersion);
            json.WriteStartObject("slots");
            foreach (var (slot, role) in new[] { ("a", PartitionRole.RootA), ("b", PartitionRole.RootB) })
            {
                if (inputs.Board.Partition(role) is not { } partition) continue;
                json.WriteStartObject(slot);
                json.WriteString("partition", partition.Name);
                json.WriteString("partuuid", BootText.PartUuid(disk, disk.Partitions.First(p => p.Spec.Name == partition.Name)));
                if (slot == "a")
                {
                    json.WriteString("version", inputs.System.Version);
                    json.WriteString("kernel", inputs.System.Kernel);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteStartObject("boot");
            json.WriteString("scheme", Words.Scheme.Of(inputs.Board.Slots.Scheme));
            if (LoaderFiles.Store(inputs.Board) is { } store) json.WriteString("store", store);
            json.WriteNumber("tries", inputs.Board.Slots.Limit);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.ToArray()) + "\n";
    }
}
