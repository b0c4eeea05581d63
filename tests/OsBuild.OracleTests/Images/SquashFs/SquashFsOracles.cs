using OsBuild.Images;
using OsBuild.Images.SquashFs;
using OsBuild.OracleTests.Images.Trees;
using OsBuild.Tests.Images;
using OsBuild.Tests.Images.SquashFs;

namespace OsBuild.OracleTests.Images.SquashFs;

/// <summary>Trees of every sort: unsquashfs and the kernel give back what went in, and we read what mksquashfs writes.</summary>
public sealed class SquashFsOracles
{
    private static void Write(string path, IEnumerable<TreeItem> tree, SquashFsOptions options)
    {
        using var file = File.Create(path);
        using var writer = new SquashFsWriter(file, options);
        foreach (var (node, content) in tree) writer.Add(node, content.Open(tellsHoles: false));
        writer.Finish();
    }

    [Fact]
    public void Random_trees_come_back_from_unsquashfs_and_from_the_kernel()
    {
        Assert.SkipUnless(Judge.IsRoot, "Owners and devices need root.");
        for (var seed = 0; seed < 5 * Fuzz.Times; seed++)
        {
            using var folder = new TempFolder();
            var tree = SquashFsTrees.Make(seed, 30 + 40 * seed % 300);
            var image = folder["image.squashfs"];
            Write(image, tree, new SquashFsOptions
            {
                Compression = seed % 3 == 0 ? SquashFsCompression.Gzip : SquashFsCompression.Zstd,
                Level = 1 + seed % 9,
                BlockSize = 4096 << (seed % 9),
                Threads = 2,
                Time = 1302044400,
            });
            Assert.Contains("Tue Apr  5 2", Judge.Run("env", "TZ=UTC", "unsquashfs", "-s", image).MustPass("unsquashfs -s").Output);
            Judge.Run("unsquashfs", "-no-progress", "-strict-errors", "-d", folder["out"], image).MustPass($"unsquashfs, seed {seed}");
            TreeComparer.MustEqualMounted(tree, folder["out"]);
            using var mount = new LoopMount(image, type: "squashfs");
            TreeComparer.MustEqualMounted(tree, mount.Directory);
        }
    }

    [Fact]
    public void The_kernel_finds_every_name_of_large_directories()
    {
        using var folder = new TempFolder();
        List<TreeItem> tree = [new(new() { Path = "d", Kind = OsBuild.Images.Trees.NodeKind.Directory, Mode = 0x1ED }, new Content(0))];
        for (var i = 0; i < 30_000; i++)
            tree.Add(new TreeItem(new() { Path = $"d/{i * 7919 % 1_000_003}-{new string('n', i % 60)}", Kind = OsBuild.Images.Trees.NodeKind.Fifo }, new Content(0)));
        Write(folder["image"], tree, new SquashFsOptions { Level = 1 });
        using var mount = new LoopMount(folder["image"], type: "squashfs");
        foreach (var item in tree) Kernel.Stat(mount.Directory + "/" + item.Node.Path);
        Assert.Equal(tree.Count - 1, Kernel.Names(mount.Directory + "/d").Count);
        var reader = new SquashFsReader(File.OpenRead(folder["image"]));
        Assert.Equal(tree.Count - 1, reader.List("d").Count());
    }

    [Theory]
    [InlineData("-comp gzip")]
    [InlineData("-comp zstd -b 4096")]
    [InlineData("-comp xz -b 1M")]
    [InlineData("-comp zstd -no-fragments")]
    [InlineData("-comp gzip -always-use-fragments -b 65536")]
    [InlineData("-comp zstd -noI -noD -noF -noX")]
    [InlineData("-comp gzip -no-exports -no-duplicates")]
    public void What_mksquashfs_writes_we_read(string options)
    {
        Assert.SkipUnless(Judge.IsRoot, "Owners and devices need root.");
        using var folder = new TempFolder();
        var tree = SquashFsTrees.Make(options.Length, 250);
        Write(folder["ours"], tree, new SquashFsOptions { Level = 1 });
        Judge.Run("unsquashfs", "-no-progress", "-d", folder["tree"], folder["ours"]).MustPass("unsquashfs");
        Judge.Run("mksquashfs", [folder["tree"], folder["theirs"], "-noappend", "-quiet", "-no-progress", .. options.Split(' ')]).MustPass("mksquashfs");
        using var file = File.OpenRead(folder["theirs"]);
        var reader = new SquashFsReader(file);
        TreeComparer.MustEqual(tree, reader);
        Assert.Empty(reader.Check());
    }

    [Fact]
    public void Lz4_is_refused_by_name()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["tree"]);
        Judge.Run("mksquashfs", folder["tree"], folder["image"], "-noappend", "-quiet", "-comp", "lz4").MustPass("mksquashfs");
        using var file = File.OpenRead(folder["image"]);
        Assert.Contains("lz4", Assert.Throws<ImageException>(() => new SquashFsReader(file)).Message);
    }
}
