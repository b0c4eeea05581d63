using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Ext4;

namespace OsBuild.OracleTests.Images.Trees;

/// <summary>Archives that GNU tar makes of a mounted tree, in all its formats, give the same tree again.</summary>
public sealed class TarOracleTests
{
    [Theory]
    [InlineData("--format=pax --xattrs --xattrs-include=* --acls --numeric-owner", true)]
    [InlineData("--format=pax --xattrs --xattrs-include=* --acls --numeric-owner -S --sparse-version=1.0", true)]
    [InlineData("--format=pax --xattrs --xattrs-include=* --acls --numeric-owner -S --sparse-version=0.1", true)]
    [InlineData("--format=pax --xattrs --xattrs-include=* --acls --numeric-owner -S --sparse-version=0.0", true)]
    [InlineData("--format=gnu", false)]
    [InlineData("--format=gnu -S", false)]
    [InlineData("--format=oldgnu -S", false)]
    [InlineData("--format=ustar", false)]
    [InlineData("--format=v7", false)]
    public void Reads_what_GNU_tar_packs(string options, bool pax)
    {
        var tree = Simplified(RandomTree.Make(options.Length, 400), options, pax);
        using ScratchImage source = new(256L << 20), copy = new(256L << 20);
        Ext4TreeTests.Write(source.Stream, Ext4TreeTests.Layout(256L << 20), tree);
        var tar = Path.Combine(Path.GetTempPath(), $"osbuild-{Guid.NewGuid():N}.tar");
        try
        {
            using (var mount = new LoopMount(source.Path))
                Judge.Run("tar", [.. options.Split(' '), "--exclude=./lost+found", "--sort=name", "-C", mount.Directory, "-cf", tar, "."]).MustPass("tar " + options);

            var writer = new Ext4Writer(copy.Stream, Ext4TreeTests.Layout(256L << 20));
            using (var stream = File.OpenRead(tar))
                foreach (var entry in TarTree.Read(stream)) writer.Add(entry.Node, entry.Content);
            writer.Finish();
            copy.MustPassFsck(options);
            TreeComparer.MustEqual(tree, new Ext4Reader(copy.Stream), new TreeComparer.Limits { NoNanoseconds = !pax, NoXattrs = !pax });
            TornCopiesAreRefused(tar);
        }
        finally
        {
            File.Delete(tar);
        }
    }

    /// <summary>What the format cannot hold is left out of the tree.</summary>
    private static List<TreeItem> Simplified(List<TreeItem> tree, string options, bool pax)
    {
        var plain = options.Contains("ustar") || options.Contains("v7");
        var kept = new List<TreeItem>();
        var paths = new HashSet<string>();
        var files = tree.Where(i => i.Node.Kind == NodeKind.File).Select(i => i.Node.Path).ToHashSet();
        foreach (var item in tree)
        {
            var node = item.Node;
            if (node.Kind == NodeKind.Socket) continue; // GNU tar leaves sockets out
            if (options.Contains("v7") && node.Kind is not (NodeKind.File or NodeKind.Directory or NodeKind.Symlink or NodeKind.HardLink)) continue;
            var slash = node.Path.LastIndexOf('/');
            if (slash >= 0 && !paths.Contains(node.Path[..slash])) continue;
            if (node.Kind == NodeKind.HardLink && (!paths.Contains(node.LinkTarget!) || !files.Contains(node.LinkTarget!))) continue; // of devices it makes copies
            if (plain && (UnixText.Encode(node.Path).Length > 90 || (node.LinkTarget is not null && UnixText.Encode(node.LinkTarget).Length > 90))) continue;
            if (plain) node = node with { Uid = node.Uid % 60000, Gid = node.Gid % 60000, ModifiedAt = node.ModifiedAt & int.MaxValue };
            if (!pax) node = node with { Xattrs = [] };
            paths.Add(node.Path);
            kept.Add(item with { Node = node });
        }

        return kept;
    }

    private static void TornCopiesAreRefused(string tar)
    {
        var bytes = File.ReadAllBytes(tar);
        var end = bytes.AsSpan().LastIndexOfAnyExcept((byte)0) / 512 * 512;
        var random = new Random(1);
        for (var i = 0; i < 40; i++)
        {
            var length = i < 5 ? end - i : random.Next(end);
            var error = Assert.Throws<ImageException>(() =>
            {
                foreach (var entry in TarTree.Read(new MemoryStream(bytes, 0, length))) entry.Content.CopyTo(Stream.Null);
            });
            Assert.Equal(ImageErrorKind.Corrupt, error.Kind);
        }
    }
}
