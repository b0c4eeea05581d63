using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Everything the builder knows of a board: the content of one file in <c>board-configs/</c>, read and checked. Immutable.</summary>
internal sealed record Board
{
    public required string Name { get; init; }
    public required string Title { get; init; }
    public required BoardArch Arch { get; init; }

    /// <summary>The Yocto MACHINEs whose deploy directories fit this board.</summary>
    public required IReadOnlyList<string> Machines { get; init; }
    public string? Layer { get; init; }
    public string? Tune { get; init; }
    public required Medium Medium { get; init; }
    public required BoardArtifacts Artifacts { get; init; }
    public required TableForm Table { get; init; }

    /// <summary>Raw blobs and firmware files, in the order of the file.</summary>
    public IReadOnlyList<Blob> Firmware { get; init; } = [];

    /// <summary>Firmware that is not on the medium at all; null when everything is.</summary>
    public ExternalFirmware? ExternalFirmware { get; init; }
    public required IReadOnlyList<BoardPartition> Partitions { get; init; }

    /// <summary>Further files for the boot partition (Yocto's IMAGE_BOOT_FILES).</summary>
    public IReadOnlyList<BootFile> BootFiles { get; init; } = [];
    public required BootForm Boot { get; init; }
    public required SlotForm Slots { get; init; }

    /// <summary>Kernel modules needed to reach the root, when they are not built in; those the kernel does not have are passed over.</summary>
    public IReadOnlyList<string> InitramfsModules { get; init; } = [];
    public QemuForm? Qemu { get; init; }
    public required BoardStatus Status { get; init; }

    /// <summary>What nobody has proven yet, one sentence each.</summary>
    public IReadOnlyList<string> Unproven { get; init; } = [];

    /// <summary>Where the facts come from.</summary>
    public required IReadOnlyList<string> Sources { get; init; }

    /// <summary>Where each value stands in its file, by path (<c>firmware[1].offset</c>); of parents too.</summary>
    public required IReadOnlyDictionary<string, Place> Places { get; init; }

    /// <summary>SHA-256 of the texts it was read from, in hexadecimal.</summary>
    public string Digest { get; init; } = "";

    /// <summary>The board with another file system in its root slots.</summary>
    public Board WithRoot(FileSystemKind kind) => this with
    {
        Partitions = [.. Partitions.Select(p => p.Role is PartitionRole.RootA or PartitionRole.RootB && p.FileSystem != FileSystemKind.None ? p with { FileSystem = kind } : p)],
    };

    /// <summary>The partition with a role, or null. Reserved partitions share theirs: ask for them by name.</summary>
    public BoardPartition? Partition(PartitionRole role) => Partitions.FirstOrDefault(p => p.Role == role);

    public BoardPartition? Partition(string name) => Partitions.FirstOrDefault(p => p.Name == name);
}

internal enum BoardArch { Aarch64, X8664 }

internal enum BoardStatus { LayoutOnly, ProvenQemu, ProvenHardware }

internal enum MediumKind { Run, Install }

internal enum MediumBus { SdCard, Emmc, Nvme, Usb, Sata, Virtio, Ufs }

/// <summary>What the image is written to.</summary>
/// <param name="Kind">Whether the board runs from this medium, or installs itself from it.</param>
/// <param name="Buses">The kinds of disk the image boots from.</param>
/// <param name="Device">The disk's name on the board when it is always the same, such as <c>/dev/mmcblk1</c>.</param>
internal sealed record Medium(MediumKind Kind, IReadOnlyList<MediumBus> Buses, string? Device);

internal enum KernelType { Image, ImageGz, BzImage, FitImage, AndroidBootImage }

/// <summary>A file of the deploy directory: the first of <paramref name="Files"/> that is there. Each is a name or a glob.</summary>
internal record Artifact(IReadOnlyList<string> Files, bool Optional = false);

/// <summary>The kernel and its form.</summary>
internal sealed record KernelArtifact(IReadOnlyList<string> Files, KernelType Type) : Artifact(Files);

/// <summary>A device tree or overlay, and the folder it goes to: below the slot's own, or from the top of the boot partition when it begins with /.</summary>
internal sealed record TreeArtifact(IReadOnlyList<string> Files, bool Optional, string Dest) : Artifact(Files, Optional);

