using OsBuild.ImageBuilder.Facts;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.Images.Compression;
using OsBuild.Images.Ext4;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>A partition of an image and what was found in it.</summary>
/// <param name="Entry">Its line in the table.</param>
/// <param name="Content">Its bytes.</param>
/// <param name="FileSystem">Its file system, or null when it has none that can be read.</param>
/// <param name="Problem">Why it cannot be read, when it should be readable.</param>
internal sealed record ImagePartition(PartitionEntry Entry, Stream Content, IFileSystem? FileSystem, string? Problem)
{
    /// <summary>True when not one byte of the first megabyte is set: an empty slot.</summary>
    public bool LooksEmpty { get; init; }
}

/// <summary>An image file, or a written card, opened to be looked at.</summary>
internal sealed class OpenImage : IDisposable
{
    private readonly FileStream _file;

    private OpenImage(FileStream file, Stream disk, PartitionTable table)
    {
        _file = file;
        Disk = disk;
        Table = table;
        Partitions = [.. table.Partitions.Select(Look)];
    }

    public Stream Disk { get; }

    public PartitionTable Table { get; }

    public IReadOnlyList<ImagePartition> Partitions { get; }

    /// <exception cref="RefusedException">It is no image that can be read in place.</exception>
    public static OpenImage Open(string path, bool write = false)
    {
        if (Directory.Exists(path)) throw new RefusedException($"{path} is a directory; give an image file.");
        if (!File.Exists(path))
        {
            var folder = Path.GetDirectoryName(Path.GetFullPath(path));
            var siblings = Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.img").Select(f => Path.GetFileName(f)) : [];
            throw new RefusedException($"There is no image {path}{Nearest.Hint(Path.GetFileName(path), siblings)}.");
        }

        if (write && MountOf(path) is { } mount) throw new RefusedException($"{path} is mounted at {mount}; unmount it first, then configure it again.");
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Open, write ? FileAccess.ReadWrite : FileAccess.Read, FileShare.Read, bufferSize: 0);
        }
        catch (UnauthorizedAccessException)
        {
            throw new RefusedException($"{path} may not be {(write ? "written" : "read")}; check its permissions.");
        }

        try
        {
            var disk = DeviceSize(path) is { } size ? new SubStream(file, 0, size) : (Stream)file;
            Span<byte> head = stackalloc byte[Codecs.HeaderSize];
            var got = disk.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
            if (Codecs.Detect(head[..got]) is var codec and not Codec.None)
                throw new RefusedException($"{path} is compressed ({codec.ToString().ToLowerInvariant()}) and can only be read in place when it is not; decompress it first, or build it without --compress.");
            var table = PartitionTable.Read(disk, 512) ?? PartitionTable.Read(disk, 4096);
            return new OpenImage(file, disk, table ?? throw new RefusedException($"{path} has no partition table; it is not an image of a disk."));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A partition by name or number.</summary>
    public ImagePartition Partition(string name)
    {
        var found = Partitions.FirstOrDefault(p => p.Entry.Name == name) ?? Partitions.FirstOrDefault(p => p.Entry.Number.ToString() == name)
            ?? Partitions.FirstOrDefault(p => string.Equals(p.FileSystem?.Label, name, StringComparison.OrdinalIgnoreCase));
        return found ?? throw new RefusedException($"There is no partition {name}; the image has {string.Join(", ", Partitions.Select(p => p.Entry.Name.Length > 0 ? p.Entry.Name : p.Entry.Number.ToString()))}.");
    }

    /// <summary>The file system of a partition by name or number.</summary>
    public IFileSystem FileSystem(string name)
    {
        var partition = Partition(name);
        return partition.FileSystem ?? throw new RefusedException($"Partition {name} {partition.Problem ?? "holds no file system that can be read"}.");
    }

    /// <summary>Waits until what was written is on the medium.</summary>
    public void Sync() => _file.Flush(flushToDisk: true);

    public void Dispose() => _file.Dispose();

    private ImagePartition Look(PartitionEntry entry)
    {
        if (entry.Offset + entry.Size > Disk.Length)
            return new(entry, Stream.Null, null, $"ends at byte {entry.Offset + entry.Size}, the image has {Disk.Length}: it is cut off");
        var content = new SubStream(Disk, entry.Offset, entry.Size);
        var head = new byte[(int)Math.Min(entry.Size, 1 << 20)];
        content.ReadExactly(head);
        try
        {
            return new(entry, content, Reader(content, head), null) { LooksEmpty = head.AsSpan().IndexOfAnyExcept((byte)0) < 0 };
        }
        catch (Images.ImageException e)
        {
            return new(entry, content, null, $"holds a file system that cannot be read: {e.Message}");
        }
    }

    private static IFileSystem? Reader(SubStream content, ReadOnlySpan<byte> head)
    {
        if (head.Length > 1082 && head[1080] == 0x53 && head[1081] == 0xEF) return new Ext4Reader(content);
        if (head.StartsWith("hsqs"u8)) return new SquashFsReader(content);
        // BS_FilSysType and the boot signature (Microsoft FAT specification §3).
        if (head.Length > 512 && head[510] == 0x55 && head[511] == 0xAA && (head[54..].StartsWith("FAT"u8) || head[82..].StartsWith("FAT32"u8))) return new FatReader(content);
        return null;
    }

    /// <summary>Where a disk or one of its partitions is mounted; null when it is not, or is no disk.</summary>
    private static string? MountOf(string path)
    {
        if (!OperatingSystem.IsLinux() || !Path.GetFullPath(path).StartsWith("/dev/", StringComparison.Ordinal)) return null;
        var real = new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
        return MountOf(real, File.ReadLines("/proc/self/mounts"));
    }

    /// <summary>Finds a disk in the lines of /proc/mounts (proc_mounts(5)): <c>/dev/sda1</c> and <c>/dev/mmcblk0p1</c> belong to <c>/dev/sda</c> and <c>/dev/mmcblk0</c>,
    /// but <c>/dev/loop12</c> does not to <c>/dev/loop1</c>.</summary>
    internal static string? MountOf(string device, IEnumerable<string> mounts) => mounts.Select(m => m.Split(' ')).FirstOrDefault(m => m.Length > 1 && IsOf(device, m[0]))?[1];

    private static bool IsOf(string device, string mounted)
    {
        if (!mounted.StartsWith(device, StringComparison.Ordinal)) return false;
        var rest = mounted[device.Length..];
        if (rest.Length == 0) return true;
        // A name that ends in a digit takes a p before the number of a partition.
        if (char.IsAsciiDigit(device[^1])) rest = rest[0] == 'p' ? rest[1..] : "";
        return rest.Length > 0 && rest.All(char.IsAsciiDigit);
    }

    // The length of a block device is not in its inode; sysfs counts 512-byte sectors, whatever the device's own are.
    private static long? DeviceSize(string path)
    {
        if (!OperatingSystem.IsLinux() || !Path.GetFullPath(path).StartsWith("/dev/", StringComparison.Ordinal)) return null;
        var real = new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
        var size = $"/sys/class/block/{Path.GetFileName(real)}/size";
        return File.Exists(size) && long.TryParse(File.ReadAllText(size), out var sectors) ? sectors * 512 : null;
    }
}
