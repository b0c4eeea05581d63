using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>What is still to be grown. Pure data: decided from sizes only, so that a cut at any point leaves a question with the same answer.</summary>
/// <param name="Table">The partition table ends before the disk does.</param>
/// <param name="Partition">The kernel's idea of the partition is smaller than the table's: bytes it should have, or null.</param>
/// <param name="FileSystemBlocks">The file system is smaller than its partition: blocks it should have, or null.</param>
internal sealed record GrowthPlan(bool Table, long? Partition, long? FileSystemBlocks)
{
    public static readonly GrowthPlan Nothing = new(false, null, null);

    /// <summary>Less than this at the end of a disk is not worth a write to the partition table; it also is never reached by alignment alone.</summary>
    public const long Worthwhile = 4 << 20;

    /// <summary>What a table still needs.</summary>
    /// <param name="writes">What <see cref="PartitionTable.Grow"/> would write.</param>
    /// <param name="end">End of the last partition now.</param>
    /// <param name="diskSize">Size of the disk.</param>
    public static bool TableGrows(IReadOnlyList<DiskWrite> writes, long end, long diskSize) => writes.Count > 0 && diskSize - end >= Worthwhile;

    /// <summary>What a file system still needs inside a partition of <paramref name="partitionSize"/> bytes.</summary>
    public static long? BlocksWanted(long fileSystemSize, int blockSize, long partitionSize)
    {
        if (blockSize <= 0 || fileSystemSize <= 0) return null;
        var blocks = partitionSize / blockSize;
        // The kernel refuses a last group too short for its own tables (under 50 blocks it rounds down by itself); a difference that small is no growth.
        return blocks * blockSize - fileSystemSize >= Worthwhile ? blocks : null;
    }
}

/// <summary>Makes the last partition and its ext4 as large as the disk, with ioctls only.</summary>
internal static unsafe class Growth
{
    // include/uapi/linux/blkpg.h; include/uapi/linux/ext4.h: _IOW('f', 16, __u64)
    private const uint BlkPg = 0x1269, Ext4ResizeFs = 0x40086610;
    private const int BlkPgResizePartition = 3;

    /// <summary>Grows table and partition. Done before the file system is mounted. True when anything changed.</summary>
    public static bool GrowPartition(BlockDevice disk, BlockDevice partition, Action<string> log)
    {
        using var device = new FileStream(disk.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 0);
        using var stream = new SubStream(device, 0, disk.Size); // fstat gives a block device no length
        var table = PartitionTable.Read(stream, disk.SectorSize);
        if (table is null || table.Partitions.Count == 0) return false;
        var last = table.Partitions.MaxBy(p => p.Offset + p.Size)!;
        if (last.Number != partition.Partition)
        {
            log($"partition {partition.Label} is not the last one on {disk.Name}; not growing it");
            return false;
        }

        var writes = PartitionTable.Grow(stream, disk.Size, disk.SectorSize);
        var changed = false;
        if (GrowthPlan.TableGrows(writes, last.Offset + last.Size, disk.Size) || (writes.Count > 0 && last.Size > partition.Size))
        {
            foreach (var write in writes)
            {
                stream.Position = write.Offset;
                stream.Write(write.Bytes.Span);
                device.Flush(flushToDisk: true); // in this order on the medium: that is what makes a cut harmless
            }

            last = PartitionTable.Read(stream, disk.SectorSize)!.Partitions.First(p => p.Number == last.Number);
            changed = true;
        }

        if (last.Size <= partition.Size) return changed;
        Resize(device, last);
        return true;
    }

    /// <summary>Grows the mounted ext4 to its partition. True when it grew.</summary>
    public static bool GrowFileSystem(BlockDevice partition, string mountPoint)
    {
        var head = new byte[4096];
        using (var file = File.OpenHandle(partition.Path, share: FileShare.ReadWrite))
            if (RandomAccess.Read(file, head, 0) < head.Length) return false;
        if (GrowthPlan.BlocksWanted(FileSystemProbe.ExtSize(head), FileSystemProbe.ExtBlockSize(head), partition.Size) is not { } blocks) return false;
        var wanted = (ulong)blocks;
        using var directory = Libc.OpenDirectory(mountPoint);
        var result = Libc.Ioctl(directory, Ext4ResizeFs, &wanted);
        if (result < 0) throw new LinuxException($"grow the file system on {mountPoint} to {blocks} blocks", -result);
        return true;
    }

    private static void Resize(FileStream disk, PartitionEntry partition)
    {
        // struct blkpg_partition { long long start, length; int pno; char devname[64]; char volname[64]; }
        var description = stackalloc byte[152];
        new Span<byte>(description, 152).Clear();
        *(long*)description = partition.Offset;
        *(long*)(description + 8) = partition.Size;
        *(int*)(description + 16) = partition.Number;
        // struct blkpg_ioctl_arg { int op; int flags; int datalen; void *data; }
        var argument = stackalloc byte[24];
        new Span<byte>(argument, 24).Clear();
        *(int*)argument = BlkPgResizePartition;
        *(int*)(argument + 8) = 152;
        *(byte**)(argument + 16) = description;
        var result = Libc.Ioctl(disk.SafeFileHandle, BlkPg, argument);
        if (result < 0) throw new LinuxException($"tell the kernel the new size of partition {partition.Number}", -result);
    }
}
