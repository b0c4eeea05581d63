using OsBuild.Images;
using OsBuild.Images.Cpio;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Cpio;

public sealed class CpioTests
{
    private static readonly (Node Node, byte[] Content)[] Tree =
    [
        (new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED }, []),
        (new Node { Path = "dev", Kind = NodeKind.Directory, Mode = 0x1ED, ModifiedAt = 7 }, []),
        (new Node { Path = "dev/console", Kind = NodeKind.CharDevice, Mode = 0x180, Major = 5, Minor = 1 }, []),
        (new Node { Path = "dev/vda", Kind = NodeKind.BlockDevice, Mode = 0x180, Major = 253, Minor = 255 }, []),
        (new Node { Path = "init", Kind = NodeKind.File, Mode = 0xFFF & 0x9ED, Size = 5, Uid = 1, Gid = 2, ModifiedAt = 1302044400 }, "hello"u8.ToArray()),
        (new Node { Path = "empty \uDCFF", Kind = NodeKind.File }, []),
        (new Node { Path = "link", Kind = NodeKind.Symlink, Mode = 0x1FF, LinkTarget = "/usr/lib/x" }, []),
        (new Node { Path = "pipe", Kind = NodeKind.Fifo }, []),
        (new Node { Path = "sock", Kind = NodeKind.Socket }, []),
    ];

    [Fact]
    public void Reads_back_what_it_wrote()
    {
        var archive = Written();
        Assert.Equal(0, archive.Length % 512);
        var read = CpioReader.Read(archive).Select(e => (e.Node with { Xattrs = Tree[0].Node.Xattrs }, Content(e.Content))).ToList();
        Assert.Equal(Tree.Select(t => t.Node with { Xattrs = Tree[0].Node.Xattrs }), read.Select(r => r.Item1));
        Assert.Equal(Tree.Select(t => t.Content), read.Select(r => r.Item2));
    }

    [Fact]
    public void Refuses_entries_the_kernel_would_lose()
    {
        var writer = new CpioWriter(new MemoryStream());
        Assert.Contains("not added before", Refused(new Node { Path = "a/b", Kind = NodeKind.File }));
        Assert.Contains("hard links", Refused(new Node { Path = "a", Kind = NodeKind.HardLink, LinkTarget = "b" }));
        Assert.Contains("4294967295", Refused(new Node { Path = "big", Kind = NodeKind.File, Size = 1L << 32 }));
        writer.Add(new Node { Path = "a", Kind = NodeKind.File }, Stream.Null);
        Assert.Contains("already", Refused(new Node { Path = "a", Kind = NodeKind.File }));
        Assert.Contains("not added before", Refused(new Node { Path = "a/b", Kind = NodeKind.File }));

        string Refused(Node node) => Assert.Throws<ImageException>(() => writer.Add(node, Stream.Null)).Message;
    }

    [Fact]
    public void Damage_ends_in_entries_or_one_clear_error()
    {
        var good = Written().ToArray();
        var random = new Random(4);
        for (var turn = 0; turn < 2000 * Fuzz.Times; turn++)
        {
            var bytes = good[..random.Next(turn % 2 == 0 ? good.Length : 1, good.Length + 1)];
            for (var flips = random.Next(4); flips > 0; flips--) bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            var error = Record.Exception(() =>
            {
                foreach (var e in CpioReader.Read(new MemoryStream(bytes))) Content(e.Content);
            });
            Assert.True(error is null or ImageException, error?.ToString());
        }
    }

    [Fact]
    public void A_torn_archive_is_an_error_at_every_length()
    {
        var good = Written().ToArray();
        var end = good.AsSpan().LastIndexOf("TRAILER!!!"u8);
        for (var length = 0; length < end; length += 13)
            Assert.Throws<ImageException>(() => CpioReader.Read(new MemoryStream(good[..length])).Select(e => Content(e.Content)).ToList());
    }

    private static MemoryStream Written()
    {
        var archive = new MemoryStream();
        var writer = new CpioWriter(archive);
        foreach (var (node, content) in Tree) writer.Add(node, new MemoryStream(content));
        writer.Finish();
        archive.Position = 0;
        return archive;
    }

    private static byte[] Content(Stream stream)
    {
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
