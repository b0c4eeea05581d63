using OsBuild.Images.Trees;

namespace OsBuild.OracleTests.Images.Trees;

/// <summary>Compares a tree that went into an image with what comes out of it: through the kernel, and through our own readers.</summary>
internal static class TreeComparer
{
    /// <summary>What an old file system or tool cannot keep.</summary>
    public sealed record Limits
    {
        public bool NoNanoseconds { get; init; }

        public bool Seconds32 { get; init; }

        public bool NoXattrs { get; init; }
    }

    public static void MustEqualMounted(IReadOnlyList<TreeItem> tree, string root)
    {
        var inodes = new Dictionary<string, ulong>();
        foreach (var (node, content) in tree)
        {
            var path = node.Path.Length == 0 ? root : root + "/" + node.Path;
            var status = Kernel.Stat(path);
            inodes[node.Path] = status.Inode;
            if (node.Kind == NodeKind.HardLink)
            {
                Assert.True(inodes[node.LinkTarget!] == status.Inode, $"{path} is not the file {node.LinkTarget}");
                continue;
            }

            var expected = (Mode(node), node.Uid, node.Gid, node.ModifiedAt, node.ModifiedNanoseconds, node.Major, node.Minor);
            var actual = (status.Mode, status.Uid, status.Gid, status.Seconds, status.Nanoseconds, status.Major, status.Minor);
            Assert.True(expected == actual, $"{path}: expected {expected}, is {actual}");
            AssertXattrs(node, Kernel.Xattrs(path));
            if (node.Kind == NodeKind.Symlink) Assert.Equal(node.LinkTarget, Kernel.ReadLink(path));
            if (node.Kind != NodeKind.File) continue;
            Assert.Equal(content.Size, status.Size);
            using var stream = Kernel.Open(path);
            AssertContent(content, stream, path);
        }

        AssertNames(tree, directory => Kernel.Names(directory.Length == 0 ? root : root + "/" + directory));
        foreach (var links in tree.Where(i => i.Node.Kind == NodeKind.HardLink).GroupBy(i => i.Node.LinkTarget!))
            Assert.Equal((uint)links.Count() + 1, Kernel.Stat(root + "/" + links.Key).Links);
    }

    public static void MustEqual(IReadOnlyList<TreeItem> tree, IFileSystem fileSystem, Limits? limits = null)
    {
        limits ??= new Limits();
        var ids = new Dictionary<string, ulong>();
        foreach (var (node, content) in tree)
        {
            var found = fileSystem.Find(node.Path);
            Assert.True(found is not null, $"{node.Path} is missing");
            ids[node.Path] = found.FileId;
            if (node.Kind == NodeKind.HardLink)
            {
                Assert.Equal(ids[node.LinkTarget!], found.FileId);
                continue;
            }

            Assert.Equal(
                (node.Path, node.Kind, node.Mode, node.Uid, node.Gid, node.Size, node.LinkTarget, node.Major, node.Minor),
                (found.Path, found.Kind, found.Mode, found.Uid, found.Gid, found.Size, found.LinkTarget, found.Major, found.Minor));
            Assert.Equal(limits.Seconds32 ? unchecked((int)node.ModifiedAt) : node.ModifiedAt, limits.Seconds32 ? unchecked((int)found.ModifiedAt) : found.ModifiedAt);
            if (!limits.NoNanoseconds) Assert.Equal(node.ModifiedNanoseconds, found.ModifiedNanoseconds);
            if (!limits.NoXattrs) AssertXattrs(node, found.Xattrs);
            if (node.Kind != NodeKind.File) continue;
            using var stream = fileSystem.Open(node.Path);
            AssertContent(content, stream, node.Path);
        }

        AssertNames(tree, directory => [.. fileSystem.List(directory).Select(n => n.Name)]);
    }

    public static int Mode(Node node) => node.Mode | node.Kind switch
    {
        NodeKind.File => 0x8000,
        NodeKind.Directory => 0x4000,
        NodeKind.Symlink => 0xA000,
        NodeKind.CharDevice => 0x2000,
        NodeKind.BlockDevice => 0x6000,
        NodeKind.Fifo => 0x1000,
        _ => 0xC000,
    };

    private static void AssertNames(IReadOnlyList<TreeItem> tree, Func<string, List<string>> list)
    {
        var below = tree.Where(i => i.Node.Path.Length > 0).ToLookup(i => i.Node.Path.LastIndexOf('/') is >= 0 and var slash ? i.Node.Path[..slash] : "", i => i.Node.Name);
        foreach (var directory in tree.Where(i => i.Node.Kind == NodeKind.Directory).Select(i => i.Node.Path))
        {
            var expected = below[directory].Order(StringComparer.Ordinal);
            var actual = list(directory).Where(name => name != "lost+found" || directory.Length > 0).Order(StringComparer.Ordinal);
            Assert.Equal(expected, actual);
        }
    }

    private static void AssertXattrs(Node node, IReadOnlyList<Xattr> actual)
    {
        Assert.Equal(node.Xattrs.Select(x => x.Name), actual.Select(x => x.Name));
        for (var i = 0; i < actual.Count; i++)
            Assert.True(node.Xattrs[i].Value.Span.SequenceEqual(actual[i].Value.Span), $"{node.Path}: the attribute {actual[i].Name} differs");
    }

    private static void AssertContent(Content content, Stream actual, string path)
    {
        // Of huge files only the pieces and what lies between two of them are read.
        if (content.Size > 64 << 20)
        {
            foreach (var (offset, bytes) in content.Pieces)
            {
                var read = new byte[bytes.Length];
                actual.Position = offset;
                actual.ReadExactly(read);
                Assert.True(bytes.AsSpan().SequenceEqual(read), $"{path} differs at {offset}");
            }

            return;
        }

        using var expected = content.Open(tellsHoles: false);
        byte[] a = new byte[1 << 16], b = new byte[1 << 16];
        for (long at = 0; ; at += a.Length)
        {
            var wanted = expected.ReadAtLeast(a, a.Length, throwOnEndOfStream: false);
            var got = actual.ReadAtLeast(b, b.Length, throwOnEndOfStream: false);
            Assert.True(wanted == got && a.AsSpan(0, wanted).SequenceEqual(b.AsSpan(0, got)), $"{path} differs in the 64 KiB at {at}");
            if (wanted < a.Length) return;
        }
    }
}
