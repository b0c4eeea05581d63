using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>Flow, loader, kernel and slots: only what the firmware can really do.</summary>
internal static class BoardBootChecks
{
    /// <summary>Arguments that the builder itself writes.</summary>
    private static readonly string[] OwnArguments = ["root=", "init=", "console=", "osbuild.", "rootfstype=", "ro", "rw"];

    public static void Check(Board board, Findings findings)
    {
        CheckLoader(board, findings);
        CheckKernel(board, findings);
        CheckScheme(board, findings);
        CheckStore(board, findings);
        CheckRaspberry(board, findings);
        CheckConsoles(board, findings);
        var own = board.Boot.KernelArgs.Select((a, i) => (Arg: a, Index: i)).Where(a => OwnArguments.Any(o => a.Arg == o || (o[^1] is '=' or '.' && a.Arg.StartsWith(o, StringComparison.Ordinal))));
        foreach (var (arg, index) in own)
            findings.Add($"boot.kernel_args[{index}]", $"`{arg}` is written by the builder", "remove it");
        foreach (var twice in board.InitramfsModules.Select((m, i) => (Module: m.Replace('-', '_'), Index: i)).GroupBy(m => m.Module).Where(g => g.Count() > 1))
            findings.Add($"initramfs_modules[{twice.Last().Index}]", $"module {twice.Key} is listed twice", "keep one of them");
    }

    private static void CheckLoader(Board board, Findings findings)
    {
        var boot = board.Boot;
        BootLoader[] allowed = boot.Flow switch
        {
            BootFlow.Uefi => [BootLoader.SystemdBoot, BootLoader.Grub, BootLoader.Uki],
            BootFlow.UBoot => [BootLoader.UBootExtlinux, BootLoader.UBootScript, BootLoader.SystemdBoot, BootLoader.Grub, BootLoader.Uki],
            BootFlow.Bios => [BootLoader.Grub],
            BootFlow.TegraCboot => [BootLoader.UBootExtlinux, BootLoader.None],
            _ => [BootLoader.None],
        };
        if (!allowed.Contains(boot.Loader))
            findings.Add("boot.loader", $"flow {Words.Flow.Of(boot.Flow)} does not start {Words.Loader.Of(boot.Loader)}", "use " + string.Join(" or ", allowed.Select(Words.Loader.Of)));
        var wantsFile = boot.Loader is BootLoader.SystemdBoot || (boot.Loader == BootLoader.Grub && boot.Flow != BootFlow.Bios);
        if (wantsFile && boot.LoaderFile is null)
            findings.Add("boot.loader", $"{Words.Loader.Of(boot.Loader)} is on the boot partition, but no file is named", "add `loader_file` with `file` and `dest`");
        if (boot.LoaderFile is not { } file) return;
        if (!wantsFile)
            findings.Add("boot.loader_file", $"{Words.Loader.Of(boot.Loader)} has no file of its own on the boot partition", "remove `loader_file`");
        var removable = board.Arch == BoardArch.X8664 ? "EFI/BOOT/BOOTX64.EFI" : "EFI/BOOT/BOOTAA64.EFI";
        if (wantsFile && !file.Dest.Trim('/').Equals(removable, StringComparison.OrdinalIgnoreCase))
            findings.Add("boot.loader_file.dest", $"firmware with no boot entries does not look at {file.Dest}", $"make it {removable} (UEFI 2.10 §3.5.1.1)");
    }

    private static void CheckKernel(Board board, Findings findings)
    {
        var type = board.Artifacts.Kernel.Type;
        var word = Words.Kernel.Of(type);
        if ((type == KernelType.BzImage) != (board.Arch == BoardArch.X8664))
            findings.Add("artifacts.kernel.type", $"{word} is no kernel for {Words.Arch.Of(board.Arch)}", board.Arch == BoardArch.X8664 ? "use bzImage" : "use Image");
        else if (type is KernelType.ImageGz or KernelType.FitImage && board.Boot.Loader is BootLoader.SystemdBoot or BootLoader.Uki)
            findings.Add("artifacts.kernel.type", $"{Words.Loader.Of(board.Boot.Loader)} starts EFI programs, and {word} is none", "use Image");
        else if ((type == KernelType.AndroidBootImage) != (board.Boot.Flow == BootFlow.QcomLk))
            findings.Add("artifacts.kernel.type", $"flow {Words.Flow.Of(board.Boot.Flow)} does not start {word}", board.Boot.Flow == BootFlow.QcomLk ? "Little Kernel wants android-bootimg" : "use Image or fitImage");
        if (board.Artifacts.Microcode is not null && board.Arch != BoardArch.X8664)
            findings.Add("artifacts.microcode", "only x86 has microcode", "remove `microcode`");
    }

