namespace OsBuild.Supervisor.Linux;

/// <summary>
/// What depmod(8) wrote about the modules of one kernel: modules.dep, modules.alias, modules.builtin and modules.softdep, as text.
/// Pure: names in, file paths in load order out.
/// </summary>
internal sealed class ModuleIndex
{
    private readonly Dictionary<string, string[]> _needs = new(StringComparer.Ordinal); // path → paths it needs, nearest first
    private readonly Dictionary<string, string> _pathOf = new(StringComparer.Ordinal); // module name → path
    private readonly HashSet<string> _builtin = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _before = new(StringComparer.Ordinal); // soft dependencies: module → names to load first
    private readonly Dictionary<string, List<string>> _exact = new(StringComparer.Ordinal); // alias without wildcards → modules
    private readonly Dictionary<string, List<(string Pattern, string Module)>> _patterns = new(StringComparer.Ordinal); // by the text before the first wildcard's ':'

    public ModuleIndex(string dep, string alias, string builtin, string softdep = "")
    {
        foreach (var line in Lines(dep)) AddDependencies(line);
        foreach (var line in Lines(builtin)) _builtin.Add(NameOf(line));
        foreach (var line in Lines(alias)) AddAlias(line);
        foreach (var line in Lines(softdep)) AddSoftDependency(line);
    }

    /// <summary>The module's name from its path: no directory, no .ko, no compression, underscores for hyphens.</summary>
    public static string NameOf(string path)
    {
        var file = path[(path.LastIndexOf('/') + 1)..];
        var end = file.IndexOf(".ko", StringComparison.Ordinal);
        return Canonical(end < 0 ? file : file[..end]);
    }

    /// <summary>The modules that a name or a modalias stands for; several devices may want several modules.</summary>
    public IReadOnlyList<string> Resolve(string nameOrAlias)
    {
        var name = Canonical(nameOrAlias);
        if (_pathOf.ContainsKey(name)) return [name];
        if (_builtin.Contains(name)) return [];
        var found = new List<string>();
        if (_exact.TryGetValue(nameOrAlias, out var direct) || _exact.TryGetValue(name, out direct)) found.AddRange(direct);
        if (_patterns.TryGetValue(Bus(nameOrAlias), out var patterns))
            foreach (var (pattern, module) in patterns)
                if (Glob.Matches(pattern, nameOrAlias)) found.Add(module);
        return [.. found.Distinct(StringComparer.Ordinal)];
    }

    /// <summary>The files to load, in order, for a module name: soft dependencies, then hard ones, then itself. Empty when it is built in or unknown.</summary>
    public IReadOnlyList<string> LoadOrder(string module)
    {
        var order = new List<string>();
        Collect(Canonical(module), order, []);
        return order;
    }

    /// <summary>True when depmod knows the module, as a file or as part of the kernel.</summary>
    public bool Knows(string module) => _pathOf.ContainsKey(Canonical(module)) || _builtin.Contains(Canonical(module));

    private void Collect(string module, List<string> order, HashSet<string> visiting)
    {
        if (!visiting.Add(module) || !_pathOf.TryGetValue(module, out var path)) return;
        foreach (var before in _before.GetValueOrDefault(module, [])) Collect(before, order, visiting);

        // modules.dep lists the whole closure, each module left of what it needs: loaded from the right.
        foreach (var needed in _needs[path].Reverse())
            if (!order.Contains(needed)) order.Add(needed);
        if (!order.Contains(path)) order.Add(path);
    }

    private void AddDependencies(string line)
    {
        var colon = line.IndexOf(':');
        if (colon <= 0) return;
        var path = line[..colon];
        _needs[path] = line[(colon + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        _pathOf[NameOf(path)] = path;
    }

    private void AddAlias(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is not ["alias", var pattern, var module]) return;
        module = Canonical(module);
        if (pattern.AsSpan().IndexOfAny("*?[") < 0)
            Add(_exact, pattern, module);
        else
            Add(_patterns, Bus(pattern), (pattern, module));
    }

    private void AddSoftDependency(string line)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is not ["softdep", var module, ..]) return;
        var before = words.Skip(2).SkipWhile(w => w != "pre:").Skip(1).TakeWhile(w => w != "post:").Select(Canonical).ToArray();
        if (before.Length > 0) _before[Canonical(module)] = before;
    }

    private static void Add<T>(Dictionary<string, List<T>> to, string key, T value)
    {
        if (!to.TryGetValue(key, out var list)) to[key] = list = [];
        list.Add(value);
    }

    /// <summary>The part of an alias before its colon ("pci", "usb", "of"): no pattern of depmod's has a wildcard in it.</summary>
    private static string Bus(string alias)
    {
        var colon = alias.IndexOf(':');
        return colon < 0 ? "" : alias[..colon];
    }

    private static string Canonical(string name) => name.Replace('-', '_');

    private static IEnumerable<string> Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => !l.StartsWith('#'));
}

/// <summary>fnmatch(3) as modaliases need it: * ? and [a-z] classes, no escapes.</summary>
internal static class Glob
{
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text)
    {
        int p = 0, t = 0, star = -1, mark = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                mark = t;
            }
            else if (p < pattern.Length && MatchesOne(pattern, ref p, text[t]))
            {
                t++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                t = ++mark;
            }
            else
            {
                return false;
            }
        }

        while (p < pattern.Length && pattern[p] == '*') p++;
        return p == pattern.Length;
    }

    /// <summary>Matches one character and moves behind the pattern's element; leaves <paramref name="p"/> alone when it does not match.</summary>
    private static bool MatchesOne(ReadOnlySpan<char> pattern, ref int p, char c)
    {
        if (pattern[p] == '[')
        {
            var end = pattern[(p + 1)..].IndexOf(']');
            if (end > 0)
            {
                if (!InClass(pattern.Slice(p + 1, end), c)) return false;
                p += end + 2;
                return true;
            }
        }

        if (pattern[p] != '?' && pattern[p] != c) return false;
        p++;
        return true;
    }

    private static bool InClass(ReadOnlySpan<char> set, char c)
    {
        for (var i = 0; i < set.Length; i++)
        {
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                if (c >= set[i] && c <= set[i + 2]) return true;
                i += 2;
            }
            else if (set[i] == c)
            {
                return true;
            }
        }

        return false;
    }
}
