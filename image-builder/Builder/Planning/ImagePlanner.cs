using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.SquashFs;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>From a board and the facts of its inputs to a plan. Pure: what does not fit is a problem, not a surprise while writing.</summary>
internal static class ImagePlanner
{
    private const int Block = Ext4Layout.BlockSize;

    /// <summary>Null when there is a problem without which there is no plan.</summary>
    public static ImagePlan? Plan(PlanInputs inputs, Problems problems)
    {
        if (Boot(inputs, problems) is not { } boot) return null;
        var (disk, root) = (boot.Disk, RootEntries.Of(inputs));
        var rootPlan = RootPlan(inputs, disk, root, problems);
        return new()
        {
            Inputs = inputs,
            Disk = disk,
            FileSystems = [.. Made(inputs.Board, disk).Select(p => p.Board.Role switch
            {
                PartitionRole.Boot => boot.FileSystem,
                PartitionRole.RootA => rootPlan,
                _ => Empty(Base(inputs.Identity, p.Partition, p.Board)),
            })],
            CommandLine = boot.CommandLine,
            Boot = boot.Files,
            Replaced = RootEntries.Replaced(root, inputs.Rootfs.Names),
            Root = root,
            Modules = inputs.Modules is { InRootfs: false } && inputs.Deploy.Modules is { } archive
                ? new PlacedFile(archive, RootEntries.ModulesFolder(inputs.Rootfs.Names))
                : null,
            Allocated = boot.FileSystem.Need + rootPlan.Need + (8L << 20),
        };
    }

    /// <summary>The disk and its boot partition, which do not depend on what the root holds; null when there is no room for the partitions.</summary>
    public static BootPlan? Boot(BootInputs inputs, Problems problems)
    {
        if (LayOut(inputs, problems) is not { } disk) return null;
        var commandLine = BootText.CommandLine(inputs, disk);
        var files = BootFiles.Of(inputs, disk, commandLine, problems);
        var (partition, board) = Made(inputs.Board, disk).First(p => p.Board.Role == PartitionRole.Boot);
        return new(disk, commandLine, files, Fat(Base(inputs.Identity, partition, board), inputs, files, problems));
    }

    /// <summary>Places the partitions; null, with a problem, when they do not fit.</summary>
    public static DiskPlan? LayOut(BootInputs inputs, Problems problems) => LayOut(inputs.Board, inputs.Deploy, inputs.Identity, problems);

    /// <summary>As <see cref="LayOut(BootInputs, Problems)"/>, when less is known.</summary>
    public static DiskPlan? LayOut(Board board, DeployContent deploy, Identity identity, Problems problems)
    {
        try
        {
            return DiskPlan.For(BoardDisk.Spec(board, identity.For("disk"), identity.For, deploy.RawBlobs.Select(b => (b.Blob, b.File.Name, b.File.Size))));
        }
        catch (ImageException e)
        {
            problems.Add(e.Message);
            return null;
        }
    }

    /// <summary>The root file system as it is begun when nothing is known of its content yet.</summary>
    public static FileSystemPlan RootPlan(Board board, Identity identity, DiskPlan disk)
    {
        var (partition, boardPartition) = Made(board, disk).First(p => p.Board.Role == PartitionRole.RootA);
        return Base(identity, partition, boardPartition);
    }

    /// <summary>The root file system with what it needs; a problem when that is more than it has.</summary>
    public static FileSystemPlan RootPlan(PlanInputs inputs, DiskPlan disk, IReadOnlyList<RootEntry> entries, Problems problems)
    {
        var plan = RootPlan(inputs.Board, inputs.Identity, disk);
        var added = inputs.Modules is { InRootfs: false } modules ? modules : null;
        var blocks = inputs.Rootfs.Blocks + entries.Sum(r => Math.Max(1, ((r.Source?.Size ?? 0) + Block - 1) / Block)) + (added?.Blocks ?? 0);
        // What a squashfs takes is known when it is written.
        if (plan.Kind == FileSystemKind.Squashfs) return plan with { Need = blocks * Block, Room = plan.Partition.Size };

        var inodes = inputs.Rootfs.Inodes + entries.Count + (added?.Inodes ?? 0) + 11;
        // As many inodes as the content needs, an eighth more, but never fewer than one for 16 KiB.
        var density = 16384;
        while (density > 4096 && plan.Partition.Size / density < inodes * 9 / 8) density /= 2;
        plan = plan with { BytesPerInode = density };
        var layout = Ext4Layout.For(FileSystemOptions.Ext4(plan, inputs.Time));
        var (need, room) = (blocks * Block, layout.FreeBlocks * Block);
        if (need > room)
        {
            var largest = inputs.Rootfs.Largest.Take(3).Select(l => $"{l.Path} {new ByteSize(l.Size)}");
            problems.Add($"The root file system {inputs.Deploy.Rootfs.Name} needs {new ByteSize(need)}, its slot has {new ByteSize(room)}, short by {new ByteSize(need - room)}; the largest files are {string.Join(", ", largest)}: build a smaller image or give board {inputs.Board.Name} larger slots.");
        }
        else if (inodes > layout.Inodes)
        {
            problems.Add($"The root file system {inputs.Deploy.Rootfs.Name} has {inodes} files, its slot of {new ByteSize(plan.Partition.Size)} holds {layout.Inodes}; build a smaller image or give board {inputs.Board.Name} larger slots.");
        }

        return plan with { Need = need, Room = room };
    }

