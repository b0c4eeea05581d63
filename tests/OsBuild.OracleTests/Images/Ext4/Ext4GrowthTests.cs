using OsBuild.Images.Ext4;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images.Trees;

namespace OsBuild.OracleTests.Images.Ext4;

/// <summary>The kernel grows our file systems while they are mounted, with the one ioctl the supervisor uses.</summary>
public sealed class Ext4GrowthTests
{
    [Theory]
    [InlineData(16L << 20, 4L << 20, 4L << 30)]
    [InlineData(64L << 20, 16L << 20, 64L << 30)]
    [InlineData(16L << 20, 4L << 20, 1L << 40)]
    [InlineData(300L << 20, 64L << 20, (29L << 30) + (123 << 12))]
    [InlineData(2L << 20, 0, 1L << 30)]
    public void Grows_while_mounted(long size, long journal, long target)
    {
        Assert.SkipUnless(Kernel.MayGrow, "Growing needs CAP_SYS_RESOURCE; the system tests do it in a guest.");
        using var image = new ScratchImage(target);
        var tree = RandomTree.Make((int)(size >> 20), 10).Where(i => i.Content.Size < 100_000).ToList();
        tree = [.. tree.Where(i => i.Node.Kind != NodeKind.HardLink || tree.Any(t => t.Node.Path == i.Node.LinkTarget))];
        Ext4TreeTests.Write(image.Stream, Ext4TreeTests.Layout(size, journal), tree);
        using (var mount = new LoopMount(image.Path, "rw"))
        {
            Kernel.Grow(mount.Directory, target / 4096);
            File.WriteAllBytes(mount.Directory + "/after", new byte[1 << 20]);
        }

        image.MustPassFsck($"grown from {size} to {target}");
        var reader = new Ext4Reader(image.Stream);
        Assert.InRange(reader.Size, target - (128 << 20), target);
        if (target < 100L << 30) Assert.Empty(reader.Check());
        Assert.Equal(1 << 20, reader.Find("after")!.Size);
        TreeComparer.MustEqual([.. tree.Where(i => i.Node.Path.Length > 0)], reader);
    }

    /// <summary>resize2fs moves nothing when it grows an unmounted file system, and then finds its own work sound.</summary>
    [Theory]
    [InlineData(16L << 20, 4L << 20, 100L << 20)]
    [InlineData(300L << 20, 0, 3L << 30)]
    public void Grows_unmounted(long size, long journal, long target)
    {
        using var image = new ScratchImage(target);
        var tree = RandomTree.Make(7, 30);
        Ext4TreeTests.Write(image.Stream, Ext4TreeTests.Layout(size, journal), tree.Where(i => i.Content.Size < 100_000 && i.Node.Kind != NodeKind.HardLink));
        Judge.Run("resize2fs", "-f", image.Path).MustPass("resize2fs");
        image.MustPassFsck($"grown from {size} to {target} by resize2fs");
        var reader = new Ext4Reader(image.Stream);
        Assert.Equal(target, reader.Size);
        Assert.Empty(reader.Check());
        TreeComparer.MustEqual([.. tree.Where(i => i.Content.Size < 100_000 && i.Node.Kind is not (NodeKind.HardLink or NodeKind.Directory))], reader);
    }
}
