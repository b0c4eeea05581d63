using System.Text;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The files of one slot as its loader is told of them: paths on the boot partition.</summary>
/// <param name="Kernel">The kernel.</param>
/// <param name="Initrds">Microcode and initramfs, in load order.</param>
/// <param name="DeviceTree">The device tree, when the board names one.</param>
/// <param name="CommandLine">The kernel command line.</param>
internal sealed record SlotFiles(string Kernel, IReadOnlyList<string> Initrds, string? DeviceTree, string CommandLine);

/// <summary>What each boot loader reads. All of them choose a slot in the same way: <c>slot</c>, <c>upgrade_available</c> and
/// <c>bootcount</c> in a small file; while an upgrade is on trial each boot is counted, and past the limit the other slot comes back. A slot whose own
/// file (<c>slot-X/grub.cfg</c>, <c>slot-X/boot.env</c>) is missing is never chosen while the other has one: it is missing while a slot is written. Pure.</summary>
internal static class LoaderFiles
{
    private const string Slot = BootText.Slot;

    /// <summary>The files; null when the builder cannot set up this loader.</summary>
    public static IReadOnlyList<(string Path, byte[] Content)>? Of(BootInputs inputs, SlotFiles slot)
    {
        var boot = inputs.Board.Boot;
        return (boot.Flow, boot.Loader) switch
        {
            (BootFlow.Uefi, BootLoader.SystemdBoot) =>
            [
                Text("loader/loader.conf", BootText.LoaderConf()),
                Text($"loader/entries/{Slot}.conf", BootText.LoaderEntry(inputs, slot)),
            ],
            (BootFlow.Uefi or BootFlow.Bios, BootLoader.Grub) => Grub(GrubFolder(boot.Flow), inputs, slot),
            (BootFlow.UBoot, BootLoader.UBootScript) => UBoot(inputs, slot),
            (BootFlow.UBoot, BootLoader.UBootExtlinux) => [Text("extlinux/extlinux.conf", Extlinux(inputs, slot))],
            (BootFlow.RpiFirmware, BootLoader.None) => RaspberryPi(inputs, slot),
            _ => null,
        };
    }

    /// <summary>Path on the boot partition of the file in which the loader keeps slot, upgrade_available and bootcount; null when it has none.</summary>
    public static string? Store(Board board) => board.Boot.Loader switch
    {
        BootLoader.Grub => $"{GrubFolder(board.Boot.Flow)}/grubenv",
        BootLoader.UBootScript => board.Slots.Path ?? "bootcount.env",
        _ => null,
    };

    private static string GrubFolder(BootFlow flow) => flow == BootFlow.Bios ? "boot/grub" : "EFI/BOOT";

    /// <summary>config.txt with os_prefix: the firmware takes kernel, device tree and cmdline.txt from the slot's folder
    /// (raspberrypi.com documentation, config.txt, "os_prefix").</summary>
    private static List<(string, byte[])> RaspberryPi(BootInputs inputs, SlotFiles slot)
    {
        var config = new StringBuilder("# Made by image-builder; your own settings belong below.\n");
        foreach (var line in inputs.Board.Boot.Rpi?.ConfigTxt ?? []) config.Append(line).Append('\n');
        config.Append($"os_prefix={Slot}/\nkernel={Name(slot.Kernel)}\n");
        if (slot.Initrds.Count > 0) config.Append($"initramfs {Name(slot.Initrds[^1])} followkernel\n");
        return [Text("config.txt", config.ToString()), Text($"{Slot}/cmdline.txt", slot.CommandLine + "\n")];
    }