/// <summary>What to take from the deploy directory. Null: found by bitbake's own naming rules, or not used.</summary>
internal sealed record BoardArtifacts
{
    public required KernelArtifact Kernel { get; init; }
    public IReadOnlyList<TreeArtifact> DeviceTrees { get; init; } = [];
    public IReadOnlyList<TreeArtifact> Overlays { get; init; } = [];

    /// <summary>Null: IMAGE-MACHINE.rootfs.* and its kirkstone form, whatever IMAGE is.</summary>
    public Artifact? Rootfs { get; init; }

    /// <summary>Null: modules-MACHINE.tgz, when it is there.</summary>
    public Artifact? Modules { get; init; }
    public Artifact? Initramfs { get; init; }
    public Artifact? Microcode { get; init; }
}

/// <summary>The partition table.</summary>
internal sealed record TableForm
{
    public required TableKind Kind { get; init; }

    /// <summary>No partition starts before this byte.</summary>
    public required long FirstOffset { get; init; }
    public required long Alignment { get; init; }
    public required int SectorSize { get; init; }

    /// <summary>First sector of the GPT entries: 2, unless the boot ROM reads its own data there.</summary>
    public required long EntriesLba { get; init; }
}

/// <summary>Where a blob goes.</summary>
internal abstract record BlobPlace
{
    private BlobPlace() { }

    /// <summary>At a byte of the disk.</summary>
    /// <param name="Offset">First byte on the disk.</param>
    /// <param name="Skip">Bytes of the file that are left out at its start.</param>
    /// <param name="Length">Bytes that are written; null for all.</param>
    /// <param name="Preserve">Byte ranges of the disk that are not overwritten.</param>
    public sealed record AtOffset(long Offset, long Skip, long? Length, IReadOnlyList<ByteRange> Preserve) : BlobPlace;

    /// <summary>The whole of a partition, from its first byte.</summary>
    public sealed record InPartition(string Partition) : BlobPlace;

    /// <summary>A file of the boot partition.</summary>
    public sealed record InBootFile(string Path) : BlobPlace;
}

/// <summary>A piece of firmware.</summary>
internal sealed record Blob
{
    /// <summary>Names in the deploy directory; the first that is there is taken.</summary>
    public required IReadOnlyList<string> Files { get; init; }
    public required BlobPlace Place { get; init; }

    /// <summary>The most bytes it may take on the disk; null only where its place bounds it (a partition, a file).</summary>
    public long? MaxSize { get; init; }
    public bool Optional { get; init; }

    /// <summary>Silicon variant: of the blobs with the same place and different variants exactly one may be present.</summary>
    public string? Variant { get; init; }

    /// <summary>The bytes of the disk that it may touch, preserved ranges included; null when it is not at an offset.</summary>
    public ByteRange? Extent => Place is BlobPlace.AtOffset at && (at.Length ?? MaxSize) is { } length ? new(at.Offset, length) : null;
}

internal enum FirmwareHome { Spi, EmmcBoot, Eeprom, Mainboard, Ufs }

/// <summary>Firmware the board brings along and the image relies on.</summary>
internal sealed record ExternalFirmware(FirmwareHome Where, string? MinVersion, string? Note);

internal enum PartitionRole { Boot, RootA, RootB, State, Data, Reserved }

internal enum FileSystemKind { None, Vfat, Ext4, Squashfs, Erofs }

/// <summary>A partition, in table order.</summary>
internal sealed record BoardPartition
{
    public required PartitionRole Role { get; init; }

    /// <summary>GPT name and file-system label.</summary>
    public required string Name { get; init; }
    public required FileSystemKind FileSystem { get; init; }

    /// <summary>Bytes in the image; data grows from this at first boot.</summary>
    public required long Size { get; init; }

    /// <summary>Fixed first byte, for partitions that firmware finds by place; null for the next free one.</summary>
    public long? Offset { get; init; }
    public required Guid GptType { get; init; }

    /// <summary>Fixed PARTUUID, where firmware knows the partition by it; null for one derived from the build.</summary>
    public Guid? Id { get; init; }
    public required byte MbrType { get; init; }

    /// <summary>MBR active flag; on GPT the legacy-boot attribute, which U-Boot's distro boot looks for.</summary>
    public bool Active { get; init; }

    /// <summary>Grows to the end of the disk at first boot.</summary>
    public bool Grow { get; init; }
}

