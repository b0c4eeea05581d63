using System.Buffers;
using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>What goes onto the boot partition. Pure.</summary>
internal static class BootFiles
{
    /// <summary>The initramfs that the builder makes, or the one it was given.</summary>
    public const string Initramfs = $"{Slot}/initramfs.cpio.zst";

    private const string Slot = BootText.Slot;
    private static readonly SearchValues<char> NotInFat = SearchValues.Create("\"*:<>?\\|");

    public static IReadOnlyList<BootEntry> Of(BootInputs inputs, DiskPlan disk, string commandLine, Problems problems)
    {
        var deploy = inputs.Deploy;
        var entries = new List<BootEntry>();
        void File(string path, InputFile file) => entries.Add(new(path, new Source.FromFile(file)));
        void Text(string path, string text) => entries.Add(new(path, new Source.Made(Encoding.UTF8.GetBytes(text))));

        foreach (var file in deploy.BootFiles) File(file.Dest, file.File);
        foreach (var blob in deploy.Blobs)
            if (blob.Blob.Place is BlobPlace.InBootFile(var path)) File(path.TrimStart('/'), blob.File);
        if (deploy.Loader is { } loader) File(loader.Dest, loader.File);

        var kernel = $"{Slot}/{KernelName(inputs)}";
        File(kernel, deploy.Kernel);
        var initrds = new List<string>();
        if (deploy.Microcode is { } microcode)
        {
            initrds.Add($"{Slot}/microcode.cpio");
            File(initrds[^1], microcode);
        }

        if (inputs.Initramfs is { } initramfs)
        {
            initrds.Add(Initramfs);
            entries.Add(new(initrds[^1], initramfs));
        }

        var trees = deploy.DeviceTrees.Select(t => new PlacedFile(t.File, t.Dest.Contains('/') ? t.Dest : $"{Slot}/{t.Dest}")).ToList();
        foreach (var tree in trees.Concat(deploy.Overlays)) File(tree.Dest, tree.File);

        if (LoaderFiles.Of(inputs, new(kernel, initrds, trees.FirstOrDefault()?.Dest, commandLine)) is { } texts)
            foreach (var (path, content) in texts) entries.Add(new(path, new Source.Made(content)));
        else
            problems.Add($"Board {inputs.Board.Name} boots by {Words.Flow.Of(inputs.Board.Boot.Flow)} with loader {Words.Loader.Of(inputs.Board.Boot.Loader)}, which the builder does not set up; choose another loader in its board file.");

        if (inputs.User.Config is { } config) File("config.yaml", config);
        if (inputs.User.Compose is { } compose) File("compose.yaml", compose);
        foreach (var app in inputs.User.Apps) File(app.Dest, app.File);
        Text("image.json", ImageRecord.OnDevice(inputs, disk));
        AddYoctos(deploy.YoctoBootFiles, entries);
        return [.. entries.OrderBy(e => e.Path, StringComparer.Ordinal)];
    }

    // The builder writes its own of what decides how a board boots; a second one would be read instead of it.
    private static readonly HashSet<string> DecidesOverBoot = new(StringComparer.OrdinalIgnoreCase)
    {
        "boot.scr", "boot.scr.uimg", "uEnv.txt", "grub.cfg", "grubenv", "syslinux.cfg", "extlinux.conf", "loader.conf", "cmdline.txt", "config.txt", "autoboot.txt", "tryboot.txt", "startup.nsh",
    };

    // The kernel that the board boots lies in its slot.
    private static readonly HashSet<string> Kernels = new(StringComparer.Ordinal) { "Image", "Image.gz", "bzImage", "zImage", "uImage", "vmlinux", "vmlinuz", "fitImage" };

    private static bool IsOurs(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        return DecidesOverBoot.Contains(name) || Kernels.Contains(name) || path.StartsWith("loader/entries/", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Adds what the Yocto build would have on its boot partition, but for what is there already under this name or another.</summary>
    private static void AddYoctos(IReadOnlyList<PlacedFile> files, List<BootEntry> entries)
    {
        var paths = entries.Select(e => e.Path).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var sources = entries.Select(e => e.Source).OfType<Source.FromFile>().Select(f => f.File.Path).ToHashSet(StringComparer.Ordinal);
        foreach (var file in files)
            if (!IsOurs(file.Dest) && !sources.Contains(file.File.Path) && paths.Add(file.Dest)) entries.Add(new(file.Dest, new Source.FromFile(file.File)));
    }

    private static string KernelName(BootInputs inputs)
    {
        if (inputs.Board.Boot.Rpi is { } rpi) return rpi.KernelName;
        var name = inputs.Board.Artifacts.Kernel.Files[0];
        return name.AsSpan().ContainsAny('*', '?') ? inputs.Deploy.Kernel.Name : name;
    }

    /// <summary>FAT takes no <c>" * : &lt; &gt; ? \ |</c> in names and does not tell upper from lower case.</summary>
    public static void CheckNames(IReadOnlyList<BootEntry> boot, Problems problems)
    {
        foreach (var entry in boot)
        {
            if (entry.Path.Split('/').FirstOrDefault(p => p.AsSpan().IndexOfAny(NotInFat) >= 0 || p.Any(char.IsControl) || p.Length is 0 or > 255 || p[^1] is '.' or ' ') is { } bad)
                problems.Add($"{entry.Path} cannot stand on the boot partition: FAT does not take the name \"{bad}\"; rename the file.");
        }

        foreach (var same in boot.GroupBy(e => e.Path, StringComparer.OrdinalIgnoreCase).Where(g => g.Count() > 1))
            problems.Add($"{same.Key} would stand on the boot partition twice, from {string.Join(" and ", same.Select(s => s.Source))}; leave one of them out.");
    }
}