    private static List<(string, byte[])> UBoot(BootInputs inputs, SlotFiles slot)
    {
        var store = Store(inputs.Board)!;
        var environment = new StringBuilder();
        environment.Append($"bootargs={slot.CommandLine}\nkernel={slot.Kernel}\n");
        if (slot.Initrds.Count > 0) environment.Append($"initrd={slot.Initrds[^1]}\n");
        if (slot.DeviceTree is { } tree) environment.Append($"devicetree={tree}\n");
        return
        [
            ("boot.scr", UBootScript.Wrap(UBootScript.Text(inputs.Board, store), "OsBuild boot script", inputs.Time)),
            Text(store, "slot=a\nupgrade_available=0\nbootcount=0\n"),
            Text($"{Slot}/boot.env", environment.ToString()),
        ];
    }

    private static string Extlinux(BootInputs inputs, SlotFiles slot)
    {
        var text = new StringBuilder($"default {Slot}\ntimeout 1\nlabel {Slot}\n  menu label {BootText.Title(inputs)}\n  linux /{slot.Kernel}\n");
        if (slot.Initrds.Count > 0) text.Append($"  initrd /{slot.Initrds[^1]}\n");
        if (slot.DeviceTree is { } tree) text.Append($"  fdt /{tree}\n");
        return text.Append($"  append {slot.CommandLine}\n").ToString();
    }

    private static List<(string, byte[])> Grub(string folder, BootInputs inputs, SlotFiles slot)
    {
        var entry = new StringBuilder($"linux /{slot.Kernel} {slot.CommandLine}\n");
        if (slot.Initrds.Count > 0) entry.Append($"initrd {string.Join(' ', slot.Initrds.Select(i => "/" + i))}\n");
        if (slot.DeviceTree is { } tree) entry.Append($"devicetree /{tree}\n");
        return
        [
            Text($"{folder}/grub.cfg", GrubConfig(folder, inputs.Board.Slots.Limit)),
            ($"{folder}/grubenv", GrubEnvironment("slot=a\nupgrade_available=0\nbootcount=0\n")),
            Text($"{Slot}/grub.cfg", entry.ToString()),
        ];
    }

    // GRUB has no arithmetic: the count goes up by a chain of comparisons.
    private static string GrubConfig(string folder, int limit)
    {
        var text = new StringBuilder();
        text.Append("set timeout=0\nset slot=a\nset upgrade_available=0\nset bootcount=0\n");
        text.Append($"load_env --file=/{folder}/grubenv slot upgrade_available bootcount\n");
        // A garbled store may name no slot at all.
        text.Append("if [ \"$slot\" = b ]; then set other=a; else set slot=a; set other=b; fi\n");
        text.Append("if [ \"$upgrade_available\" = 1 ]; then\n  ");
        for (var i = 0; i < limit; i++) text.Append($"if [ \"$bootcount\" = {i} ]; then set bootcount={i + 1}\n  el");
        text.Append("se\n    set slot=$other\n    set upgrade_available=0\n  fi\n");
        // A slot on trial is only tried when its try could be counted.
        text.Append($"  set counted=0\n  if save_env --file=/{folder}/grubenv slot upgrade_available bootcount; then set counted=1; fi\n");
        text.Append("  if [ \"$counted\" = 0 ]; then set slot=$other; fi\nfi\n");
        text.Append("set chosen=0\nfor s in $slot a b; do\n  if [ \"$chosen\" = 0 ]; then\n    if [ -s /slot-$s/grub.cfg ]; then set slot=$s; set chosen=1; fi\n  fi\ndone\n");
        // What does not load is counted like what does not start.
        return text.Append("source /slot-$slot/grub.cfg\nboot\nsleep 5\nreboot\n").ToString();
    }

    /// <summary>GRUB's environment block: 1024 bytes, filled up with #.</summary>
    internal static byte[] GrubEnvironment(string variables) =>
        Encoding.ASCII.GetBytes(("# GRUB Environment Block\n" + variables).PadRight(1024, '#'));

    private static (string, byte[]) Text(string path, string text) => (path, Encoding.UTF8.GetBytes(text));

    private static string Name(string path) => path[(path.LastIndexOf('/') + 1)..];
}
