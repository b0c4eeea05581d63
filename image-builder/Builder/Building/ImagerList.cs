using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The image as it is fetched.</summary>
/// <param name="Name">Name of the file.</param>
/// <param name="Size">Its size in bytes.</param>
/// <param name="Sha256">Its digest.</param>
/// <param name="ImageSize">Size of the image in it.</param>
/// <param name="ImageSha256">Digest of the image in it.</param>
internal sealed record Download(string Name, long Size, string Sha256, long ImageSize, string ImageSha256);

/// <summary>Writes <c>NAME.img.os_list.json</c>: the image as an entry of the list that Raspberry Pi Imager shows (doc/json-schema/os-list-schema.json
/// of raspberrypi/rpi-imager).</summary>
internal static class ImagerList
{
    // The entry must have one; as data it needs no file beside the image.
    private const string Icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='40' height='40'%3E%3Crect x='4' y='4' width='32' height='32' rx='4' fill='%237aa6c2'/%3E%3Crect x='12' y='12' width='16' height='16' fill='%23fff'/%3E%3C/svg%3E";

    /// <param name="target">Takes the JSON.</param>
    /// <param name="inputs">What the image was made of.</param>
    /// <param name="address">The folder it will be fetched from.</param>
    /// <param name="file">The file that is fetched.</param>
    public static void Write(Stream target, BootInputs inputs, string address, Download file)
    {
        var folder = address.TrimEnd('/');
        using var json = new Utf8JsonWriter(target, ImageRecord.Indented);
        json.WriteStartObject();
        json.WriteStartArray("os_list");
        json.WriteStartObject();
        json.WriteString("name", BootText.Title(inputs));
        json.WriteString("description", $"{inputs.Deploy.Image} {inputs.System.Version} for {inputs.Board.Title}");
        json.WriteString("icon", Icon);
        json.WriteString("url", $"{folder}/{file.Name}");
        json.WriteString("bmap_url", $"{folder}/{inputs.FileName}.bmap");
        json.WriteString("release_date", DateTimeOffset.FromUnixTimeSeconds(inputs.Time).ToString("yyyy-MM-dd"));
        json.WriteNumber("extract_size", file.ImageSize);
        json.WriteString("extract_sha256", file.ImageSha256);
        json.WriteNumber("image_download_size", file.Size);
        json.WriteString("image_download_sha256", file.Sha256);
        json.WriteStartArray("devices");
        foreach (var tag in Tags(inputs.Board)) json.WriteStringValue(tag);
        json.WriteEndArray();
        // Its settings are image-builder's configure, not the scripts that Imager would write for systemd or cloud-init.
        json.WriteString("init_format", "none");
        if (inputs.Board.Arch == BoardArch.Aarch64) json.WriteString("architecture", "armv8");
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        target.WriteByte((byte)'\n');
    }

    /// <summary>The tags by which Imager knows Raspberry Pis; other boards go by their own name, which shows them without a filter only.</summary>
    internal static IReadOnlyList<string> Tags(Board board)
    {
        string[] tags =
        [
            .. board.Machines.SelectMany(machine => machine switch
            {
                "raspberrypi3-64" or "raspberrypi0-2w-64" => (string[])["pi3-64bit"],
                "raspberrypi4-64" => ["pi4-64bit"],
                "raspberrypi5" => ["pi5-64bit"],
                "raspberrypi-armv8" => ["pi3-64bit", "pi4-64bit", "pi5-64bit"],
                _ => [],
            }).Distinct(),
        ];
        return tags.Length > 0 ? tags : [board.Name];
    }
}
