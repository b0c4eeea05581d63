using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images.Partitions;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>Where the bytes of a planned file come from.</summary>
internal abstract record Source
{
    private Source() { }

    /// <summary>Bytes of the file.</summary>
    public abstract long Size { get; }

    /// <summary>A file of the deploy directory or of the user.</summary>
    public sealed record FromFile(InputFile File) : Source
    {
        public override long Size => File.Size;

        public override string ToString() => File.Name;
    }

    /// <summary>Bytes that the builder made.</summary>
    public sealed record Made(ReadOnlyMemory<byte> Bytes) : Source
    {
        public override long Size => Bytes.Length;

        public override string ToString() => "made by the builder";
    }
}

/// <summary>A file of the boot partition.</summary>
internal sealed record BootEntry(string Path, Source Source);

/// <summary>An entry of the root file system that the archive does not have.</summary>
internal sealed record RootEntry(Node Node, Source? Source);

/// <summary>A file system in its partition.</summary>
internal sealed record FileSystemPlan
{
    public required PartitionPlan Partition { get; init; }
    public required PartitionRole Role { get; init; }
    public required FileSystemKind Kind { get; init; }
    public required string Label { get; init; }
    public required Guid Uuid { get; init; }
    public required Guid HashSeed { get; init; }

    /// <summary>Journal of an ext4 file system in bytes; 0 for none.</summary>
    public long Journal { get; init; }

    /// <summary>Bytes per inode of an ext4 file system.</summary>
    public int BytesPerInode { get; init; } = 16384;

    /// <summary>What its content takes, in bytes, as far as it is known before it is written.</summary>
    public long Need { get; init; }

    /// <summary>What it has for content, in bytes.</summary>
    public long Room { get; init; }
}

/// <summary>The disk, and what goes onto its boot partition.</summary>
internal sealed record BootPlan(DiskPlan Disk, string CommandLine, IReadOnlyList<BootEntry> Files, FileSystemPlan FileSystem);

/// <summary>Everything about an image before its first byte is written. Plain data.</summary>
internal sealed record ImagePlan
{
    public required BootInputs Inputs { get; init; }

    public required DiskPlan Disk { get; init; }
    public required IReadOnlyList<FileSystemPlan> FileSystems { get; init; }
    public required string CommandLine { get; init; }
    public required IReadOnlyList<BootEntry> Boot { get; init; }

    /// <summary>Paths of the archive that the builder's own entries replace.</summary>
    public required IReadOnlySet<string> Replaced { get; init; }

    public required IReadOnlyList<RootEntry> Root { get; init; }

    /// <summary>A modules archive whose content goes into the root, and the folder it goes to; null when the root has its own.</summary>
    public PlacedFile? Modules { get; init; }

    /// <summary>Bytes that will be allocated on disk, as an upper estimate.</summary>
    public long Allocated { get; init; }

    public Board Board => Inputs.Board;

    public DeployContent Deploy => Inputs.Deploy;

    public Identity Identity => Inputs.Identity;

    public string FileName => Inputs.FileName;

    public FileSystemPlan this[PartitionRole role] => FileSystems.First(f => f.Role == role);
}
