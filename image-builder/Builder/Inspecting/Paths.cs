using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inspecting;

/// <summary>Finds and walks paths in a file system.</summary>
internal static class Paths
{
    private const int MaxLinks = 40;

    /// <summary>A path as users type it, in the form of <see cref="Node.Path"/>.</summary>
    public static string Plain(string path) => string.Join('/', path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != "."));

    /// <summary>The entry at a path, links followed on the way and at its end; null when it is not there.</summary>
    public static Node? Follow(IFileSystem fileSystem, string path)
    {
        var todo = new Stack<string>(Plain(path).Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        var done = new List<string>();
        var links = 0;
        while (todo.TryPop(out var part))
        {
            if (part == "..")
            {
                if (done.Count > 0) done.RemoveAt(done.Count - 1);
                continue;
            }

            done.Add(part);
            if (fileSystem.Find(string.Join('/', done)) is not { } node) return null;
            if (node.Kind != NodeKind.Symlink) continue;
            if (++links > MaxLinks) return null;
            if (node.LinkTarget!.StartsWith('/')) done.Clear();
            else done.RemoveAt(done.Count - 1);
            foreach (var step in node.LinkTarget.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(s => s != ".").Reverse()) todo.Push(step);
        }

        return fileSystem.Find(string.Join('/', done));
    }

    /// <summary>An entry and all below it, parents first.</summary>
    public static IEnumerable<Node> Walk(IFileSystem fileSystem, string path)
    {
        var todo = new Stack<string>([path]);
        while (todo.TryPop(out var directory))
        {
            var below = new List<string>();
            foreach (var node in fileSystem.List(directory))
            {
                yield return node;
                if (node.Kind == NodeKind.Directory) below.Add(node.Path);
            }

            below.Reverse();
            foreach (var next in below) todo.Push(next);
        }
    }

    /// <summary>Reads a small text file; null when it is not there.</summary>
    public static string? Text(IFileSystem fileSystem, string path)
    {
        if (Follow(fileSystem, path) is not { Kind: NodeKind.File, Size: < 1 << 20 } node) return null;
        using var reader = new StreamReader(fileSystem.Open(node.Path));
        return reader.ReadToEnd();
    }

    /// <summary>As <c>ls -l</c> prints it: <c>drwxr-xr-x</c>.</summary>
    public static string Mode(Node node)
    {
        var kind = node.Kind switch
        {
            NodeKind.Directory => 'd',
            NodeKind.Symlink => 'l',
            NodeKind.CharDevice => 'c',
            NodeKind.BlockDevice => 'b',
            NodeKind.Fifo => 'p',
            NodeKind.Socket => 's',
            _ => '-',
        };
        Span<char> text = stackalloc char[10];
        text[0] = kind;
        for (var i = 0; i < 9; i++) text[9 - i] = (node.Mode >> i & 1) == 0 ? '-' : "xwr"[i % 3];
        foreach (var (bit, at, with, without) in new[] { (0x800, 3, 's', 'S'), (0x400, 6, 's', 'S'), (0x200, 9, 't', 'T') })
            if ((node.Mode & bit) != 0) text[at] = text[at] == 'x' ? with : without;
        return new string(text);
    }
}
