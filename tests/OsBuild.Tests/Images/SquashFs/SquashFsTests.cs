using OsBuild.Images;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Trees;

namespace OsBuild.Tests.Images.SquashFs;

public sealed class SquashFsTests
{
    private static byte[] Write(IEnumerable<TreeItem> tree, SquashFsOptions options)
    {
        var target = new MemoryStream();
        // What lay there before must not matter.
        target.Write([1, 2, 3, 4, 5, 6, 7, 8]);
        using var writer = new SquashFsWriter(target, options);
        foreach (var (node, content) in tree) writer.Add(node, content.Open(tellsHoles: false));
        var size = writer.Finish();
        Assert.Equal(0, size % 4096);
        Assert.Equal(8 + size, target.Length);
        return target.ToArray()[8..];
    }

    private static SquashFsOptions Fast => new() { Level = 1, BlockSize = 1 << 14 };

    private static TreeItem File(string path, byte[] bytes) => new(new Node { Path = path, Kind = NodeKind.File, Size = bytes.Length }, new Content(bytes.Length, (0, bytes)));

    private static TreeItem Item(string path, NodeKind kind, string? target = null) => new(new Node { Path = path, Kind = kind, LinkTarget = target }, new Content(0));

    private static void MustHold(IReadOnlyList<TreeItem> tree, byte[] image)
    {
        var reader = new SquashFsReader(new MemoryStream(image));
        var ids = new Dictionary<string, ulong>();
        foreach (var (node, content) in tree)
        {
            var found = reader.Find(node.Path);
            Assert.True(found is not null, $"{node.Path} is missing");
            ids[node.Path] = found.FileId;
            if (node.Kind == NodeKind.HardLink)
            {
                Assert.Equal(ids[node.LinkTarget!], found.FileId);
                continue;
            }

            Assert.Equal(
                (node.Path, node.Kind, node.Mode, node.Uid, node.Gid, node.ModifiedAt, node.Size, node.LinkTarget, node.Major, node.Minor),
                (found.Path, found.Kind, found.Mode, found.Uid, found.Gid, found.ModifiedAt, found.Size, found.LinkTarget, found.Major, found.Minor));
            Assert.Equal(node.Xattrs.Select(x => (x.Name, Convert.ToHexString(x.Value.Span))), found.Xattrs.Select(x => (x.Name, Convert.ToHexString(x.Value.Span))));
            if (node.Kind == NodeKind.File) Assert.True(Bytes(content.Open(false)).AsSpan().SequenceEqual(Bytes(reader.Open(node.Path))), node.Path);
        }

        foreach (var directory in tree.Where(i => i.Node.Kind == NodeKind.Directory).Select(i => i.Node.Path))
        {
            var names = tree.Select(i => i.Node.Path).Where(p => p.Length > 0 && (p.LastIndexOf('/') is >= 0 and var slash ? p[..slash] : "") == directory);
            Assert.Equal(names.Order(StringComparer.Ordinal), reader.List(directory).Select(n => n.Path).Order(StringComparer.Ordinal));
        }

        Assert.Empty(reader.Check());
    }

    private static byte[] Bytes(Stream stream)
    {
        var all = new MemoryStream();
        stream.CopyTo(all);
        return all.ToArray();
    }

    [Fact]
    public void Random_trees_come_back_as_they_went_in_whatever_the_threads()
    {
        for (var seed = 0; seed < 6 * Fuzz.Times; seed++)
        {
            var tree = SquashFsTrees.Make(seed, 30 + 20 * seed % 200);
            var options = Fast with { Compression = seed % 2 == 0 ? SquashFsCompression.Zstd : SquashFsCompression.Gzip, BlockSize = 4096 << (seed % 6) };
            var image = Write(tree, options);
            MustHold(tree, image);
            Assert.Equal(image, Write(tree, options with { Threads = 3 }));
        }
    }

    [Fact]
    public void An_empty_tree_is_a_root_directory()
    {
        var reader = new SquashFsReader(new MemoryStream(Write([], Fast)));
        Assert.Equal(NodeKind.Directory, reader.Find("")!.Kind);
        Assert.Empty(reader.List(""));
        Assert.Empty(reader.Check());
        Assert.Null(reader.Find("nothing"));
        Assert.Throws<FileNotFoundException>(() => reader.Open("nothing"));
        Assert.Throws<FileNotFoundException>(() => reader.Open(""));
    }

    [Fact]
    public void Missing_parents_are_made_and_directories_may_come_again()
    {
        var again = new TreeItem(new Node { Path = "a", Kind = NodeKind.Directory, Mode = 0x1C0, Uid = 7 }, new Content(0));
        var reader = new SquashFsReader(new MemoryStream(Write([File("a/b/c", [1]), again], Fast)));
        Assert.Equal(0x1C0, reader.Find("a")!.Mode);
        Assert.Equal(7u, reader.Find("a")!.Uid);
        Assert.Equal(0x1ED, reader.Find("a/b")!.Mode);
    }

    [Theory]
    [InlineData(255, 10)]
    [InlineData(256, 10)]
    [InlineData(257, 10)]
    [InlineData(5_000, 200)]
    [InlineData(40_000, 8)]
    public void Directories_of_any_size_are_listed_in_order(int count, int nameLength)
    {
        List<TreeItem> tree = [Item("d", NodeKind.Directory) with { }];
        tree.AddRange(Enumerable.Range(0, count).Select(i => Item($"d/{i.ToString().PadLeft(nameLength, 'x')}", NodeKind.Fifo)));
        var reader = new SquashFsReader(new MemoryStream(Write(tree, Fast)));
        Assert.Equal(tree.Skip(1).Select(i => i.Node.Path).Order(StringComparer.Ordinal), reader.List("d").Select(n => n.Path));
    }

