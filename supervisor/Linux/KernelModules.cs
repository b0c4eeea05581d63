using System.IO.Compression;

namespace OsBuild.Supervisor.Linux;

/// <summary>Loads kernel modules from /lib/modules of the running kernel, so that no kmod is needed on the root.</summary>
internal sealed class KernelModules
{
    private static readonly string[] Places = ["lib/modules", "usr/lib/modules"];

    private readonly string _directory;
    private readonly ModuleIndex? _index;

    public KernelModules(string root = "/")
    {
        var version = File.ReadAllText("/proc/sys/kernel/osrelease").Trim();
        _directory = Places.Select(d => Path.Combine(root, d, version))
            .FirstOrDefault(d => File.Exists(Path.Combine(d, "modules.dep"))) ?? "";
        if (_directory.Length == 0) return;
        _index = new ModuleIndex(Text("modules.dep"), Text("modules.alias"), Text("modules.builtin"), Text("modules.softdep"));
    }

    /// <summary>True when there are modules for this kernel at all.</summary>
    public bool Any => _index is not null;

    /// <summary>Loads what a name or modalias stands for. Gives the names of the modules loaded now; errors go to <paramref name="complain"/>.</summary>
    public IReadOnlyList<string> Load(string nameOrAlias, Action<string> complain)
    {
        if (_index is null) return [];
        var loaded = new List<string>();
        foreach (var module in _index.Resolve(nameOrAlias))
            foreach (var path in _index.LoadOrder(module))
            {
                try
                {
                    if (LoadFile(Path.Combine(_directory, path))) loaded.Add(ModuleIndex.NameOf(path));
                }
                catch (IOException e) when (e is LinuxException { Errno: Libc.ENODEV })
                {
                    // The driver looked for its device and did not find it: the usual answer to a broad alias.
                }
                catch (IOException e)
                {
                    complain(e.Message);
                }
            }

        return loaded;
    }

    /// <summary>True when the name stands for a module of this kernel, loaded, loadable or built in.</summary>
    public bool Knows(string nameOrAlias) => _index is not null && (_index.Knows(nameOrAlias) || _index.Resolve(nameOrAlias).Count > 0);

    /// <summary>Loads the drivers of every device there is, again until no new device shows up (a bus driver finds more devices).</summary>
    /// <param name="bus">Which buses, by name.</param>
    /// <returns>How many modules were loaded.</returns>
    public int ColdPlug(Func<string, bool> bus, Action<string> complain)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var count = 0;
        for (var pass = 0; pass < 6; pass++)
        {
            var fresh = ModAliases(bus).Where(seen.Add).ToList();
            if (fresh.Count == 0) break;
            foreach (var alias in fresh) count += Load(alias, complain).Count;
        }

        return count;
    }

    /// <summary>Loads one .ko file, unpacking .ko.gz ourselves; the kernel itself unpacks .ko.xz and .ko.zst when it was built to.</summary>
    public static bool LoadFile(string path, string parameters = "")
    {
        if (!path.EndsWith(".gz", StringComparison.Ordinal))
        {
            using var file = File.OpenHandle(path);
            var compressed = path.EndsWith(".xz", StringComparison.Ordinal) || path.EndsWith(".zst", StringComparison.Ordinal);
            return Libc.LoadModule(file, parameters, path, compressed);
        }

        using var memory = new MemoryStream();
        using (var packed = new GZipStream(File.OpenRead(path), CompressionMode.Decompress)) packed.CopyTo(memory);
        return Libc.LoadModule(memory.GetBuffer().AsSpan(0, (int)memory.Length), parameters, path);
    }

    /// <summary>Every device sits on a bus; walking the buses is far less than walking /sys/devices.</summary>
    private static IEnumerable<string> ModAliases(Func<string, bool> bus)
    {
        foreach (var directory in Directory.EnumerateDirectories("/sys/bus").Where(b => bus(Path.GetFileName(b))).Order(StringComparer.Ordinal))
        {
            var devices = Path.Combine(directory, "devices");
            if (!Directory.Exists(devices)) continue;
            foreach (var device in Directory.EnumerateFileSystemEntries(devices))
            {
                var text = "";
                try
                {
                    var file = Path.Combine(device, "modalias");
                    if (File.Exists(file)) text = File.ReadAllText(file).Trim();
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    // It has none, or went away while we looked.
                }

                if (text.Length > 0) yield return text;
            }
        }
    }

    private string Text(string name)
    {
        var path = Path.Combine(_directory, name);
        return File.Exists(path) ? File.ReadAllText(path) : "";
    }
}
