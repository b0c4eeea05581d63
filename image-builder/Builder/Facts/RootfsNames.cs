using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Facts;

/// <summary>The names in a root file system, with links that can be followed as the kernel would. No content, no disk.</summary>
internal sealed class RootfsNames
{
    // MAXSYMLINKS in linux/namei.h.
    private const int MaxLinks = 40;
    private readonly Dictionary<string, NodeKind> _kinds = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _links = new(StringComparer.Ordinal);

    public int Count => _kinds.Count;

    public IEnumerable<string> Paths => _kinds.Keys;

    public void Add(Node node)
    {
        _kinds[node.Path] = node.Kind;
        if (node.Kind == NodeKind.Symlink) _links[node.Path] = node.LinkTarget ?? "";
        else _links.Remove(node.Path);
        // A parent that is there has its own there too.
        var kinds = _kinds.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var slash = node.Path.LastIndexOf('/'); slash > 0; slash = node.Path.LastIndexOf('/', slash - 1))
            if (!kinds.TryAdd(node.Path.AsSpan(0, slash), NodeKind.Directory)) return;
    }

    /// <summary>True when the path is there, links followed.</summary>
    public bool Exists(string path) => Resolve(path) is { } real && _kinds.ContainsKey(real);

    /// <summary>What stands under exactly this name, links not followed.</summary>
    public NodeKind? KindOf(string path) => _kinds.TryGetValue(path, out var kind) ? kind : null;

    /// <summary>The names directly in a directory.</summary>
    public IEnumerable<string> In(string directory)
    {
        var prefix = Resolve(directory) + "/";
        return _kinds.Keys.Where(p => p.StartsWith(prefix, StringComparison.Ordinal) && p.IndexOf('/', prefix.Length) < 0).Select(p => p[prefix.Length..]);
    }

    /// <summary>Follows all links, the last one too; null for a loop. A path that is not there resolves as far as it goes.</summary>
    public string? Resolve(string path) => Follow(path, last: true);

    /// <summary>Follows the links of the parents only: where a new file of this name really goes when <c>lib</c> is a link to <c>usr/lib</c>.</summary>
    public string? Place(string path) => Follow(path, last: false);

    private string? Follow(string path, bool last)
    {
        var todo = new Stack<string>(path.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        var done = new List<string>();
        var links = 0;
        while (todo.TryPop(out var part))
        {
            if (part == ".") continue;
            if (part == "..")
            {
                if (done.Count > 0) done.RemoveAt(done.Count - 1);
                continue;
            }

            done.Add(part);
            if ((todo.Count == 0 && !last) || !_links.TryGetValue(string.Join('/', done), out var target)) continue;
            if (++links > MaxLinks) return null;
            if (target.StartsWith('/')) done.Clear();
            else done.RemoveAt(done.Count - 1);
            foreach (var step in target.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse()) todo.Push(step);
        }

        return string.Join('/', done);
    }
}
