using System.Text;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>The texts that loaders read. Pure.</summary>
internal static class BootText
{
    public const string Slot = "slot-a";

    /// <summary>The kernel command line of slot a.</summary>
    public static string CommandLine(PlanInputs inputs, Guid rootId)
    {
        var boot = inputs.Board.Boot;
        var root = boot.RootBy switch
        {
            RootBy.PartLabel => "PARTLABEL=" + inputs.Board.Partition(PartitionRole.RootA)!.Name,
            _ => $"PARTUUID={rootId}",
        };
        string[] words =
        [
            $"root={root}", "ro", "rootwait", "panic=10", "init=/usr/lib/osbuild/supervisor", "osbuild.slot=a",
            .. boot.Consoles.Select(c => $"console={c}"),
            .. boot.KernelArgs,
        ];
        return string.Join(' ', words.Distinct());
    }

    /// <summary>loader/loader.conf of systemd-boot (loader.conf(5)): no menu, no editor, the newest slot entry that is not used up.</summary>
    public static string LoaderConf() => "default slot-*\ntimeout 0\neditor no\n";

    /// <summary>An entry of systemd-boot (UAPI.1 Boot Loader Specification, type 1).</summary>
    public static string LoaderEntry(PlanInputs inputs, string kernel, IReadOnlyList<string> initrds, string? deviceTree, string commandLine)
    {
        var text = new StringBuilder();
        text.Append($"title {Title(inputs)}\n");
        text.Append($"version {inputs.Version}\n");
        text.Append($"sort-key osbuild\n");
        text.Append($"linux /{kernel}\n");
        foreach (var initrd in initrds) text.Append($"initrd /{initrd}\n");
        if (deviceTree is not null) text.Append($"devicetree /{deviceTree}\n");
        text.Append($"options {commandLine}\n");
        return text.ToString();
    }

    public static string Title(PlanInputs inputs) => inputs.Rootfs.OsRelease("PRETTY_NAME") ?? $"{inputs.Deploy.Image} {inputs.Version}";
}
