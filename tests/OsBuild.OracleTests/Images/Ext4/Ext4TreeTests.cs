using System.Security.Cryptography;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Trees;

namespace OsBuild.OracleTests.Images.Ext4;

/// <summary>Trees of every sort: e2fsck finds nothing, and the kernel and our own reader give back what went in.</summary>
public sealed class Ext4TreeTests
{
    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ"), out var factor) ? 24 * factor : 24;

    internal static Ext4Layout Layout(long size, long journal = 0, int bytesPerInode = 16384) => Ext4Layout.For(new Ext4Options
    {
        Size = size,
        Label = "root-a",
        Uuid = new Guid("7d1f9d0c-7d5c-4a9b-9a51-6a3f7c1f2b11"),
        HashSeed = new Guid("0c7d1f9d-5c7d-4a9b-9a51-6a3f7c1f2b11"),
        CreatedAt = 1302044400,
        JournalSize = journal,
        BytesPerInode = bytesPerInode,
    });

    internal static void Write(Stream target, Ext4Layout layout, IEnumerable<TreeItem> tree, bool tellsHoles = true)
    {
        var writer = new Ext4Writer(target, layout);
        foreach (var (node, content) in tree)
        {
            using var stream = content.Open(tellsHoles);
            writer.Add(node, stream);
        }

        writer.Finish();
    }

    [Fact]
    public void Random_trees_come_back_as_they_went_in()
    {
        for (var seed = 0; seed < Rounds; seed++)
        {
            var tree = RandomTree.Make(seed, 30 + (seed * 13 % 400));
            var layout = Layout((256L << 20) + (seed * 4096L), seed % 2 == 0 ? 4 << 20 : 0, seed % 3 == 0 ? 4096 : 16384);
            using var image = new ScratchImage(layout.Options.Size);
            Write(image.Stream, layout, tree, tellsHoles: seed % 2 == 0);
            image.MustPassFsck($"seed {seed}");
            var reader = new Ext4Reader(image.Stream);
            Assert.Empty(reader.Check());
            TreeComparer.MustEqual(tree, reader);
            if (!Judge.IsRoot) continue;
            using var mount = new LoopMount(image.Path);
            TreeComparer.MustEqualMounted(tree, mount.Directory);
        }
    }

    [Theory]
    [InlineData(300, 250)]
    [InlineData(20_000, 12)]
    [InlineData(40_000, 250)]
    [InlineData(100_000, 20)]
    public void Large_directories_are_indexed(int entries, int nameLength)
    {
        var tree = new List<TreeItem> { new(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)), new(new Node { Path = "d", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)) };
        for (var i = 0; i < entries; i++)
            tree.Add(new TreeItem(new Node { Path = "d/" + (i % 3 == 0 ? "äß" : "aß") + i.ToString().PadLeft(nameLength - 4, i % 2 == 0 ? '_' : '-'), Kind = NodeKind.Fifo }, new Content(0)));
        using var image = new ScratchImage(2L << 30);
        Write(image.Stream, Layout(2L << 30), tree);
        image.MustPassFsck($"{entries} entries");
        var reader = new Ext4Reader(image.Stream);
        Assert.Empty(reader.Check());
        Assert.Equal(tree.Count - 2, reader.List("d").Count());
        Assert.Contains("Flags: 0x81000", Judge.Run("debugfs", "-R", "stat d", image.Path).Output.Replace(" Flags:", "Flags:"));

        // The kernel finds each name through the index.
        using var mount = new LoopMount(image.Path);
        foreach (var item in tree) Kernel.Stat(mount.Directory + "/" + item.Node.Path);
        Assert.Equal(tree.Count - 2, Kernel.Names(mount.Directory + "/d").Count);
    }

    [Fact]
    public void More_subdirectories_than_links_are_counted_as_one()
    {
        var tree = new List<TreeItem> { new(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)) };
        for (var i = 0; i < 65_010; i++) tree.Add(new TreeItem(new Node { Path = $"d{i}", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)));
        using var image = new ScratchImage(1L << 30);
        Write(image.Stream, Layout(1L << 30, 0, 4096), tree);
        image.MustPassFsck("65010 directories");
        Assert.Empty(new Ext4Reader(image.Stream).Check());
    }

    [Fact]
    public void Files_beyond_4_GiB_and_of_many_extents_come_back()
    {
        var random = new Random(5);
        (long, byte[]) Piece(long offset, int length)
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            return (offset, bytes);
        }

        var huge = new Content((900L << 30) + 123, Piece(0, 10), Piece((5L << 30) - 100, 5000), Piece((900L << 30) + 100, 23));
        var dense = new Content(200L << 20, Piece(0, 200 << 20));
        var comb = new Content(400L << 20, [.. Enumerable.Range(0, 12_000).Select(i => Piece(i * 8192L * 4, 100))]);
        var tree = new List<TreeItem>
        {
            new(new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)),
            new(new Node { Path = "huge", Kind = NodeKind.File, Size = huge.Size }, huge),
            new(new Node { Path = "dense", Kind = NodeKind.File, Size = dense.Size }, dense),
            new(new Node { Path = "comb", Kind = NodeKind.File, Size = comb.Size }, comb),
        };
        using var image = new ScratchImage(2L << 30);
        Write(image.Stream, Layout(2L << 30, 64 << 20), tree);
        image.MustPassFsck("large files");
        var reader = new Ext4Reader(image.Stream);
        Assert.Empty(reader.Check());
        TreeComparer.MustEqual(tree, reader);
        using var mount = new LoopMount(image.Path);
        TreeComparer.MustEqualMounted(tree, mount.Directory);
    }

    [Fact]
    public void Two_runs_give_the_same_bytes_and_a_copy_through_the_reader_the_same_tree()
    {
        var tree = RandomTree.Make(99, 600);
        var layout = Layout(256L << 20, 4 << 20);
        using ScratchImage first = new(layout.Options.Size), second = new(layout.Options.Size), copy = new(layout.Options.Size);
        Write(first.Stream, layout, tree, tellsHoles: true);
        Write(second.Stream, layout, tree, tellsHoles: false);
        Assert.Equal(Hash(first.Stream), Hash(second.Stream));

        var writer = new Ext4Writer(copy.Stream, layout);
        foreach (var entry in FileSystemTree.Read(new Ext4Reader(first.Stream))) writer.Add(entry.Node, entry.Content);
        writer.Finish();
        copy.MustPassFsck("the copy");
        TreeComparer.MustEqual(tree, new Ext4Reader(copy.Stream));
    }

    private static string Hash(Stream stream)
    {
        stream.Position = 0;
        return Convert.ToHexString(SHA256.HashData(stream));
    }
}