    private static void CheckScheme(Board board, Findings findings)
    {
        var (boot, slots) = (board.Boot, board.Slots);
        var scheme = Words.Scheme.Of(slots.Scheme);
        var needs = slots.Scheme switch
        {
            SlotScheme.SystemdBootCounter when boot.Loader is not (BootLoader.SystemdBoot or BootLoader.Uki) => "loader systemd-boot",
            SlotScheme.GrubEnv when boot.Loader != BootLoader.Grub => "loader grub",
            SlotScheme.UBootBootcount or SlotScheme.RaucBootMethod when boot.Loader is not (BootLoader.UBootScript or BootLoader.UBootExtlinux) || boot.Flow != BootFlow.UBoot => "flow u-boot with a loader of U-Boot's",
            SlotScheme.RpiTryboot when boot.Flow != BootFlow.RpiFirmware => "flow rpi-firmware",
            SlotScheme.TegraBootControl when boot.Flow is not (BootFlow.TegraCboot or BootFlow.Uefi) => "flow tegra-cboot or uefi",
            _ => null,
        };
        if (needs is not null) findings.Add("slots.scheme", $"{scheme} needs {needs}", "choose the scheme that the board's boot flow can do");
        else if (slots.Scheme == SlotScheme.SystemdBootCounter && boot.Flow == BootFlow.UBoot && !slots.FatRename)
            findings.Add("slots.scheme", "systemd-boot counts by renaming files, which U-Boot 2023.01 and 2025.01 refuse: it would boot, never count and never go back",
                "use u-boot-bootcount or grub-grubenv, or set `fat_rename: true` when this board's U-Boot has CONFIG_FAT_RENAME");
    }

    private static void CheckStore(Board board, Findings findings)
    {
        var slots = board.Slots;
        SlotStoreKind?[] allowed = slots.Scheme switch
        {
            SlotScheme.None => [null],
            SlotScheme.SystemdBootCounter => [SlotStoreKind.FileName],
            SlotScheme.GrubEnv => [SlotStoreKind.GrubEnv],
            SlotScheme.UBootBootcount or SlotScheme.RaucBootMethod => [SlotStoreKind.File, SlotStoreKind.UBootEnvironment],
            _ => [SlotStoreKind.FirmwareFlag],
        };
        if (!allowed.Contains(slots.Store))
        {
            var advice = allowed[0] is null ? "remove `store`" : "make `store` " + string.Join(" or ", allowed.Select(a => Words.Store.Of(a!.Value)));
            findings.Add(slots.Store is null ? "slots" : "slots.store", slots.Store is { } store
                ? $"{Words.Scheme.Of(slots.Scheme)} does not keep its count in {Words.Store.Of(store)}"
                : $"{Words.Scheme.Of(slots.Scheme)} has nowhere to keep its count", advice);
        }

        if (slots.Store is SlotStoreKind.File or SlotStoreKind.GrubEnv && slots.Path is null)
            findings.Add("slots.store", "a count in a file needs the file's place", "add `path`, such as bootcount.env");
        if (slots.Store is not (SlotStoreKind.File or SlotStoreKind.GrubEnv) && slots.Path is not null)
            findings.Add("slots.path", "this store is no file of the boot partition", "remove `path`");
        if (slots.Store == SlotStoreKind.UBootEnvironment && board.Boot.Environment is null or { Where: EnvironmentHome.Nowhere })
            findings.Add("slots.store", "this board's U-Boot forgets its environment at every boot (ENV_IS_NOWHERE), and the count with it", "keep the count in a file: `store: file`, `path: bootcount.env`");
    }

    private static void CheckRaspberry(Board board, Findings findings)
    {
        if (board.Boot.Flow != BootFlow.RpiFirmware)
        {
            if (board.Boot.Rpi is not null && board.Boot.Flow != BootFlow.UBoot) findings.Add("boot.rpi", "only a Raspberry Pi has `rpi`", "remove it");
            return;
        }

        if (board.Boot.Rpi is null) findings.Add("boot", "the Raspberry Pi's firmware must be told the kernel's name", "add `rpi` with `kernel_name`");
        if (board.Table.Kind != TableKind.Mbr)
            findings.Add("partition_table.type", "the Pi 3's ROM cannot boot from GPT, and tryboot on GPT has open field reports (rpi-eeprom #818, #654, #854)", "make it mbr");
        else if (board.Partition(PartitionRole.Boot) is { MbrType: not 0x0c } p)
            findings.Add($"partitions[{board.Partitions.ToList().IndexOf(p)}].type", "the Raspberry Pi looks for a FAT partition of type 0x0c", "make the type fat32, or remove it");
        if (board.Partitions.Count > 0 && board.Partitions[0].Role != PartitionRole.Boot)
            findings.Add("partitions[0]", "the Raspberry Pi boots from its first partition", "move boot to the front");
    }

    private static void CheckConsoles(Board board, Findings findings)
    {
        if (board.Boot.Consoles.Count == 0)
            findings.Add("boot", "the kernel would have no console, and a failed boot no trace", "add `consoles`, the one to be /dev/console last");
        foreach (var twice in board.Boot.Consoles.Select((c, i) => (c.Tty, Index: i)).GroupBy(c => c.Tty).Where(g => g.Count() > 1))
            findings.Add($"boot.consoles[{twice.Last().Index}]", $"console {twice.Key} is listed twice", "keep one of them");
        for (var i = 0; i < board.Boot.Consoles.Count; i++)
            if (board.Boot.Consoles[i] is { Baud: not null, Tty: var tty } && tty.StartsWith("tty", StringComparison.Ordinal) && char.IsAsciiDigit(tty[3]))
                findings.Add($"boot.consoles[{i}].baud", $"{tty} is a screen and has no speed", "remove `baud`");
    }
}
