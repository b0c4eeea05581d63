using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Ext4;

public sealed class Ext4WriterTests
{
    private static readonly Guid Seed = new("0c7d1f9d-5c7d-4a9b-9a51-6a3f7c1f2b11");

    private static Ext4Options Options(long size) => new() { Size = size, Uuid = new Guid(1, 2, 3, new byte[8]), HashSeed = Seed, CreatedAt = 1302044400, Label = "root-a" };

    private static SparseStream Write(long size, params (Node Node, byte[] Content)[] tree)
    {
        var target = new SparseStream(size) { Logs = true };
        var writer = new Ext4Writer(target, Ext4Layout.For(Options(size)));
        foreach (var (node, content) in tree) writer.Add(node, new MemoryStream(content));
        writer.Finish();
        return target;
    }

    private static (Node, byte[]) File(string path, byte[] content) => (new Node { Path = path, Kind = NodeKind.File, Size = content.Length }, content);

    private static (Node, byte[]) File(string path, int size) => File(path, Enumerable.Range(0, size).Select(i => (byte)(1 + (i % 200))).ToArray());

    private static (Node, byte[]) Other(NodeKind kind, string path, string? target = null) => (new Node { Path = path, Kind = kind, LinkTarget = target }, []);

    /// <summary>Values from <c>debugfs -R "dx_hash -h half_md4 -s SEED NAME"</c>.</summary>
    [Theory]
    [InlineData("a", 0xe46593e6)]
    [InlineData("hello", 0x48df2328)]
    [InlineData("0123456789012345678901234567890123456789", 0xaa036f02)]
    public void Hashes_names_as_debugfs_does(string name, uint hash) => Assert.Equal(hash, new DirectoryHash(Seed).Of(System.Text.Encoding.UTF8.GetBytes(name)));

    [Fact]
    public void Gives_back_what_was_written()
    {
        var acl = PosixAcl.FromText("user::rwx,user:1000:r--,group::r-x,mask::r-x,other::---")!;
        var file = new Node
        {
            Path = "usr/bin/ping",
            Kind = NodeKind.File,
            Mode = 0xDED,
            Uid = 70000,
            Gid = 4_000_000_000,
            ModifiedAt = (1L << 33) + 7,
            ModifiedNanoseconds = 999_999_999,
            Size = 5000,
            Xattrs = [new Xattr("security.capability", new byte[20]), new Xattr("system.posix_acl_access", acl), new Xattr("user.big", new byte[3000])],
        };
        var content = File("x", 5000).Item2;
        var image = Write(
            16 << 20, (file, content), Other(NodeKind.HardLink, "usr/bin/again", "usr/bin/ping"), Other(NodeKind.Symlink, "lib", "usr/lib"),
            Other(NodeKind.Symlink, "long", new string('x', 4000)), (new Node { Path = "dev/nvme", Kind = NodeKind.BlockDevice, Major = 259, Minor = 70000 }, []), Other(NodeKind.Fifo, "fifo"));
        var reader = new Ext4Reader(image);
        Assert.Empty(reader.Check());
        Assert.Equal(("ext4", "root-a", 16L << 20), (reader.Format, reader.Label, reader.Size));
        var found = reader.Find("usr/bin/ping")!;
        Assert.Equal(file.Xattrs.Select(x => (x.Name, Convert.ToHexString(x.Value.Span))), found.Xattrs.Select(x => (x.Name, Convert.ToHexString(x.Value.Span))));
        Assert.Equal(file with { Xattrs = [], FileId = found.FileId }, found with { Xattrs = [] });
        Assert.Equal(found.FileId, reader.Find("usr/bin/again")!.FileId);
        using var stream = reader.Open("usr/bin/ping");
        var read = new byte[5000];
        stream.ReadExactly(read);
        Assert.Equal(content, read);
        Assert.Equal(["again", "ping"], reader.List("usr/bin").Select(n => n.Name));
        Assert.Equal(new string('x', 4000), reader.Find("long")!.LinkTarget);
        Assert.Equal((259u, 70000u), (reader.Find("dev/nvme")!.Major, reader.Find("dev/nvme")!.Minor));
        Assert.Null(reader.Find("usr/bin/ping/below"));
        Assert.Throws<FileNotFoundException>(() => reader.Open("usr"));

        var links = FileSystemTree.Read(reader).Select(e => e.Node).Where(n => n.Kind == NodeKind.HardLink).ToList();
        Assert.Equal(("usr/bin/ping", "usr/bin/again"), (Assert.Single(links).Path, links[0].LinkTarget));
    }

