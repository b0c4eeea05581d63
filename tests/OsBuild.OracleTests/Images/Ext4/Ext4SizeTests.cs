using OsBuild.Images.Ext4;

namespace OsBuild.OracleTests.Images.Ext4;

/// <summary>Empty file systems of all sizes: e2fsck finds nothing, and next to nothing is written.</summary>
public sealed class Ext4SizeTests
{
    [Theory]
    [InlineData(2 << 20, 0, 16384)]
    [InlineData(8L << 40, 64, 16384)]
    [InlineData(3L << 30, 256, 4096)]
    [InlineData(300L << 20, 0, 4096)]
    public void Is_sound_at_the_ends_of_every_range(long size, int journal, int bytesPerInode) => Check(size, journal, bytesPerInode);

    [Fact]
    public void Is_sound_at_sizes_from_2_MiB_to_1_TiB()
    {
        // The judge takes seconds for a terabyte: fine steps only below 64 GiB.
        for (long size = 2 << 20; size <= 1L << 40; size = size * (size < 64L << 30 ? 8 : 14) / 7 / 4096 * 4096)
            Check(size, size > 16 << 20 ? 4 : 0, 16384);
        Check(1L << 40, 64, 16384);
    }

    [Fact]
    public void Is_sound_around_the_borders_of_groups()
    {
        foreach (var groups in new[] { 1, 2, 3, 16, 17, 49, 64, 65 })
            for (var blocks = -700; blocks <= 700; blocks += 140)
                Check((groups * (128L << 20)) + (blocks * 4096L), blocks % 2 == 0 ? 4 : 0, 16384);
    }

    private static void Check(long size, int journal, int bytesPerInode)
    {
        using var image = new ScratchImage(size);
        var layout = Ext4Layout.For(new Ext4Options
        {
            Size = size,
            Label = "data",
            Uuid = new Guid("7d1f9d0c-7d5c-4a9b-9a51-6a3f7c1f2b11"),
            HashSeed = new Guid("0c7d1f9d-5c7d-4a9b-9a51-6a3f7c1f2b11"),
            CreatedAt = 1302044400,
            JournalSize = (long)journal << 20,
            BytesPerInode = bytesPerInode,
        });
        new Ext4Writer(image.Stream, layout).Finish();
        image.MustPassFsck($"size {size}, journal {journal} MiB, {bytesPerInode} bytes per inode");
    }
}
