namespace OsBuild.OracleTests.Builder;

/// <summary>Two directory trees of the running kernel, compared by all it tells: what GNU tar unpacked, and what the builder put into an image.</summary>
internal static class UnpackedTree
{
    /// <summary>Everything in <paramref name="expected"/> is in <paramref name="actual"/> just so.</summary>
    /// <param name="expected">Top of the unpacked archive.</param>
    /// <param name="actual">Top of the mounted image.</param>
    /// <param name="mayDiffer">Directories whose owner, mode and time do not count.</param>
    /// <returns>Paths that only <paramref name="actual"/> has: top-most ones, in order.</returns>
    public static List<string> MustContain(string expected, string actual, IReadOnlySet<string>? mayDiffer = null)
    {
        var more = new List<string>();
        var inodes = new Dictionary<ulong, ulong>();
        var files = Compare("");
        Assert.True(files > 0, $"{expected} is empty");
        return [.. more.Order(StringComparer.Ordinal)];

        int Compare(string path)
        {
            var (left, right) = (expected + path, actual + path);
            var (a, b) = (Kernel.Stat(left), Kernel.Stat(right));
            Assert.True(mayDiffer?.Contains(path) == true || (a.Mode, a.Uid, a.Gid, a.Seconds, a.Nanoseconds, a.Major, a.Minor) == (b.Mode, b.Uid, b.Gid, b.Seconds, b.Nanoseconds, b.Major, b.Minor), $"{path}: tar has {a}, the image {b}");
            Assert.Equal(Kernel.Xattrs(left).Select(Text), Kernel.Xattrs(right).Select(Text));
            switch (a.Mode & 0xF000)
            {
                case 0x4000: return 1 + CompareNames(path);
                case 0xA000: Assert.Equal(Kernel.ReadLink(left), Kernel.ReadLink(right)); break;
                case 0x8000:
                    Assert.True(a.Size == b.Size && a.Links == b.Links, $"{path}: tar has {a}, the image {b}");
                    // Names of one file there are names of one file here.
                    if (inodes.TryGetValue(a.Inode, out var seen)) Assert.True(seen == b.Inode, $"{path} is a file of its own in the image");
                    else if (inodes.TryAdd(a.Inode, b.Inode)) MustHaveSameContent(left, right);
                    break;
            }

            return 1;
        }

        int CompareNames(string path)
        {
            var (left, right) = (Kernel.Names(expected + path).ToHashSet(StringComparer.Ordinal), Kernel.Names(actual + path).ToHashSet(StringComparer.Ordinal));
            more.AddRange(right.Where(n => !left.Contains(n) && (path, n) != ("", "lost+found")).Select(n => $"{path}/{n}"));
            return left.Where(n => (path, n) != ("", "lost+found")).Order(StringComparer.Ordinal).Sum(n => Compare($"{path}/{n}"));
        }
    }

    private static string Text(OsBuild.Images.Trees.Xattr x) => $"{x.Name} {Convert.ToHexString(x.Value.Span)}";

    private static void MustHaveSameContent(string left, string right)
    {
        using Stream a = Kernel.Open(left), b = Kernel.Open(right);
        byte[] x = new byte[1 << 18], y = new byte[1 << 18];
        for (int got; (got = a.ReadAtLeast(x, x.Length, throwOnEndOfStream: false)) > 0;)
            Assert.True(b.ReadAtLeast(y, y.Length, throwOnEndOfStream: false) == got && x.AsSpan(0, got).SequenceEqual(y.AsSpan(0, got)), $"the content of {right} differs from the archive's");
    }
}