    /// <summary>The partitions that get a file system: all but the second slot, which stays empty, and those of firmware.</summary>
    private static IEnumerable<(PartitionPlan Partition, BoardPartition Board)> Made(Board board, DiskPlan disk) => disk.Partitions
        .Select(p => (Partition: p, Board: board.Partition(p.Spec.Name)!))
        .Where(p => p.Board.FileSystem != FileSystemKind.None && p.Board.Role != PartitionRole.RootB);

    private static FileSystemPlan Base(Identity identity, PartitionPlan partition, BoardPartition board) => new()
    {
        Partition = partition,
        Role = board.Role,
        Kind = board.FileSystem,
        Label = board.Name,
        Uuid = identity.For(board.Name + " file system"),
        HashSeed = identity.For(board.Name + " hash seed"),
    };

    private static FileSystemPlan Fat(FileSystemPlan plan, BootInputs inputs, IReadOnlyList<BootEntry> boot, Problems problems)
    {
        BootFiles.CheckNames(boot, problems);
        var layout = FatLayout.For(FileSystemOptions.Fat(plan, inputs.Identity, inputs.Time));
        var cluster = layout.ClusterSize;
        var directories = boot.SelectMany(b => Parents(b.Path)).Distinct(StringComparer.OrdinalIgnoreCase).Count();
        // A directory entry has 32 bytes, a long name up to 20 of them; a cluster more for the root's own.
        var names = boot.Sum(b => 32L * (2 + b.Path.Length / 13));
        var need = boot.Sum(b => RoundUp(b.Source.Size, cluster)) + (directories + 2L) * cluster + RoundUp(names, cluster);
        var room = layout.Clusters * cluster;
        if (need > room)
        {
            var largest = boot.OrderByDescending(b => b.Source.Size).Take(3).Select(b => $"{b.Path} {new ByteSize(b.Source.Size)}");
            problems.Add($"The boot partition needs {new ByteSize(need)}, it has {new ByteSize(room)}, short by {new ByteSize(need - room)}; the largest files are {string.Join(", ", largest)}: give board {inputs.Board.Name} a larger boot partition or load fewer images.");
        }

        return plan with { Need = need, Room = room };
    }

    // The journal does not grow with the file system, so it is as large as the small one in the image can carry.
    private static FileSystemPlan Empty(FileSystemPlan plan)
    {
        var journal = plan.Role == PartitionRole.Data ? 64L << 20 : 4L << 20;
        while (journal > plan.Partition.Size / 2 && journal > 4 << 20) journal /= 2;
        plan = plan with { Journal = journal };
        var layout = Ext4Layout.For(FileSystemOptions.Ext4(plan, 0));
        return plan with { Need = Block * 64, Room = layout.FreeBlocks * Block };
    }

    private static IEnumerable<string> Parents(string path)
    {
        for (var slash = path.IndexOf('/'); slash > 0; slash = path.IndexOf('/', slash + 1)) yield return path[..slash];
    }

    private static long RoundUp(long size, long unit) => (size + unit - 1) / unit * unit;
}

/// <summary>From a planned file system to the options of its writer.</summary>
internal static class FileSystemOptions
{
    public static FatOptions Fat(FileSystemPlan plan, Identity identity, long time) => new()
    {
        Size = plan.Partition.Size,
        Kind = FatKind.Fat32,
        Label = plan.Label,
        VolumeId = identity.VolumeId(plan.Label),
        CreatedAt = time,
        HiddenSectors = (uint)(plan.Partition.Offset / 512),
    };

    public static Ext4Options Ext4(FileSystemPlan plan, long time) => new()
    {
        Size = plan.Partition.Size / Ext4Layout.BlockSize * Ext4Layout.BlockSize,
        Label = plan.Label,
        Uuid = plan.Uuid,
        HashSeed = plan.HashSeed,
        CreatedAt = time,
        JournalSize = plan.Journal,
        BytesPerInode = plan.BytesPerInode,
    };

    public static SquashFsOptions SquashFs(long time, int threads) => new() { Time = time, Threads = threads };
}
