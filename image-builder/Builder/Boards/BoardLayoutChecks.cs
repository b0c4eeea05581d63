using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>The partition table and the partitions.</summary>
internal static class BoardLayoutChecks
{
    /// <summary>65,525 clusters of one sector with two tables and 32 reserved sectors (Microsoft FAT specification 1.03, §3.5).</summary>
    private const long SmallestFat32 = (65525L * 512) + (2 * 512 * 512) + (32 * 512);

    /// <summary>A journal of 4 MiB and its metadata, and some room.</summary>
    private const long SmallestExt4 = 16L << 20;

    public static void Check(Board board, Findings findings)
    {
        CheckTable(board.Table, findings);
        CheckRoles(board, findings);
        CheckNames(board, findings);
        for (var i = 0; i < board.Partitions.Count; i++) CheckPartition(board, i, findings);
        CheckRoots(board, findings);
        CheckGrowth(board, findings);
    }

    private static void CheckTable(TableForm table, Findings findings)
    {
        if (table.SectorSize is not (512 or 4096))
            findings.Add("partition_table.sector_size", $"a sector of {table.SectorSize} bytes is on no disk", "make it 512 or 4096");
        if (table.Alignment < table.SectorSize || !long.IsPow2(table.Alignment))
            findings.Add("partition_table.alignment", $"an alignment of {new ByteSize(table.Alignment)} is no power of two", "make it 1MiB, 4MiB or more");
        if (table.FirstOffset % table.SectorSize != 0)
            findings.Add("partition_table.first_offset", $"{table.FirstOffset} is not at the start of a sector", $"make it a multiple of {table.SectorSize}");
        if (table.Kind == TableKind.Mbr && table.EntriesLba != 2)
            findings.Add("partition_table.entries_lba", "an MBR has no entries to move", "remove `entries_lba`, or make the table gpt");
    }

    private static void CheckRoles(Board board, Findings findings)
    {
        foreach (var (word, role, means) in Words.Role.All.Where(r => r.Value != PartitionRole.Reserved))
        {
            var count = board.Partitions.Count(p => p.Role == role);
            if (count == 0) findings.Add("partitions", $"no partition has the role {word}", $"add one: {means}");
            if (count > 1) findings.Add("partitions", $"{count} partitions have the role {word}", "keep one of them");
        }
    }

    private static void CheckNames(Board board, Findings findings)
    {
        foreach (var twice in board.Partitions.Select((p, i) => (p.Name, Index: i)).GroupBy(p => p.Name, StringComparer.OrdinalIgnoreCase).Where(g => g.Count() > 1))
            findings.Add($"partitions[{twice.Last().Index}].name", $"two partitions are called {twice.Key}", "give each its own `name`");
        foreach (var twice in board.Partitions.Select((p, i) => (p.Id, Index: i)).Where(p => p.Id is not null).GroupBy(p => p.Id).Where(g => g.Count() > 1))
            findings.Add($"partitions[{twice.Last().Index}].id", $"two partitions have the id {twice.Key}", "give each its own `id`, or none");
    }

    private static void CheckPartition(Board board, int index, Findings findings)
    {
        var (p, path) = (board.Partitions[index], $"partitions[{index}]");
        if (p.Size == 0)
        {
            findings.Add(path, $"partition {p.Name} has no size", "give it a `size` such as 64MiB");
            return;
        }

        var fits = p.Role switch
        {
            PartitionRole.Boot => p.FileSystem == FileSystemKind.Vfat,
            PartitionRole.RootA or PartitionRole.RootB => p.FileSystem is FileSystemKind.Ext4 or FileSystemKind.Squashfs,
            PartitionRole.Reserved => p.FileSystem == FileSystemKind.None,
            _ => p.FileSystem == FileSystemKind.Ext4,
        };
        if (!fits)
            findings.Add(path + ".fs", $"partition {p.Name} cannot be {Words.FileSystem.Of(p.FileSystem)}", p.Role switch
            {
                PartitionRole.Boot => "firmware reads only vfat",
                PartitionRole.RootA or PartitionRole.RootB => "make it ext4 or squashfs",
                PartitionRole.Reserved => "what is reserved holds no file system: remove `fs`",
                _ => "make it ext4, which grows and survives a power cut",
            });
        if (p.FileSystem == FileSystemKind.Vfat && p.Size < SmallestFat32)
            findings.Add(path + ".size", $"{new ByteSize(p.Size)} is too small for FAT32", "make it 64MiB or more");
        if (p.FileSystem == FileSystemKind.Ext4 && p.Size < SmallestExt4)
            findings.Add(path + ".size", $"{new ByteSize(p.Size)} is too small for ext4 with a journal", "make it 16MiB or more");
        var longest = p.FileSystem switch { FileSystemKind.Vfat => 11, FileSystemKind.Ext4 => 16, _ => 36 };
        if (p.Name.Length > longest)
            findings.Add(path + ".name", $"`{p.Name}` is too long for a {Words.FileSystem.Of(p.FileSystem)} label", $"use at most {longest} characters");
        if (p.Offset is { } offset && offset % board.Table.SectorSize != 0)
            findings.Add(path + ".offset", $"{offset} is not at the start of a sector", $"make it a multiple of {board.Table.SectorSize}");
    }

    private static void CheckRoots(Board board, Findings findings)
    {
        if (board.Partition(PartitionRole.RootA) is not { } a || board.Partition(PartitionRole.RootB) is not { } b) return;
        var path = $"partitions[{board.Partitions.ToList().IndexOf(b)}]";
        if (a.Size != b.Size)
            findings.Add(path + ".size", $"root-b has {new ByteSize(b.Size)}, root-a {new ByteSize(a.Size)}", "remove root-b's `size`: it takes root-a's");
        if (a.FileSystem != b.FileSystem)
            findings.Add(path + ".fs", "root-b has another file system than root-a", "remove root-b's `fs`: it takes root-a's");
        if (board.Boot.RootBy == RootBy.PartLabel && board.Table.Kind == TableKind.Mbr)
            findings.Add("boot.root_by", "an MBR has no partition names, so PARTLABEL finds nothing", "use PARTUUID");
        if (board.Boot.RootBy is RootBy.Label or RootBy.Uuid && a.FileSystem == FileSystemKind.Squashfs)
            findings.Add("boot.root_by", "squashfs has neither label nor id", "use PARTUUID");
    }

    private static void CheckGrowth(Board board, Findings findings)
    {
        for (var i = 0; i < board.Partitions.Count; i++)
        {
            var p = board.Partitions[i];
            if (p.Grow && p.Role != PartitionRole.Data)
                findings.Add($"partitions[{i}].grow", $"partition {p.Name} grows, but only data may", "remove `grow`");
        }

        if (board.Partitions.Count > 0 && board.Partitions[^1].Role != PartitionRole.Data && board.Partition(PartitionRole.Data) is { Grow: true } data)
            findings.Add($"partitions[{board.Partitions.ToList().IndexOf(data)}]", "data grows to the end of the disk, but is not the last partition", "move it to the end");
    }
}
