using OsBuild.Images;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.Supervisor.Linux;

/// <summary>Finding the root device and the partitions beside it.</summary>
internal static class Roots
{
    /// <summary>The device root= names, if it is there by now.</summary>
    public static BlockDevice? Find(IReadOnlyList<BlockDevice> devices, string root) => BlockDeviceChoice.Find(Named(devices), root);

    /// <summary>The device that holds "/" now.</summary>
    public static BlockDevice? Mounted(IReadOnlyList<BlockDevice> devices)
    {
        var root = MountInfo.Current().LastOrDefault(m => m.Target == "/");
        return root is null ? null : devices.FirstOrDefault(d => d.Number == root.Device);
    }

    /// <summary>Adds what older kernels do not tell (PARTUUID before 6.10) from the partition tables, and, where a table has no names (MBR),
    /// the labels of the file systems, which the image builder keeps the same as the names.</summary>
    public static IReadOnlyList<BlockDevice> Named(IReadOnlyList<BlockDevice> devices)
    {
        var named = new List<BlockDevice>();
        foreach (var disk in devices.GroupBy(d => d.Disk))
        {
            var partitions = disk.Where(d => d.Partition > 0).ToList();
            var whole = disk.FirstOrDefault(d => d.Partition == 0);
            if (whole is not null) named.Add(whole);
            var table = whole is not null && partitions.Any(p => p.Uuid.Length == 0 || p.Label.Length == 0) ? ReadTable(whole) : null;
            foreach (var partition in partitions)
            {
                var entry = table?.Partitions.FirstOrDefault(e => e.Number == partition.Partition);
                var full = partition with
                {
                    Uuid = partition.Uuid.Length > 0 ? partition.Uuid : entry?.Id ?? "",
                    Label = partition.Label.Length > 0 ? partition.Label : entry?.Name ?? "",
                };
                named.Add(full.Label.Length > 0 ? full : full with { Label = ReadLabel(full) });
            }
        }

        return named;
    }

    private static PartitionTable? ReadTable(BlockDevice disk)
    {
        try
        {
            using var stream = new FileStream(disk.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 4096);
            return PartitionTable.Read(new SubStream(stream, 0, disk.Size), disk.SectorSize); // fstat gives a block device no length
        }
        catch (Exception e) when (e is IOException or ImageException or UnauthorizedAccessException)
        {
            return null; // a disk that cannot be read is not the one
        }
    }

    private static string ReadLabel(BlockDevice partition)
    {
        try
        {
            using var file = File.OpenHandle(partition.Path, share: FileShare.ReadWrite);
            var head = new byte[4096];
            return FileSystemProbe.Label(head.AsSpan(0, RandomAccess.Read(file, head, 0)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
