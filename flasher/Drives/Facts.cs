namespace OsBuild.Flasher.Drives;

/// <summary>What a node in the stack of block devices is.</summary>
internal enum NodeKind
{
    /// <summary>Nobody knows.</summary>
    Unknown,

    /// <summary>A whole disk, stick or card.</summary>
    Disk,

    /// <summary>A part of a disk, or a volume on one.</summary>
    Partition,

    /// <summary>LVM, dm-crypt, multipath, a BitLocker or FileVault mapping.</summary>
    Mapped,

    /// <summary>RAID, Storage Spaces, an APFS container: made of one or more others.</summary>
    Pool,

    /// <summary>A disk made from a file.</summary>
    Loop,

    /// <summary>A file in a file system; only those that matter are here.</summary>
    File,

    /// <summary>RAM disk or compressed swap.</summary>
    Ram,

    /// <summary>CD, DVD.</summary>
    Optical,

    /// <summary>Boot areas and the like of an eMMC or UFS.</summary>
    HardwarePartition,
}

/// <summary>A block device, or a file that is one for somebody.</summary>
/// <param name="Name">Its name, unique in the system.</param>
/// <param name="Kind">What it is.</param>
/// <param name="On">What it lies on: writing to those changes this one.</param>
internal sealed record Node(string Name, NodeKind Kind, IReadOnlyList<string> On)
{
    /// <summary>A name that tells people more, such as <c>vg0-root</c>.</summary>
    public string? Title { get; init; }
}

/// <summary>How something is used.</summary>
internal enum UseKind
{
    /// <summary>Nobody knows how, but it is.</summary>
    Unknown,

    /// <summary>Mounted where this program sees it.</summary>
    Mount,

    /// <summary>Mounted where only others see it: in a container, a private namespace.</summary>
    MountElsewhere,

    /// <summary>Part of the running system: its root, Windows' or macOS' own volumes.</summary>
    System,

    /// <summary>The boot or EFI partition that started the system.</summary>
    Boot,

    /// <summary>Swap space or a page file.</summary>
    Swap,

    /// <summary>A place for hibernation.</summary>
    Hibernation,

    /// <summary>A file system that is active although no mount of it is visible.</summary>
    HiddenFileSystem,

    /// <summary>One of several disks of a file system or pool that is active.</summary>
    Member,

    /// <summary>A program has it open for writing.</summary>
    Open,

    /// <summary>The image to be written lies here.</summary>
    Image,

    /// <summary>This program lies here.</summary>
    Program,
}

/// <summary>A use of a node.</summary>
/// <param name="Node">Name of the node.</param>
/// <param name="Kind">How.</param>
/// <param name="What">The mount point, the process, the file.</param>
internal sealed record Use(string Node, UseKind Kind, string What);

/// <summary>A disk as lists show it.</summary>
internal sealed record Disk
{
    /// <summary>What a person types: <c>/dev/sdb</c>, <c>\\.\PhysicalDrive2</c>, <c>/dev/disk4</c>.</summary>
    public required string Device { get; init; }

    /// <summary>Name of its node.</summary>
    public required string Node { get; init; }

    /// <summary>Device number (<c>8:16</c>), where there is one.</summary>
    public string Number { get; init; } = "";

    /// <summary>Size in bytes; 0 without a medium.</summary>
    public long Size { get; init; }

    public int SectorSize { get; init; } = 512;

    public string Model { get; init; } = "";

    public string Serial { get; init; } = "";

    /// <summary>World-wide id, where there is one.</summary>
    public string Wwid { get; init; } = "";

    /// <summary>usb, sd, mmc, nvme, sata, scsi, virtio, loop ...</summary>
    public string Transport { get; init; } = "";

    /// <summary>A stick, a card or an external disk: what people pull out.</summary>
    public bool Removable { get; init; }

    public bool ReadOnly { get; init; }

    /// <summary>The kernel's count of disks that have appeared: never the same twice.</summary>
    public long Sequence { get; init; }

    /// <summary>What the disk holds, for people: labels and kinds of its file systems.</summary>
    public IReadOnlyList<string> Holds { get; init; } = [];

    /// <summary>What could not be found out about this disk. Each is a reason to refuse it.</summary>
    public IReadOnlyList<string> Unseen { get; init; } = [];

    /// <summary>Whether the kernel lends it out: someone has claimed it or a part of it for himself.</summary>
    public bool Claimed { get; init; }
}

/// <summary>The systems that tell about their disks.</summary>
internal enum SystemKind
{
    Linux,
    Windows,
    MacOs,
}

/// <summary>Everything a verdict needs to know about this machine. Plain data: collected by one file per system, judged by <see cref="Judge"/>.</summary>
internal sealed record SystemFacts
{
    public SystemKind System { get; init; }

    public IReadOnlyList<Disk> Disks { get; init; } = [];

    public IReadOnlyList<Node> Nodes { get; init; } = [];

    public IReadOnlyList<Use> Uses { get; init; } = [];

    /// <summary>What could not be looked at in the whole machine. Each is a reason to refuse every disk.</summary>
    public IReadOnlyList<string> Unseen { get; init; } = [];
}
