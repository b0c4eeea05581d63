using static OsBuild.ImageBuilder.Boards.FormType;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Every key of a board file. Terms are Yocto's, U-Boot's and GPT's own.</summary>
internal static class BoardForm
{
    public const int Version = 1;

    public static readonly Text FileName = new("a file name of the deploy directory, or a glob", @"^[^\s/\\][^\s\\]*$");

    private static readonly Text Line = new();
    private static readonly OneOrMany Files = new(FileName);
    private static readonly Text Slug = new("lower-case letters, digits and hyphens", "^[a-z0-9]+(-[a-z0-9]+)*$");
    private static readonly Text BootPath = new("a path on the boot partition such as EFI/BOOT/BOOTX64.EFI", @"^[^\s\\:*?""<>|]+$");

    private static readonly FormKey Optional = new("optional", new Flag(), "Whether the image may be built without it; false unless said.");

    private static readonly Map Input = new(
        new FormKey("file", Files, "Name or glob in the deploy directory; of a list the first that is there is taken.", true),
        Optional);

    private static readonly Map Tree = new(
        new FormKey("file", Files, "Name or glob in the deploy directory; of a list the first that is there is taken.", true),
        new FormKey("dest", BootPath, "Folder below the slot's own, or from the top of the boot partition when it begins with /; dtbs go into the slot's own folder and overlays into overlays/ there unless said."),
        Optional);

    private static readonly Map Artifacts = new(
        new FormKey("kernel", new Map(
            new FormKey("file", Files, "The kernel's name in the deploy directory (KERNEL_IMAGETYPE).", true),
            new FormKey("type", Choice.Of(Words.Kernel), "What kind of kernel it is.", true)), "The kernel.", true),
        new FormKey("dtbs", new List(Tree), "Device trees; none when they are inside a FIT or the firmware gives one."),
        new FormKey("overlays", new List(Tree), "Device tree overlays."),
        new FormKey("rootfs", Input, "The root file system; found by bitbake's naming rules unless said."),
        new FormKey("modules", Input, "Kernel modules; modules-MACHINE.tgz, when it is there, unless said."),
        new FormKey("initramfs", Input, "An initramfs from the deploy directory; the builder makes its own unless said."),
        new FormKey("microcode", Input, "CPU microcode as a cpio, loaded before the initramfs."));

    private static readonly Map Table = new(
        new FormKey("type", Choice.Of(Words.Table), "The kind of partition table.", true),
        new FormKey("first_offset", new Size(512), "No partition starts before this byte; raw blobs live below it."),
        new FormKey("alignment", new Size(512), "Alignment of partitions; 4MiB unless said."),
        new FormKey("entries_lba", new Whole(2, 65536), "First sector of the GPT entries; 2 unless a boot ROM reads something else there."),
        new FormKey("sector_size", new Whole(512, 4096), "Bytes of a sector, 512 or 4096; 512 unless said."));

    private static readonly Map Blob = new(
        new FormKey("file", Files, "Name in the deploy directory; of a list the first that is there is taken.", true),
        new FormKey("offset", new Size(), "First byte on the disk; instead of `partition` or `path`."),
        new FormKey("skip", new Size(), "Bytes of the file that are left out at its start."),
        new FormKey("length", new Size(), "Bytes that are written; all unless said."),
        new FormKey("preserve", new List(new Map(
            new FormKey("from", new Size(), "First byte of the disk that is kept.", true),
            new FormKey("to", new Size(), "First byte after it.", true)), 1), "Byte ranges of the disk that the blob must not overwrite."),
        new FormKey("max_size", new Size(), "The most bytes it may take on the disk; checked against everything else there."),
        new FormKey("partition", Line, "Name of the partition it fills; instead of `offset` or `path`."),
        new FormKey("path", BootPath, "Path on the boot partition; instead of `offset` or `partition`."),
        new FormKey("variant", Slug, "Silicon variant: exactly one of the variants for one place may be in the deploy directory."),
        Optional);

    private static readonly Map Partition = new(
        new FormKey("role", Choice.Of(Words.Role), "What it is for.", true),
        new FormKey("name", new Text("at most 36 letters, digits, . _ -", "^[A-Za-z0-9._-]{1,36}$"), "GPT name and file-system label; the role unless said."),
        new FormKey("fs", Choice.Of(Words.FileSystem), "File system; vfat for boot, ext4 for roots, state and data, none for reserved unless said."),
        new FormKey("size", new Size(512), "Bytes in the image; root-b has root-a's unless said."),
        new FormKey("offset", new Size(512), "Fixed first byte, where firmware looks for it; else the next free place."),
        new FormKey("type", new PartitionType(), "Partition type; by role, processor and boot flow unless said."),
        new FormKey("id", new Text("a GUID", "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"), "Fixed PARTUUID, where firmware knows the partition by it; else derived from the build."),
        new FormKey("active", new Flag(), "MBR active flag; on GPT the legacy-boot attribute."),
        new FormKey("grow", new Flag(), "Grows to the end of the disk at first boot; true for data unless said."));

