namespace OsBuild.ImageBuilder.Facts;

/// <summary>Which kernel modules need which others: the files depmod makes in <c>lib/modules/VERSION</c>. Pure.</summary>
internal sealed class ModuleIndex
{
    private readonly Dictionary<string, (string Path, string[] Needs)> _modules = new(StringComparer.Ordinal);
    private readonly HashSet<string> _builtIn = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _before = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _aliases = new(StringComparer.Ordinal);

    /// <summary>Reads the texts of modules.dep, modules.builtin, modules.softdep and modules.alias; only the first is a must.</summary>
    public ModuleIndex(string dep, string builtIn = "", string softDep = "", string alias = "")
    {
        foreach (var line in Lines(dep))
        {
            var colon = line.IndexOf(':');
            if (colon > 0) _modules[NameOf(line[..colon])] = (line[..colon], line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        }

        foreach (var line in Lines(builtIn)) _builtIn.Add(NameOf(line));
        foreach (var line in Lines(alias))
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is ["alias", var pattern, var module] && !pattern.Contains('*'))
                Append(_aliases, Plain(pattern), Plain(module));
        foreach (var line in Lines(softDep)) ReadSoftDependency(line);
    }

    public bool Has(string module) => _modules.ContainsKey(Plain(module));

    public bool IsBuiltIn(string module) => _builtIn.Contains(Plain(module));

    /// <summary>The files of the modules and of all they need, each after what it needs. Modules the kernel has built in or does not
    /// have are left out: one board file serves many kernels.</summary>
    public IReadOnlyList<string> LoadOrder(IEnumerable<string> modules)
    {
        var order = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var module in modules) Visit(Plain(module), order, seen);
        return order;
    }

    private void Visit(string module, List<string> order, HashSet<string> seen)
    {
        if (!seen.Add(module) || _builtIn.Contains(module)) return;
        if (!_modules.TryGetValue(module, out var found))
        {
            foreach (var real in _aliases.GetValueOrDefault(module, [])) Visit(real, order, seen);
            return;
        }

        // A soft dependency is what modprobe would load first, such as crc32c for ext4; it can be an alias and may be missing.
        foreach (var soft in _before.GetValueOrDefault(module, [])) Visit(soft, order, seen);
        // modules.dep lists what is needed, the deepest last.
        foreach (var path in found.Needs.Reverse()) Visit(NameOf(path), order, seen);
        order.Add(found.Path);
    }

    // "softdep NAME pre: A B post: C"
    private void ReadSoftDependency(string line)
    {
        if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not ["softdep", var module, .. var rest]) return;
        var before = false;
        foreach (var word in rest)
        {
            if (word is "pre:" or "post:") before = word == "pre:";
            else if (before) Append(_before, Plain(module), Plain(word));
        }
    }

    private static void Append(Dictionary<string, List<string>> to, string key, string value)
    {
        if (!to.TryGetValue(key, out var list)) to[key] = list = [];
        list.Add(value);
    }

    private static IEnumerable<string> Lines(string text) => text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0 && l[0] != '#');

    /// <summary>The name of a module file: <c>kernel/fs/ext4/ext4.ko.xz</c> is <c>ext4</c>; <c>-</c> and <c>_</c> are the same to the kernel.</summary>
    public static string NameOf(string path)
    {
        var name = path[(path.LastIndexOf('/') + 1)..];
        var end = name.IndexOf(".ko", StringComparison.Ordinal);
        return Plain(end < 0 ? name : name[..end]);
    }

    private static string Plain(string name) => name.Replace('-', '_');
}