    [Fact]
    public void Writes_every_byte_once_in_large_pieces_and_no_block_of_zeros()
    {
        var holey = new byte[600_000];
        for (var at = 0; at < holey.Length; at += 50_000) holey[at] = 1;
        var image = Write(64 << 20, [File("large", 30_000_000), File("holey", holey), .. Enumerable.Range(0, 2000).Select(i => File($"d/{i}", i))]);
        var written = new HashSet<long>();
        foreach (var (offset, bytes) in image.Log)
        {
            for (var at = 0; at < bytes.Length; at += 4096)
            {
                Assert.True(written.Add((offset + at) / 4096), $"block {(offset + at) / 4096} is written twice");
                Assert.True(bytes.AsSpan(at, Math.Min(4096, bytes.Length - at)).ContainsAnyExcept((byte)0), $"block {(offset + at) / 4096} is written and is zeros");
            }
        }

        Assert.InRange(image.Log.Count, 30, 80);
        Assert.Empty(new Ext4Reader(image).Check());
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(4096, 1)]
    [InlineData(4097, 2)]
    [InlineData(1 << 20, 256)]
    [InlineData((1 << 20) + 1, 257)]
    public void A_file_takes_the_blocks_it_needs(int size, int blocks)
    {
        long Free(SparseStream image)
        {
            var bytes = image.ReadAt(1024, SuperBlock.Size);
            return SuperBlock.Read(bytes).FreeBlocks;
        }

        Assert.Equal(Free(Write(8 << 20)) - blocks, Free(Write(8 << 20, File("f", size))));
    }