    private static readonly Map Boot = new(
        new FormKey("flow", Choice.Of(Words.Flow), "Who reads the medium first.", true),
        new FormKey("loader", Choice.Of(Words.Loader), "What loads the kernel.", true),
        new FormKey("loader_file", new Map(
            new FormKey("file", Files, "The loader's name in the deploy directory.", true),
            new FormKey("dest", BootPath, "Its path on the boot partition.", true)), "The loader's own file, when it is on the boot partition."),
        new FormKey("consoles", new List(new Map(
            new FormKey("tty", new Text("a console such as ttyS0", "^(tty[A-Za-z]*|hvc)[0-9]+$"), "Name of the kernel's console.", true),
            new FormKey("baud", new Whole(1200, 4000000), "Speed of a serial console."))), "Kernel consoles; the last one becomes /dev/console."),
        new FormKey("kernel_args", new List(new Text("one kernel argument", @"^\S+$")), "Further kernel arguments."),
        new FormKey("root_by", Choice.Of(Words.RootBy), "How the kernel finds its root; PARTUUID unless said."),
        new FormKey("environment", new Map(
            new FormKey("where", Choice.Of(Words.EnvironmentHome), "Where it is kept.", true),
            new FormKey("offset", new Size(), "First byte on the medium."),
            new FormKey("redundant_offset", new Size(), "First byte of the second copy."),
            new FormKey("size", new Size(), "Bytes of one copy.")), "Environment of the board's U-Boot, as its default build has it."),
        new FormKey("rpi", new Map(
            new FormKey("kernel_name", FileName, "Name of the kernel on the boot partition.", true),
            new FormKey("config_txt", new List(Line), "Lines for config.txt.")), "What the Raspberry Pi's firmware needs."));

    private static readonly Map Slots = new(
        new FormKey("scheme", Choice.Of(Words.Scheme), "How a bad update is left behind.", true),
        new FormKey("limit", new Whole(1, 9), "Boots of a new slot before the old one comes back; 3 unless said."),
        new FormKey("store", Choice.Of(Words.Store), "Where the count is kept."),
        new FormKey("path", BootPath, "Path on the boot partition, when the store is a file."),
        new FormKey("fat_rename", new Flag(), "The board's U-Boot renames files on FAT (CONFIG_FAT_RENAME); false unless said."));

    private static readonly Map Qemu = new(
        new FormKey("machine", Line, "QEMU's -machine.", true),
        new FormKey("cpu", Line, "QEMU's -cpu."),
        new FormKey("memory", new Size(1 << 20), "Memory of the guest.", true),
        new FormKey("firmware", Choice.Of(Words.QemuFirmware), "What starts the image.", true),
        new FormKey("disk", Choice.Of(Words.QemuDisk), "How the image is attached; virtio unless said."),
        new FormKey("proves", Line, "What such a run shows, and what it does not.", true));

    /// <summary>The whole file.</summary>
    public static readonly Map Root = new(
        new FormKey("schema", new Whole(Version, Version), "Version of this form.", true),
        new FormKey("extends", Slug, "A file of families/ whose keys this one completes or replaces."),
        new FormKey("name", Slug, "The board's name on the command line; the name of the file.", true),
        new FormKey("title", Line, "The board's name for people.", true),
        new FormKey("arch", Choice.Of(Words.Arch), "Processor; it picks the supervisor.", true),
        new FormKey("machines", new List(new Text("a Yocto MACHINE", "^[A-Za-z0-9._-]+$"), 1), "The Yocto MACHINEs whose deploy directories fit.", true),
        new FormKey("layer", Line, "The Yocto layer that has the MACHINE."),
        new FormKey("tune", Line, "Yocto's DEFAULTTUNE."),
        new FormKey("medium", new Map(
            new FormKey("kind", Choice.Of(Words.MediumKind), "Run from it, or install from it; run unless said."),
            new FormKey("bus", new List(Choice.Of(Words.Bus), 1), "The kinds of disk the image boots from.", true),
            new FormKey("device", new Text("a device such as /dev/mmcblk1", "^/dev/[a-z0-9/-]+$"), "The disk's name on the board, when it is always the same.")),
            "What the image is written to.", true),
        new FormKey("artifacts", Artifacts, "What to take from the deploy directory.", true),
        new FormKey("partition_table", Table, "The partition table.", true),
        new FormKey("firmware", new List(Blob), "Boot loaders and firmware: raw blobs, partitions or files of the boot partition."),
        new FormKey("external_firmware", new Map(
            new FormKey("where", Choice.Of(Words.FirmwareHome), "Where it is.", true),
            new FormKey("min_version", Line, "The oldest version that works."),
            new FormKey("note", Line, "How it gets there.")), "Firmware that is not on the medium, but must be on the board."),
        new FormKey("partitions", new List(Partition, 1), "The partitions, in table order.", true),
        new FormKey("boot_files", new List(new Map(
            new FormKey("src", FileName, "Name or glob, relative to the deploy directory.", true),
            new FormKey("dest", BootPath, "Path on the boot partition; a folder when it ends in /.", true),
            Optional)), "Further files for the boot partition (Yocto's IMAGE_BOOT_FILES)."),
        new FormKey("boot", Boot, "How the board boots.", true),
        new FormKey("slots", Slots, "How the two roots take turns.", true),
        new FormKey("initramfs_modules", new List(new Text("the name of a kernel module", "^[A-Za-z0-9_-]+$")),
            "Kernel modules needed to reach the root; what the kernel has built in or does not have is passed over."),
        new FormKey("qemu", Qemu, "How QEMU runs an image of this board."),
        new FormKey("status", Choice.Of(Words.Status), "What has been proven.", true),
        new FormKey("unproven", new List(Line), "What nobody has proven yet, one sentence each."),
        new FormKey("sources", new List(Line, 1), "Where the facts come from.", true));
}
