using System.Globalization;

namespace OsBuild.Supervisor.Linux;

/// <summary>A disk or partition as /sys/class/block shows it.</summary>
/// <param name="Name">Kernel name: vda2, mmcblk0p2.</param>
/// <param name="Number">major:minor.</param>
/// <param name="Disk">Kernel name of the whole disk; the same as Name for a whole disk.</param>
/// <param name="Partition">Partition number, 0 for a whole disk.</param>
/// <param name="Label">PARTNAME, the GPT name.</param>
/// <param name="Uuid">PARTUUID.</param>
/// <param name="Offset">First byte on the disk.</param>
/// <param name="Size">Length in bytes.</param>
/// <param name="SectorSize">Logical sector size; of a whole disk only.</param>
internal sealed record BlockDevice(string Name, string Number, string Disk, int Partition, string Label, string Uuid, long Offset, long Size, int SectorSize = 512)
{
    public string Path => "/dev/" + Name;

    /// <summary>Everything the kernel knows now.</summary>
    public static IReadOnlyList<BlockDevice> All(string sysClassBlock = "/sys/class/block")
    {
        if (!Directory.Exists(sysClassBlock)) return [];
        return [.. Directory.EnumerateFileSystemEntries(sysClassBlock).Order(StringComparer.Ordinal).Select(Read).OfType<BlockDevice>()];
    }

    private static BlockDevice? Read(string path)
    {
        try
        {
            var uevent = Variables(File.ReadAllText(System.IO.Path.Combine(path, "uevent")));
            var name = uevent.GetValueOrDefault("DEVNAME", System.IO.Path.GetFileName(path));
            var partition = Int(uevent.GetValueOrDefault("PARTN"));
            var disk = partition > 0 ? System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(Directory.ResolveLinkTarget(path, true)?.FullName ?? path))! : name;
            return new BlockDevice(name, $"{uevent.GetValueOrDefault("MAJOR")}:{uevent.GetValueOrDefault("MINOR")}", disk, (int)partition,
                uevent.GetValueOrDefault("PARTNAME", ""), uevent.GetValueOrDefault("PARTUUID", ""),
                ReadNumber(path, "start") * 512, ReadNumber(path, "size") * 512, // both always in 512-byte units
                ReadNumber(path, "queue/logical_block_size") is > 0 and var sector ? (int)sector : 512);
        }
        catch (IOException)
        {
            return null; // went away
        }
    }

    private static Dictionary<string, string> Variables(string text)
    {
        var result = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            var equals = line.IndexOf('=');
            if (equals > 0) result[line[..equals]] = line[(equals + 1)..];
        }

        return result;
    }

    private static long ReadNumber(string directory, string name)
    {
        var path = System.IO.Path.Combine(directory, name);
        return File.Exists(path) ? Int(File.ReadAllText(path).Trim()) : 0;
    }

    private static long Int(string? text) => long.TryParse(text, CultureInfo.InvariantCulture, out var value) ? value : 0;
}

/// <summary>Choosing among block devices. Pure.</summary>
internal static class BlockDeviceChoice
{
    /// <summary>The device a root= of the kernel command line names: PARTUUID=, PARTLABEL=, /dev/NAME or MAJOR:MINOR.
    /// Kernels before 5.x do not put PARTUUID into uevent, so a caller may add it from the partition table.</summary>
    public static BlockDevice? Find(IReadOnlyList<BlockDevice> devices, string root) => root switch
    {
        _ when Value(root, "PARTUUID=") is { } id => devices.FirstOrDefault(d => d.Partition > 0 && d.Uuid.Equals(id, StringComparison.OrdinalIgnoreCase)),
        _ when Value(root, "PARTLABEL=") is { } label => devices.FirstOrDefault(d => d.Partition > 0 && d.Label == label),
        _ when Value(root, "/dev/disk/by-partlabel/") is { } label => devices.FirstOrDefault(d => d.Partition > 0 && d.Label == label),
        _ when Value(root, "/dev/disk/by-partuuid/") is { } id => devices.FirstOrDefault(d => d.Partition > 0 && d.Uuid.Equals(id, StringComparison.OrdinalIgnoreCase)),
        _ when Value(root, "/dev/") is { } name => devices.FirstOrDefault(d => d.Name == name),
        _ => devices.FirstOrDefault(d => d.Number == root),
    };

    /// <summary>The partition of this name on the disk that holds root: another disk with the same names (a spare card in a reader) is never taken.</summary>
    public static BlockDevice? Sibling(IReadOnlyList<BlockDevice> devices, BlockDevice root, string label) =>
        devices.FirstOrDefault(d => d.Disk == root.Disk && d.Partition > 0 && d.Label == label);

    private static string? Value(string text, string prefix) => text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : null;
}
