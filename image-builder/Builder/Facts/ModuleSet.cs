using System.Text;

namespace OsBuild.ImageBuilder.Facts;

/// <summary>The kernel modules that came with a build.</summary>
/// <param name="Version">The kernel they are for.</param>
/// <param name="Index">Which needs which.</param>
/// <param name="Blocks">4 KiB blocks they take when they are put into the root.</param>
/// <param name="Inodes">Inodes they take.</param>
/// <param name="InRootfs">True when the root file system has them already.</param>
internal sealed record ModuleSet(string Version, ModuleIndex Index, long Blocks, long Inodes, bool InRootfs)
{
    /// <summary>The small tables of depmod that the builder reads.</summary>
    public static readonly string[] Tables = ["modules.dep", "modules.builtin", "modules.softdep", "modules.alias"];

    private const string Folder = "lib/modules/";

    /// <summary>True for the tables of any kernel version, in a rootfs or a modules archive.</summary>
    public static bool IsTable(string path) => VersionOf(path) is not null && Tables.Contains(path[(path.LastIndexOf('/') + 1)..]) && path.Count(c => c == '/') <= 4;

    /// <summary>VERSION of <c>[usr/]lib/modules/VERSION/...</c>; null for other paths.</summary>
    public static string? VersionOf(string path)
    {
        // Asked of every entry of a tree: no garbage.
        var rest = path.AsSpan(path.StartsWith("usr/", StringComparison.Ordinal) ? 4 : 0);
        if (!rest.StartsWith(Folder)) return null;
        rest = rest[Folder.Length..];
        var end = rest.IndexOf('/');
        return (end < 0 ? rest : rest[..end]).ToString();
    }

    public static ModuleIndex IndexFrom(Func<string, byte[]?> table)
    {
        string Text(string name) => table(name) is { } bytes ? Encoding.UTF8.GetString(bytes) : "";
        return new(Text("modules.dep"), Text("modules.builtin"), Text("modules.softdep"), Text("modules.alias"));
    }

    /// <summary>The modules a rootfs has for a kernel; null when it has none.</summary>
    public static ModuleSet? FromRootfs(RootfsFacts rootfs, string version)
    {
        var folder = rootfs.Names.Resolve("lib/modules/" + version);
        return folder is not null && rootfs.Kept.ContainsKey(folder + "/modules.dep")
            ? new(version, IndexFrom(name => rootfs.Kept.GetValueOrDefault($"{folder}/{name}")), 0, 0, true)
            : null;
    }
}
