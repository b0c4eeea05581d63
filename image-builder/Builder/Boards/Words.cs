using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>How the values of an enum are spelled in board files. The one place for reader, schema and listings.</summary>
internal sealed class Words<T>((string Word, T Value, string Means)[] all)
    where T : struct, Enum
{
    /// <summary>Word, value and meaning, in the order in which they are shown.</summary>
    public IReadOnlyList<(string Word, T Value, string Means)> All => all;

    public T? Find(string word)
    {
        foreach (var entry in all)
            if (entry.Word == word) return entry.Value;
        return null;
    }

    public string Of(T value) => Array.Find(all, e => EqualityComparer<T>.Default.Equals(e.Value, value)).Word;
}

/// <summary>The spellings.</summary>
internal static class Words
{
    public static readonly Words<BoardArch> Arch = new([
        ("aarch64", BoardArch.Aarch64, "64-bit Arm"),
        ("x86_64", BoardArch.X8664, "64-bit PC")]);

    public static readonly Words<BoardStatus> Status = new([
        ("layout-only", BoardStatus.LayoutOnly, "only the layout was checked; nobody has booted it"),
        ("proven-qemu", BoardStatus.ProvenQemu, "an image of it boots in QEMU in this project's tests"),
        ("proven-hardware", BoardStatus.ProvenHardware, "an image of it was booted on the real board")]);

    public static readonly Words<MediumKind> MediumKind = new([
        ("run", Boards.MediumKind.Run, "the board runs from the medium"),
        ("install", Boards.MediumKind.Install, "the medium installs the board's internal disk")]);

    public static readonly Words<MediumBus> Bus = new([
        ("sdcard", MediumBus.SdCard, "SD card"), ("emmc", MediumBus.Emmc, "soldered eMMC"), ("nvme", MediumBus.Nvme, "NVMe drive"),
        ("usb", MediumBus.Usb, "USB drive"), ("sata", MediumBus.Sata, "SATA drive"), ("virtio", MediumBus.Virtio, "virtual disk"),
        ("ufs", MediumBus.Ufs, "UFS storage")]);

    public static readonly Words<KernelType> Kernel = new([
        ("Image", KernelType.Image, "arm64 kernel"), ("Image.gz", KernelType.ImageGz, "arm64 kernel, gzip"),
        ("bzImage", KernelType.BzImage, "x86 kernel"), ("fitImage", KernelType.FitImage, "U-Boot FIT with kernel and device trees"),
        ("android-bootimg", KernelType.AndroidBootImage, "Android boot image")]);

    public static readonly Words<TableKind> Table = new([
        ("gpt", TableKind.Gpt, "GUID partition table"), ("mbr", TableKind.Mbr, "DOS table; a fifth partition goes into an extended one"),
        ("hybrid", TableKind.Hybrid, "GPT with an MBR beside it")]);

    public static readonly Words<FirmwareHome> FirmwareHome = new([
        ("spi", Boards.FirmwareHome.Spi, "SPI, QSPI or HyperFlash"), ("emmc-boot", Boards.FirmwareHome.EmmcBoot, "a boot partition of the eMMC"),
        ("eeprom", Boards.FirmwareHome.Eeprom, "EEPROM"), ("mainboard", Boards.FirmwareHome.Mainboard, "UEFI or BIOS of the machine"),
        ("ufs", Boards.FirmwareHome.Ufs, "logical units of the UFS")]);

    public static readonly Words<PartitionRole> Role = new([
        ("boot", PartitionRole.Boot, "firmware files, loader, kernels, user configuration"),
        ("root-a", PartitionRole.RootA, "first root slot"), ("root-b", PartitionRole.RootB, "second root slot, empty in a new image"),
        ("state", PartitionRole.State, "identity, keys, update journal"), ("data", PartitionRole.Data, "engine store and volumes"),
        ("reserved", PartitionRole.Reserved, "kept for firmware")]);

    public static readonly Words<FileSystemKind> FileSystem = new([
        ("none", FileSystemKind.None, "nothing"), ("vfat", FileSystemKind.Vfat, "FAT32"), ("ext4", FileSystemKind.Ext4, "ext4"),
        ("squashfs", FileSystemKind.Squashfs, "squashfs"), ("erofs", FileSystemKind.Erofs, "erofs")]);