/// <summary>Yocto's IMAGE_BOOT_FILES: a name or glob of the deploy directory, and where it goes on the boot partition (a folder when it ends in /).</summary>
internal sealed record BootFile(string Source, string Dest, bool Optional);

internal enum BootFlow { Uefi, UBoot, RpiFirmware, Bios, TegraCboot, QcomLk }

internal enum BootLoader { None, SystemdBoot, Grub, UBootExtlinux, UBootScript, Uki }

internal enum RootBy { PartUuid, PartLabel, Label, Uuid }

/// <summary>A kernel console; the last of the list is /dev/console.</summary>
internal sealed record BoardConsole(string Tty, int? Baud)
{
    /// <summary>As the kernel command line wants it: <c>ttyS0,115200</c>.</summary>
    public override string ToString() => Baud is { } baud ? $"{Tty},{baud}" : Tty;
}

/// <summary>How the board boots.</summary>
internal sealed record BootForm
{
    public required BootFlow Flow { get; init; }
    public required BootLoader Loader { get; init; }

    /// <summary>The loader's own file and its path on the boot partition; null when firmware brings the loader.</summary>
    public LoaderFile? LoaderFile { get; init; }
    public IReadOnlyList<BoardConsole> Consoles { get; init; } = [];
    public IReadOnlyList<string> KernelArgs { get; init; } = [];
    public required RootBy RootBy { get; init; }

    /// <summary>Where the board's U-Boot keeps its environment; null when it has none (UEFI, Raspberry Pi firmware).</summary>
    public UBootEnvironment? Environment { get; init; }
    public RpiForm? Rpi { get; init; }
}

internal sealed record LoaderFile(IReadOnlyList<string> Files, string Dest);

internal enum EnvironmentHome { Nowhere, Mmc, Fat, Spi, EmmcBoot, Partition }

/// <summary>U-Boot's environment as its default build has it.</summary>
internal sealed record UBootEnvironment
{
    public required EnvironmentHome Where { get; init; }
    public long? Offset { get; init; }
    public long? RedundantOffset { get; init; }
    public long? Size { get; init; }

    /// <summary>The ranges of the disk it takes; none unless it lies on the disk itself.</summary>
    public IReadOnlyList<ByteRange> Ranges
    {
        get
        {
            if (Where != EnvironmentHome.Mmc || Offset is not { } offset || Size is not { } size) return [];
            return RedundantOffset is { } second ? [new(offset, size), new(second, size)] : [new(offset, size)];
        }
    }
}

/// <summary>What the Raspberry Pi's firmware needs.</summary>
/// <param name="KernelName">Name of the kernel (or of U-Boot) on the boot partition.</param>
/// <param name="ConfigTxt">Lines for config.txt.</param>
internal sealed record RpiForm(string KernelName, IReadOnlyList<string> ConfigTxt);

internal enum SlotScheme { None, SystemdBootCounter, GrubEnv, UBootBootcount, RpiTryboot, TegraBootControl, RaucBootMethod }

internal enum SlotStoreKind { FileName, File, GrubEnv, UBootEnvironment, FirmwareFlag }

/// <summary>How the two roots take turns.</summary>
internal sealed record SlotForm
{
    public required SlotScheme Scheme { get; init; }

    /// <summary>Boots of a new slot before the old one comes back.</summary>
    public int Limit { get; init; } = 3;

    /// <summary>Where the count is kept; null only for scheme none.</summary>
    public SlotStoreKind? Store { get; init; }

    /// <summary>Path on the boot partition, for stores that are files.</summary>
    public string? Path { get; init; }

    /// <summary>The U-Boot of this board renames files on FAT (CONFIG_FAT_RENAME): then systemd-boot can count on it.</summary>
    public bool FatRename { get; init; }
}

/// <summary>How QEMU runs an image of this board.</summary>
internal sealed record QemuForm
{
    public required string Machine { get; init; }
    public string? Cpu { get; init; }
    public required long Memory { get; init; }
    public required QemuFirmware Firmware { get; init; }
    public required QemuDisk Disk { get; init; }

    /// <summary>What such a run shows, and what it does not.</summary>
    public required string Proves { get; init; }
}

internal enum QemuFirmware { None, Ovmf, Aavmf, SeaBios, UBootQemuArm64, UBootRpi3 }

internal enum QemuDisk { Virtio, Sd, Nvme, Usb, Sata, Scsi }
