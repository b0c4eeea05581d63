using System.Buffers.Binary;
using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The texts that loaders read. Pure.</summary>
internal static class BootText
{
    public const string Slot = "slot-a";

    /// <summary>systemd-boot lists entries by sort-key before version, the first is booted: an update's entry has a smaller number than the running one's
    /// and comes first, whatever its version says. A new image begins at the top.</summary>
    public const string SortKey = "osbuild-", NewestSort = "9999";

    /// <summary>The kernel command line of slot a.</summary>
    public static string CommandLine(BootInputs inputs, DiskPlan disk)
    {
        var boot = inputs.Board.Boot;
        var rootA = inputs.Board.Partition(PartitionRole.RootA)!;
        var partition = disk.Partitions.First(p => p.Spec.Name == rootA.Name);
        var root = boot.RootBy == RootBy.PartLabel ? "PARTLABEL=" + rootA.Name : "PARTUUID=" + PartUuid(disk, partition);
        string[] words =
        [
            $"root={root}", .. rootA.FileSystem == FileSystemKind.Ext4 ? [] : (string[])[$"rootfstype={Words.FileSystem.Of(rootA.FileSystem)}"], "ro", "rootwait", "panic=10", "init=/usr/lib/osbuild/supervisor", "osbuild.slot=a",
            .. boot.Consoles.Select(c => $"console={c}"),
            .. boot.KernelArgs,
        ];
        return string.Join(' ', words.Distinct());
    }

    /// <summary>A partition's id as the kernel prints it: its GUID, or on MBR the disk's signature and the partition's number
    /// (block/partitions/msdos.c, set_info).</summary>
    public static string PartUuid(DiskPlan disk, PartitionPlan partition)
    {
        if (disk.Spec.Table != TableKind.Mbr) return partition.Spec.Id.ToString();
        Span<byte> id = stackalloc byte[16];
        disk.Spec.DiskId.TryWriteBytes(id);
        return $"{BinaryPrimitives.ReadUInt32LittleEndian(id):x8}-{partition.Number:x2}";
    }

    /// <summary>loader/loader.conf of systemd-boot (loader.conf(5)): no menu, no editor, the newest slot entry that is not used up.</summary>
    public static string LoaderConf() => "default slot-*\ntimeout 0\neditor no\n";

    /// <summary>An entry of systemd-boot (UAPI.1 Boot Loader Specification, type 1).</summary>
    public static string LoaderEntry(BootInputs inputs, SlotFiles slot)
    {
        var text = new StringBuilder();
        text.Append($"title {Title(inputs)}\n");
        text.Append($"version {inputs.System.Version}\n");
        text.Append($"sort-key {SortKey}{NewestSort}\n");
        text.Append($"linux /{slot.Kernel}\n");
        foreach (var initrd in slot.Initrds) text.Append($"initrd /{initrd}\n");
        if (slot.DeviceTree is { } tree) text.Append($"devicetree /{tree}\n");
        text.Append($"options {slot.CommandLine}\n");
        return text.ToString();
    }

    public static string Title(BootInputs inputs) => inputs.System.Title ?? $"{inputs.Deploy.Image} {inputs.System.Version}";
}