    public static readonly Words<BootFlow> Flow = new([
        ("uefi", BootFlow.Uefi, "UEFI firmware starts EFI/BOOT/BOOT*.EFI"), ("u-boot", BootFlow.UBoot, "U-Boot, from the medium or from flash"),
        ("rpi-firmware", BootFlow.RpiFirmware, "the Raspberry Pi's own firmware"), ("bios", BootFlow.Bios, "PC BIOS"),
        ("tegra-cboot", BootFlow.TegraCboot, "NVIDIA CBoot"), ("qcom-lk", BootFlow.QcomLk, "Qualcomm's Little Kernel")]);

    public static readonly Words<BootLoader> Loader = new([
        ("none", BootLoader.None, "firmware loads the kernel itself"), ("systemd-boot", BootLoader.SystemdBoot, "systemd-boot"),
        ("grub", BootLoader.Grub, "GRUB"), ("u-boot-extlinux", BootLoader.UBootExtlinux, "U-Boot reading extlinux.conf"),
        ("u-boot-script", BootLoader.UBootScript, "U-Boot running boot.scr"), ("uki", BootLoader.Uki, "unified kernel image")]);

    public static readonly Words<RootBy> RootBy = new([
        ("PARTUUID", Boards.RootBy.PartUuid, "id of the partition"), ("PARTLABEL", Boards.RootBy.PartLabel, "GPT name"),
        ("LABEL", Boards.RootBy.Label, "file-system label"), ("UUID", Boards.RootBy.Uuid, "file-system id")]);

    public static readonly Words<EnvironmentHome> EnvironmentHome = new([
        ("nowhere", Boards.EnvironmentHome.Nowhere, "defaults at every boot (ENV_IS_NOWHERE)"), ("mmc", Boards.EnvironmentHome.Mmc, "raw, on the medium"),
        ("fat", Boards.EnvironmentHome.Fat, "uboot.env on the boot partition"), ("spi", Boards.EnvironmentHome.Spi, "SPI flash"),
        ("emmc-boot", Boards.EnvironmentHome.EmmcBoot, "a boot partition of the eMMC"), ("partition", Boards.EnvironmentHome.Partition, "a partition of its own")]);

    public static readonly Words<SlotScheme> Scheme = new([
        ("none", SlotScheme.None, "no automatic way back"), ("systemd-boot-counter", SlotScheme.SystemdBootCounter, "systemd-boot renames entries (+3)"),
        ("grub-grubenv", SlotScheme.GrubEnv, "GRUB counts in grubenv"), ("u-boot-bootcount", SlotScheme.UBootBootcount, "boot.scr counts"),
        ("rpi-tryboot", SlotScheme.RpiTryboot, "one-shot tryboot flag of the Raspberry Pi firmware"),
        ("tegra-bootctrl", SlotScheme.TegraBootControl, "NVIDIA boot control"), ("rauc-bootmeth", SlotScheme.RaucBootMethod, "U-Boot's RAUC bootmeth")]);

    public static readonly Words<SlotStoreKind> Store = new([
        ("filename", SlotStoreKind.FileName, "in the names of the boot entries"), ("file", SlotStoreKind.File, "a file on the boot partition"),
        ("grubenv", SlotStoreKind.GrubEnv, "GRUB's 1024-byte environment"), ("u-boot-env", SlotStoreKind.UBootEnvironment, "U-Boot's own environment"),
        ("firmware-flag", SlotStoreKind.FirmwareFlag, "a flag the firmware keeps")]);

    public static readonly Words<QemuFirmware> QemuFirmware = new([
        ("none", Boards.QemuFirmware.None, "the machine's boot ROM reads the medium"), ("ovmf", Boards.QemuFirmware.Ovmf, "UEFI for x86-64 (OVMF)"),
        ("aavmf", Boards.QemuFirmware.Aavmf, "UEFI for arm64 (AAVMF)"), ("seabios", Boards.QemuFirmware.SeaBios, "PC BIOS"),
        ("u-boot/qemu_arm64", Boards.QemuFirmware.UBootQemuArm64, "U-Boot as -bios"), ("u-boot/rpi_3", Boards.QemuFirmware.UBootRpi3, "U-Boot as -kernel")]);

    public static readonly Words<QemuDisk> QemuDisk = new([
        ("virtio", Boards.QemuDisk.Virtio, "virtio-blk"), ("sd", Boards.QemuDisk.Sd, "SD card; its size must be a power of two"),
        ("nvme", Boards.QemuDisk.Nvme, "NVMe"), ("usb", Boards.QemuDisk.Usb, "USB storage"), ("sata", Boards.QemuDisk.Sata, "AHCI"),
        ("scsi", Boards.QemuDisk.Scsi, "virtio-scsi")]);
}