    [Fact]
    public void Equal_files_and_zeros_take_no_room()
    {
        var noise = new byte[300_000];
        new Random(1).NextBytes(noise);
        var once = Write([File("a", noise)], Fast).Length;
        var thrice = Write([File("a", noise), File("b", noise), File("c", (byte[])noise.Clone())], Fast).Length;
        Assert.InRange(thrice, once, once + 4096);
        Assert.Equal(4096, Write([File("zeros", new byte[50 << 20])], Fast).Length);
    }

    [Fact]
    public void Noise_is_stored_as_it_is_and_what_packs_a_little_is_packed()
    {
        const int Block = 1 << 17;
        var options = new SquashFsOptions { BlockSize = Block, Level = 15 };
        var noise = new byte[4 * Block];
        new Random(7).NextBytes(noise);
        var stored = Write([File("noise", noise)], options);
        Assert.True(stored.AsSpan().IndexOf(noise) > 0);
        MustHold([File("noise", noise)], stored);

        // Noise with a twentieth of it said twice.
        var little = noise[..Block];
        for (var i = 0; i < 20; i++) little.AsSpan(i * 6000, 300).CopyTo(little.AsSpan((i * 6000) + 3000));
        var packed = Write([File("little", little)], options);
        Assert.InRange(packed.Length, 0, Write([File("noise", noise[..Block])], options).Length - 4096);
        MustHold([File("little", little)], packed);
    }

    [Fact]
    public void Files_are_read_from_any_place()
    {
        var content = Compression.CodecWriteTests.Content(200_000, 3);
        var reader = new SquashFsReader(new MemoryStream(Write([File("f", content)], Fast)));
        using var file = reader.Open("f");
        var random = new Random(1);
        for (var i = 0; i < 200; i++)
        {
            var at = random.Next(content.Length);
            var piece = new byte[random.Next(1, Math.Min(40_000, content.Length - at + 1))];
            file.Position = at;
            file.ReadExactly(piece);
            Assert.True(content.AsSpan(at, piece.Length).SequenceEqual(piece));
        }

        file.Seek(0, SeekOrigin.End);
        Assert.Equal(0, file.Read(new byte[1]));
    }

    [Fact]
    public void What_squashfs_cannot_hold_is_refused_by_name()
    {
        void MustRefuse(string what, params TreeItem[] tree) => Assert.Contains(what, Assert.Throws<ImageException>(() => Write(tree, Fast)).Message);
        MustRefuse("a is in the tree twice", File("a", [1]), File("a", [2]));
        MustRefuse("which did not come before it", Item("b", NodeKind.HardLink, "a"));
        MustRefuse("which is no directory", File("a", [1]), File("a/b", [1]));
        MustRefuse("more than 256 bytes", File(new string('n', 257), [1]));
        var acl = new Node { Path = "acl", Kind = NodeKind.File, Xattrs = [new Xattr("system.posix_acl_access", new byte[4])] };
        MustRefuse("system.posix_acl_access", new TreeItem(acl, new Content(0)));
        MustRefuse("ends before its 10 bytes", new TreeItem(new Node { Path = "short", Kind = NodeKind.File, Size = 10 }, new Content(9)));
        Assert.Throws<ImageException>(() => new SquashFsWriter(new MemoryStream(), Fast with { Compression = SquashFsCompression.Lz4 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SquashFsWriter(new MemoryStream(), Fast with { Level = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => new SquashFsWriter(new MemoryStream(), Fast with { BlockSize = 5000 }));
    }

    [Fact]
    public void What_is_no_squashfs_is_refused()
    {
        Assert.Throws<ImageException>(() => new SquashFsReader(new MemoryStream()));
        Assert.Throws<ImageException>(() => new SquashFsReader(new MemoryStream(new byte[4096])));
        var image = Write([], Fast);
        image[20] = (byte)SquashFsCompression.Lz4;
        Assert.Contains("lz4", Assert.Throws<ImageException>(() => new SquashFsReader(new MemoryStream(image))).Message);
        image[28] = 3;
        Assert.Contains("version 3.0", Assert.Throws<ImageException>(() => new SquashFsReader(new MemoryStream(image))).Message);
    }

    [Fact]
    public void Torn_and_corrupt_images_are_told_and_never_break_the_reader()
    {
        var random = new Random(11);
        foreach (var compression in (SquashFsCompression[])[SquashFsCompression.Zstd, SquashFsCompression.Gzip])
        {
            var image = Write(SquashFsTrees.Make(4, 60), Fast with { Compression = compression });
            var tables = (int)SuperBlock.Read(image).InodeTable;
            for (var turn = 0; turn < 60 * Fuzz.Times; turn++)
            {
                var bad = turn % 5 == 0 ? image[..random.Next(image.Length)] : (byte[])image.Clone();
                // Mostly where the structure is: the superblock and the tables.
                if (turn % 5 > 0) random.NextBytes(bad.AsSpan(turn % 5 == 1 ? random.Next(96) : random.Next(tables, image.Length), 1));
                try
                {
                    var reader = new SquashFsReader(new MemoryStream(bad));
                    foreach (var finding in reader.Check()) Assert.NotEmpty(finding);
                }
                catch (ImageException)
                {
                }
            }
        }
    }
}