    public static TheoryData<string, ImageErrorKind, Node> Refused => new()
    {
        { "twice", ImageErrorKind.Corrupt, new Node { Path = "f", Kind = NodeKind.File } },
        { "twice", ImageErrorKind.Corrupt, new Node { Path = "f", Kind = NodeKind.Directory } },
        { "not a directory", ImageErrorKind.Corrupt, new Node { Path = "f/below", Kind = NodeKind.Fifo } },
        { "did not come before", ImageErrorKind.Corrupt, new Node { Path = "h", Kind = NodeKind.HardLink, LinkTarget = "missing" } },
        { "symbolic link", ImageErrorKind.Corrupt, new Node { Path = "h", Kind = NodeKind.HardLink, LinkTarget = "lost+found" } },
        { "1 to 255 bytes", ImageErrorKind.Corrupt, new Node { Path = new string('n', 256), Kind = NodeKind.Fifo } },
        { "1 to 255 bytes", ImageErrorKind.Corrupt, new Node { Path = "a/..", Kind = NodeKind.Fifo } },
        { "1 to 4095", ImageErrorKind.Corrupt, new Node { Path = "s", Kind = NodeKind.Symlink, LinkTarget = new string('t', 4096) } },
        { "1 to 4095", ImageErrorKind.Corrupt, new Node { Path = "s", Kind = NodeKind.Symlink, LinkTarget = "" } },
        { "4096:1", ImageErrorKind.Corrupt, new Node { Path = "c", Kind = NodeKind.CharDevice, Major = 4096, Minor = 1 } },
        { "ends before", ImageErrorKind.Corrupt, new Node { Path = "torn", Kind = NodeKind.File, Size = 10 } },
        { "os2.name", ImageErrorKind.Unsupported, new Node { Path = "x", Kind = NodeKind.File, Xattrs = [new Xattr("os2.name", new byte[1])] } },
        { "ACL", ImageErrorKind.Corrupt, new Node { Path = "x", Kind = NodeKind.File, Xattrs = [new Xattr("system.posix_acl_access", new byte[5])] } },
        { "user.big", ImageErrorKind.TooLarge, new Node { Path = "user.big", Kind = NodeKind.File, Xattrs = [new Xattr("user.big", new byte[5000])] } },
        { "16 TiB", ImageErrorKind.TooLarge, new Node { Path = "endless", Kind = NodeKind.File, Size = 1L << 44 } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Refuses_what_ext4_cannot_hold(string says, ImageErrorKind kind, Node node)
    {
        var writer = new Ext4Writer(new SparseStream(4 << 20), Ext4Layout.For(Options(4 << 20)));
        writer.Add(new Node { Path = "f", Kind = NodeKind.File }, Stream.Null);
        var error = Assert.Throws<ImageException>(() => writer.Add(node, Stream.Null));
        Assert.Equal(kind, error.Kind);
        Assert.Contains(says, error.Message);
    }

    [Fact]
    public void What_does_not_fit_is_named_with_what_is_missing()
    {
        var writer = new Ext4Writer(new SparseStream(4 << 20), Ext4Layout.For(Options(4 << 20)));
        var error = Assert.Throws<ImageException>(() => writer.Add(File("usr/lib/huge.so", 6 << 20).Item1, new MemoryStream(File("x", 6 << 20).Item2)));
        Assert.Equal(ImageErrorKind.TooLarge, error.Kind);
        Assert.Contains("usr/lib/huge.so", error.Message);
        Assert.Contains("2.5 MiB", error.Message); // the 4 MiB hold half a MiB of tables
    }

    [Fact]
    public void Too_many_files_are_named_too()
    {
        var layout = Ext4Layout.For(Options(2 << 20));
        var writer = new Ext4Writer(new SparseStream(2 << 20), layout);
        for (var i = 0; i < layout.Inodes - 11; i++) writer.Add(Other(NodeKind.Fifo, $"f{i}").Item1, Stream.Null);
        Assert.Equal(0, writer.FreeInodes);
        Assert.Contains("1024 inodes", Assert.Throws<ImageException>(() => writer.Add(Other(NodeKind.Fifo, "more").Item1, Stream.Null)).Message);
    }

    [Fact]
    public void A_failing_medium_is_told_as_it_is_and_leaves_no_superblock()
    {
        for (var fails = 0; fails < 10; fails++)
        {
            var target = new SparseStream(8 << 20);
            var left = fails;
            target.OnWrite = (_, _) =>
            {
                if (left-- == 0) throw new IOException("no more");
            };
            var writer = new Ext4Writer(target, Ext4Layout.For(Options(8 << 20)));
            var error = Record.Exception(() =>
            {
                writer.Add(File("f", 3 << 20).Item1, new MemoryStream(File("f", 3 << 20).Item2));
                writer.Finish();
            });
            if (error is null) return;
            Assert.IsType<IOException>(error);
            Assert.Throws<ImageException>(() => new Ext4Reader(target));
        }

        Assert.Fail("the writer makes more writes than this test expects");
    }

    [Fact]
    public void Only_directories_may_come_again_and_their_attributes_are_replaced()
    {
        var image = Write(
            4 << 20, Other(NodeKind.Fifo, "a/b/c"), (new Node { Path = "a/b", Kind = NodeKind.Directory, Mode = 0x1C0, Uid = 5, Xattrs = [new Xattr("user.a", new byte[400])] }, []),
            (new Node { Path = "a/b", Kind = NodeKind.Directory, Mode = 0x1C1, Uid = 6 }, []), (new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x16D }, []));
        var reader = new Ext4Reader(image);
        Assert.Empty(reader.Check());
        Assert.Equal((0x1C1, 6u, 0), (reader.Find("a/b")!.Mode, reader.Find("a/b")!.Uid, reader.Find("a/b")!.Xattrs.Count));
        Assert.Equal(0x16D, reader.Find("")!.Mode);
        Assert.Equal((0x1ED, 1302044400L), (reader.Find("a")!.Mode, reader.Find("a")!.ModifiedAt));
    }
}
