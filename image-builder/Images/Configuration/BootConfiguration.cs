using System.Text;
using OsBuild.Images.Copying;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace OsBuild.Images.Configuration;

/// <summary>What a person puts onto the boot partition of an image for one device: settings into config.yaml, the key <c>fleet</c> into
/// config.json, and a compose.yaml.</summary>
public sealed record BootConfiguration
{
    /// <summary>The FAT volume of an image is looked for in its first bytes only, so that a packed image need not be decoded to its end.</summary>
    private const long LargestBoot = 4L << 30;

    /// <summary>Settings, already checked with <see cref="ConfigKeys"/>.</summary>
    public IReadOnlyList<Setting> Settings { get; init; } = [];

    /// <summary>Text of the compose.yaml, or null to leave the image's own.</summary>
    public string? Compose { get; init; }

    /// <summary>True when there is nothing to write.</summary>
    public bool IsEmpty => Settings.Count == 0 && Compose is null;

    /// <summary>What is wrong with the text of a compose.yaml, or null. Only its outline is looked at: the device knows the rest.</summary>
    public static string? WrongCompose(string text)
    {
        try
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            var services = yaml.Documents is [{ RootNode: YamlMappingNode root }] && root.Children.TryGetValue(new YamlScalarNode("services"), out var node) ? node : null;
            return services is YamlMappingNode { Children.Count: > 0 } ? null : "it has no services; it is not the compose.yaml of an app";
        }
        catch (YamlException e)
        {
            return $"it is not YAML (line {e.Start.Line})";
        }
    }

    /// <summary>Writes into a boot partition and gives the names of the files that changed.</summary>
    /// <param name="boot">The FAT volume, from its first byte.</param>
    /// <param name="modifiedAt">Seconds since 1970 for the time stamps.</param>
    /// <exception cref="ImageException">It does not fit, or what is there cannot be understood. Each file is then the old one or the new one.</exception>
    public IReadOnlyList<string> WriteTo(Stream boot, long modifiedAt)
    {
        var (reader, editor, changed) = (new FatReader(boot), new FatEditor(boot), new List<string>());
        void Put(string name, string? text)
        {
            var old = Text(reader, name);
            if (old == text) return;
            if (text is null) editor.Delete(name);
            else editor.WriteFile(name, Encoding.UTF8.GetBytes(text), modifiedAt);
            changed.Add(name);
        }

        var keys = Settings.Where(s => s.Key != "fleet").ToList();
        if (keys.Count > 0) Put("config.yaml", ConfigKeys.Apply(Text(reader, "config.yaml"), keys));
        foreach (var fleet in Settings.Where(s => s.Key == "fleet")) Put("config.json", fleet.Value.Length == 0 ? null : fleet.Value.TrimEnd() + "\n");
        if (Compose is not null) Put("compose.yaml", Compose);
        return changed;
    }

    /// <summary>The bytes of an image that this changes. The image itself is only read, as little of it as possible.</summary>
    /// <param name="open">Opens the decoded image from the start; called again when something further back is needed.</param>
    /// <param name="length">Length of the decoded image, or null when it is not known.</param>
    /// <param name="modifiedAt">Seconds since 1970 for the time stamps.</param>
    /// <exception cref="ImageException">The image has no boot partition with FAT, or it does not fit there.</exception>
    public IReadOnlyList<ImageEdit> EditsFor(Func<Stream> open, long? length, long modifiedAt)
    {
        using var image = new RewindStream(open);
        var disk = new OverlayStream(image, length ?? LargestBoot);
        WriteTo(FindBoot(disk), modifiedAt);
        return disk.Edits;
    }

    private static SubStream FindBoot(OverlayStream disk)
    {
        var table = PartitionTable.Read(disk, 512, disk.Length) ?? PartitionTable.Read(disk, 4096, disk.Length)
            ?? throw new ImageException(ImageErrorKind.Unsupported, "it has no partition table, so there is no boot partition to configure");
        foreach (var partition in table.Partitions.Where(p => p.Name is "boot" or "" && p.Offset + p.Size <= LargestBoot))
        {
            var volume = new SubStream(disk, partition.Offset, partition.Size);
            if (Label(volume) is { } label && (partition.Name == "boot" || label.Equals("boot", StringComparison.OrdinalIgnoreCase))) return volume;
        }

        throw new ImageException(ImageErrorKind.Unsupported, "it has no FAT partition called boot, so it cannot be configured; images of image-builder can");
    }

    private static string? Label(SubStream volume)
    {
        try
        {
            return new FatReader(volume).Label;
        }
        catch (ImageException)
        {
            return null;
        }
    }

    private static string? Text(FatReader volume, string name)
    {
        if (volume.Find(name) is not { Kind: Trees.NodeKind.File, Size: < 1 << 20 }) return null;
        using var text = new StreamReader(volume.Open(name));
        return text.ReadToEnd();
    }
}
