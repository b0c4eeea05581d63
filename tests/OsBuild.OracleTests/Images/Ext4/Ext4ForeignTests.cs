using OsBuild.Images;
using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Trees;

namespace OsBuild.OracleTests.Images.Ext4;

/// <summary>Our reader on file systems that others made: mke2fs with many features, e2fsck -D, and the kernel.</summary>
public sealed class Ext4ForeignTests
{
    [Theory]
    [InlineData("-t ext4 -b 4096")]
    [InlineData("-t ext4 -b 1024")]
    [InlineData("-t ext4 -b 2048 -I 512")]
    [InlineData("-t ext4 -b 4096 -O ^metadata_csum,^64bit")]
    [InlineData("-t ext4 -b 4096 -O metadata_csum,metadata_csum_seed,orphan_file,quota,mmp")]
    [InlineData("-t ext4 -b 4096 -O meta_bg,^resize_inode,^flex_bg")]
    [InlineData("-t ext4 -b 4096 -O sparse_super2,^resize_inode")]
    [InlineData("-t ext4 -b 4096 -O ^extents,^64bit")]
    [InlineData("-t ext3 -b 1024")]
    [InlineData("-t ext3 -b 4096")]
    [InlineData("-t ext2 -b 4096 -I 128")]
    [InlineData("-t ext2 -b 1024 -O ^dir_index,^filetype,^sparse_super,^resize_inode")]
    [InlineData("-t ext4 -b 4096 -O bigalloc")]
    public void Reads_what_mke2fs_makes(string options)
    {
        var tree = RandomTree.Make(options.Length, 300);
        var small = !options.Contains("-b 4096") || options.Contains("-I 128");
        if (small)
            tree = [.. tree.Where(i => i.Node.LinkTarget is null || i.Node.Kind == NodeKind.HardLink || UnixText.Encode(i.Node.LinkTarget).Length < 1000).Select(i => i with { Node = i.Node with { Xattrs = [] } })];
        using ScratchImage source = new(256L << 20), image = new(256L << 20);
        Ext4TreeTests.Write(source.Stream, Ext4TreeTests.Layout(256L << 20), tree);
        using (var mount = new LoopMount(source.Path))
            Judge.Run("mke2fs", [.. "-q -F -N 4096 -L label".Split(' '), .. options.Split(' '), "-d", mount.Directory, image.Path]).MustPass("mke2fs " + options);

        var reader = new Ext4Reader(image.Stream);
        Assert.Equal("label", reader.Label);
        var limits = new TreeComparer.Limits { NoNanoseconds = true, Seconds32 = true };
        TreeComparer.MustEqual([.. tree.Where(i => i.Node.Path.Length > 0)], reader, limits);
        if (options.Contains("bigalloc"))
        {
            Assert.Contains("bigalloc", Assert.Single(reader.Check()));
            return;
        }

        Assert.Empty(reader.Check());

        // e2fsck rebuilds every directory, the larger ones with an index.
        Assert.InRange(Judge.Run("e2fsck", "-fyD", image.Path).ExitCode, 0, 1);
        var again = new Ext4Reader(image.Stream);
        TreeComparer.MustEqual([.. tree.Where(i => i.Node.Path.Length > 0)], again, limits);
        Assert.Empty(again.Check());
    }

    [Fact]
    public void Refuses_inline_data_by_name()
    {
        using ScratchImage image = new(64L << 20);
        var directory = Directory.CreateTempSubdirectory("osbuild-inline-");
        File.WriteAllText(Path.Combine(directory.FullName, "small"), "inside");
        Judge.Run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "inline_data", "-d", directory.FullName, image.Path).MustPass("mke2fs");
        directory.Delete(true);
        var error = Assert.Throws<ImageException>(() => new Ext4Reader(image.Stream).Open("small"));
        Assert.Equal(ImageErrorKind.Unsupported, error.Kind);
        Assert.Contains("inline_data", error.Message);
    }

    [Fact]
    public void Reads_what_the_kernel_made_of_ours()
    {
        using var image = new ScratchImage(512L << 20);
        var tree = RandomTree.Make(3, 200);
        Ext4TreeTests.Write(image.Stream, Ext4TreeTests.Layout(512L << 20, 4 << 20), tree);
        using (var mount = new LoopMount(image.Path, "rw"))
        {
            for (var i = 0; i < 3000; i++) File.WriteAllText($"{mount.Directory}/lost+found/{i:d100}", $"{i}");
            for (var i = 0; i < 3000; i += 3) File.Delete($"{mount.Directory}/lost+found/{i:d100}");
            Directory.CreateDirectory(mount.Directory + "/new/deep");
            File.WriteAllBytes(mount.Directory + "/new/deep/file", new byte[5_000_000]);
        }

        image.MustPassFsck("after the kernel's changes");
        var reader = new Ext4Reader(image.Stream);
        Assert.Empty(reader.Check());
        TreeComparer.MustEqual([.. tree.Where(i => i.Node.Path.Length > 0)], reader);
        Assert.Equal(2000, reader.List("lost+found").Count());
        using var text = new StreamReader(reader.Open($"lost+found/{2999:d100}"));
        Assert.Equal("2999", text.ReadToEnd());
        Assert.Equal(5_000_000, reader.Find("new/deep/file")!.Size);
    }

    [Fact]
    public void Finds_what_e2fsck_finds()
    {
        using var image = new ScratchImage(64L << 20);
        Ext4TreeTests.Write(image.Stream, Ext4TreeTests.Layout(64L << 20), RandomTree.Make(11, 120).Where(i => i.Content.Size < 500_000 && i.Node.Kind != NodeKind.HardLink));
        var sound = File.ReadAllBytes(image.Path);
        var random = new Random(1);
        for (var round = 0; round < 60; round++)
        {
            // One bit of the superblock's used half, the descriptors, the bitmaps or the first inodes.
            var at = round % 3 == 0 ? random.Next(1024, 1024 + 0x50) : random.Next(4096, 4096 + 64) + (round % 2 * random.Next(1, 6) * 4096);
            if (sound.AsSpan(at / 4096 * 4096, 4096).IndexOfAnyExcept((byte)0) < 0) continue;
            image.Stream.Position = at;
            image.Stream.WriteByte((byte)(sound[at] ^ (1 << random.Next(8))));
            var judged = Judge.Run("e2fsck", "-fn", image.Path).ExitCode != 0;
            Assert.True(!judged || Complains(image.Stream), $"e2fsck rejects the byte at {at}, our check does not");
            image.Stream.Position = at;
            image.Stream.WriteByte(sound[at]);
        }
    }

    private static bool Complains(Stream stream)
    {
        try
        {
            return new Ext4Reader(stream).Check().Any();
        }
        catch (ImageException)
        {
            return true;
        }
    }
}
