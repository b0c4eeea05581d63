namespace OsBuild.Images.Trees;

/// <summary>Walks a file system as a tree, so that its content can be packed again in another form.</summary>
public static class FileSystemTree
{
    // Linux takes paths of at most 4096 bytes; a deeper tree is a loop.
    private const int DeepestPath = 4096;

    /// <summary>All entries, directories before what is in them, names in ordinal order. The second name of a file, told by
    /// <see cref="Node.FileId"/>, comes as a hard link to the first. The <c>lost+found</c> of ext file systems is left out when empty.</summary>
    /// <exception cref="ImageException">The file system is corrupt.</exception>
    public static IEnumerable<TreeEntry> Read(IFileSystem source)
    {
        var firstNames = new Dictionary<ulong, string>();
        var directories = new HashSet<ulong>();
        var waiting = new Stack<Node>();
        waiting.Push(source.Find("") ?? throw new ImageException(ImageErrorKind.Corrupt, $"The {source.Format} file system has no root directory."));
        while (waiting.TryPop(out var node))
        {
            if (node.Kind != NodeKind.Directory)
            {
                if (node.FileId != 0 && firstNames.TryGetValue(node.FileId, out var first))
                {
                    yield return new TreeEntry(node with { Kind = NodeKind.HardLink, LinkTarget = first, Size = 0, Xattrs = [] }, Stream.Null);
                    continue;
                }

                if (node.FileId != 0) firstNames[node.FileId] = node.Path;
                using var content = node.Kind == NodeKind.File ? source.Open(node.Path) : Stream.Null;
                yield return new TreeEntry(node, content);
                continue;
            }

            if (node.Path.Length > DeepestPath || (node.FileId != 0 && !directories.Add(node.FileId)))
                throw new ImageException(ImageErrorKind.Corrupt, $"The directory {Short(node.Path)} of the {source.Format} file system is inside itself; check the file system or make it again.");
            var below = source.List(node.Path).ToList();
            if (node.Path == "lost+found" && below.Count == 0) continue;
            yield return new TreeEntry(node, Stream.Null);
            for (var i = below.Count - 1; i >= 0; i--) waiting.Push(below[i]);
        }
    }

    private static string Short(string path) => path.Length <= 60 ? path : path[..60] + "…";
}
