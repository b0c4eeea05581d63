using OsBuild.ImageBuilder.Facts;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>What the builder adds to the root file system. Pure.</summary>
internal static class RootEntries
{
    public const string SupervisorPath = "usr/lib/osbuild/supervisor", SupervisorLink = "usr/bin/supervisor";

    // Mount points and the directories that PID 1 or an engine expects; a Yocto rootfs may lack some.
    private static readonly (string Name, int Mode)[] Directories =
    [
        ("proc", 0x16D), ("sys", 0x16D), ("dev", 0x1ED), ("run", 0x1ED), ("tmp", 0x3FF), ("boot", 0x1ED), ("state", 0x1ED),
        ("data", 0x1ED), ("var", 0x1ED), ("etc", 0x1ED), ("root", 0x1C0), ("usr", 0x1ED), ("sbin", 0x1ED), ("usr/bin", 0x1ED), ("usr/lib", 0x1ED),
    ];

    public static IReadOnlyList<RootEntry> Of(PlanInputs inputs)
    {
        var names = inputs.Rootfs.Names;
        var entries = new List<RootEntry>();
        void Add(string path, NodeKind kind, int mode, string? link = null, Source? source = null, uint major = 0, uint minor = 0) =>
            entries.Add(new(new()
            {
                Path = names.Place(path) ?? path, Kind = kind, Mode = mode, LinkTarget = link, Size = source?.Size ?? 0,
                Major = major, Minor = minor, ModifiedAt = inputs.Time,
            }, source));

        foreach (var (name, mode) in Directories)
            if (!names.Exists(name) && names.KindOf(name) is null) Add(name, NodeKind.Directory, mode);
        Add("usr/lib/osbuild", NodeKind.Directory, 0x1ED);
        Add(SupervisorPath, NodeKind.File, 0x1ED, source: new Source.FromFile(inputs.User.Supervisor!));
        Add(SupervisorLink, NodeKind.Symlink, 0x1FF, "../lib/osbuild/supervisor");
        // Only when there is nothing else: a rootfs with its own init keeps it.
        if (!names.Exists("sbin/init") && names.KindOf(names.Place("sbin/init") ?? "") is null) Add("sbin/init", NodeKind.Symlink, 0x1FF, "/" + SupervisorPath);
        if (inputs.InterpreterLink is { } interpreter)
        {
            var folder = interpreter.Path[..interpreter.Path.LastIndexOf('/')];
            if (!names.Exists(folder)) Add(folder, NodeKind.Directory, 0x1ED);
            Add(interpreter.Path, NodeKind.Symlink, 0x1FF, interpreter.Target);
        }

        foreach (var (name, major, minor, mode) in DeviceNodes.Static)
            if (!names.Exists("dev/" + name)) Add("dev/" + name, NodeKind.CharDevice, mode, major: major, minor: minor);
        return entries;
    }

    /// <summary>Entries of the archive that give way to the builder's own.</summary>
    public static IReadOnlySet<string> Replaced(IReadOnlyList<RootEntry> entries, RootfsNames names) =>
        entries.Where(e => e.Node.Kind != NodeKind.Directory && names.KindOf(e.Node.Path) is not null).Select(e => e.Node.Path).ToHashSet(StringComparer.Ordinal);

    /// <summary>The folder under which lib/modules/VERSION of a modules archive goes: <c>usr</c> when lib is a link to usr/lib.</summary>
    public static string ModulesFolder(RootfsNames names)
    {
        var place = names.Resolve("lib") ?? "lib";
        return place.EndsWith("/lib", StringComparison.Ordinal) ? place[..^4] : "";
    }
}
