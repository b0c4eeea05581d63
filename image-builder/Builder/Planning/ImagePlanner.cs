using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>From a board and the facts of its inputs to a plan. Pure: what does not fit is a problem, not a surprise while writing.</summary>
internal static class ImagePlanner
{
    private const int Block = Ext4Layout.BlockSize;

    /// <summary>Null when there is a problem without which there is no plan.</summary>
    public static ImagePlan? Plan(PlanInputs inputs, Problems problems)
    {
        var board = inputs.Board;
        if (LayOut(inputs, problems) is not { } disk) return null;
        var commandLine = BootText.CommandLine(inputs, disk);
        var boot = BootFiles.Of(inputs, disk, commandLine, problems);
        var root = RootEntries.Of(inputs);
        var modules = inputs.Modules is { InRootfs: false } && inputs.Deploy.Modules is { } archive
            ? new PlacedFile(archive, RootEntries.ModulesFolder(inputs.Rootfs.Names))
            : null;
        var fileSystems = disk.Partitions
            .Select(p => (Partition: p, Board: board.Partition(p.Spec.Name)!))
            .Where(p => p.Board.FileSystem != FileSystemKind.None && p.Board.Role != PartitionRole.RootB)
            .Select(p => FileSystem(inputs, p.Partition, p.Board, boot, root, modules, problems))
            .OfType<FileSystemPlan>().ToList();
        return new()
        {
            Board = board,
            Image = inputs.Deploy.Image,
            Machine = inputs.Deploy.Machine,
            Version = inputs.Version,
            KernelVersion = inputs.KernelVersion,
            BuilderVersion = inputs.BuilderVersion,
            Identity = inputs.Identity,
            Time = inputs.Time,
            Disk = disk,
            FileSystems = fileSystems,
            CommandLine = commandLine,
            Boot = boot,
            Rootfs = inputs.Deploy.Rootfs,
            RootfsType = inputs.Deploy.RootfsType,
            Replaced = RootEntries.Replaced(root, inputs.Rootfs.Names),
            Root = root,
            Modules = modules,
            Blobs = [.. RawBlobs(inputs).Select(b => b.File)],
            Packages = inputs.Deploy.Packages,
            Allocated = fileSystems.Sum(f => f.Need) + (8L << 20),
        };
    }

    private static DiskPlan? LayOut(PlanInputs inputs, Problems problems)
    {
        try
        {
            var firmware = RawBlobs(inputs).Select(b => (b.Blob, b.File.Name, b.File.Size));
            return DiskPlan.For(BoardDisk.Spec(inputs.Board, inputs.Identity.For("disk"), inputs.Identity.For, firmware));
        }
        catch (ImageException e)
        {
            problems.Add(e.Message);
            return null;
        }
    }

    private static IEnumerable<PlacedBlob> RawBlobs(PlanInputs inputs) => inputs.Deploy.Blobs.Where(b => b.Blob.Place is not BlobPlace.InBootFile);

    private static FileSystemPlan? FileSystem(
        PlanInputs inputs, PartitionPlan partition, BoardPartition board, IReadOnlyList<BootEntry> boot, IReadOnlyList<RootEntry> root, PlacedFile? modules, Problems problems)
    {
        var plan = new FileSystemPlan
        {
            Partition = partition,
            Role = board.Role,
            Kind = board.FileSystem,
            Label = board.Name,
            Uuid = inputs.Identity.For(board.Name + " file system"),
            HashSeed = inputs.Identity.For(board.Name + " hash seed"),
        };
        try
        {
            return board.FileSystem switch
            {
                FileSystemKind.Vfat => Fat(plan, inputs, boot, problems),
                FileSystemKind.Ext4 when board.Role == PartitionRole.RootA => Root(plan, inputs, root, modules, problems),
                FileSystemKind.Ext4 => Empty(plan),
                _ => throw new ImageException(ImageErrorKind.Unsupported, $"Partition {board.Name} of board {inputs.Board.Name} is to be {board.FileSystem}, which the builder does not write yet; use ext4."),
            };
        }
        catch (ImageException e)
        {
            problems.Add(e.Message);
            return null;
        }
    }

    private static FileSystemPlan Fat(FileSystemPlan plan, PlanInputs inputs, IReadOnlyList<BootEntry> boot, Problems problems)
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

    private static FileSystemPlan Root(FileSystemPlan plan, PlanInputs inputs, IReadOnlyList<RootEntry> root, PlacedFile? modules, Problems problems)
    {
        var blocks = inputs.Rootfs.Blocks + root.Sum(r => Math.Max(1, ((r.Source?.Size ?? 0) + Block - 1) / Block)) + (modules is null ? 0 : inputs.Modules!.Blocks);
        var inodes = inputs.Rootfs.Inodes + root.Count + (modules is null ? 0 : inputs.Modules!.Inodes) + 11;
        // As many inodes as the content needs, an eighth more, but never fewer than one for 16 KiB.
        var density = 16384;
        while (density > 4096 && plan.Partition.Size / density < inodes * 9 / 8) density /= 2;
        plan = plan with { BytesPerInode = density };
        var layout = Ext4Layout.For(FileSystemOptions.Ext4(plan, inputs.Time));
        var need = blocks * Block;
        var room = layout.FreeBlocks * Block;
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
}
