using OsBuild.Images;
using OsBuild.Images.Ext4;

namespace OsBuild.Tests.Images.Ext4;

public sealed class Ext4LayoutTests
{
    private static Ext4Options Options(long size) => new() { Size = size, Uuid = Guid.Empty, HashSeed = Guid.Empty, CreatedAt = 0 };

    [Fact]
    public void Nothing_overlaps_and_everything_lies_inside_at_all_sizes()
    {
        for (long size = 2 << 20; size <= 8L << 40; size = size * 4 / 3 / 4096 * 4096)
        {
            foreach (var bytesPerInode in new[] { 4096, 16384, 1 << 20 })
            {
                var layout = Ext4Layout.For(Options(size) with { BytesPerInode = bytesPerInode, JournalSize = size > 16 << 20 ? 4 << 20 : 0 });
                var runs = layout.Fixed.Concat(layout.Journal).OrderBy(r => r.First).ToList();
                for (var i = 1; i < runs.Count; i++) Assert.True(runs[i - 1].End <= runs[i].First, $"overlap in {size}");
                Assert.True(runs[^1].End <= layout.Blocks && layout.Blocks * 4096 <= size);
                Assert.InRange(size - (layout.Blocks * 4096), 0, 128 << 20);

                // Every table is whole, inside what is kept, and of one group only.
                var tables = layout.InodeTables.Order().ToArray();
                for (var i = 1; i < tables.Length; i++) Assert.True(tables[i - 1] + layout.TableBlocks <= tables[i]);
                Assert.True(tables.All(table => runs.FindLast(r => r.First <= table) is var run && table + layout.TableBlocks <= run.End) || layout.Groups > 100);
            }
        }
    }

    [Theory]
    [InlineData(2 << 20, 1024)] // an eighth of 512 blocks, 16 inodes in each
    [InlineData(16 << 20, 8192)]
    [InlineData(128 << 20, 8192)]
    [InlineData(64L << 30, 8192)]
    public void Keeps_the_density_that_growth_will_need(long size, int inodesPerGroup) => Assert.Equal(inodesPerGroup, Ext4Layout.For(Options(size)).InodesPerGroup);

    [Fact]
    public void Says_where_the_medium_must_read_as_zeros()
    {
        var layout = Ext4Layout.For(Options(300 << 20) with { JournalSize = 128 << 20 });
        Assert.Equal((128L << 20) - 4096, layout.MustBeZero.Sum(range => range.Length));
        Assert.Empty(Ext4Layout.For(Options(300 << 20)).MustBeZero);
    }

    public static TheoryData<string, Ext4Options> Refused => new()
    {
        { "2 MiB to 8 TiB", Options((2 << 20) - 4096) },
        { "2 MiB to 8 TiB", Options((8L << 40) + 4096) },
        { "multiple of 4096", Options((4 << 20) + 512) },
        { "16 bytes", Options(4 << 20) with { Label = "seventeen letters" } },
        { "4 MiB to 256 MiB", Options(1 << 30) with { JournalSize = 1 << 20 } },
        { "4 MiB to 256 MiB", Options(1 << 30) with { JournalSize = 257 << 20 } },
        { "does not fit", Options(4 << 20) with { JournalSize = 4 << 20 } },
        { "4096 to 1048576", Options(4 << 20) with { BytesPerInode = 1024 } },
        { "seconds since 1970", Options(4 << 20) with { CreatedAt = -1 } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Refuses_with_the_range(string says, Ext4Options options)
    {
        var error = Assert.Throws<ImageException>(() => Ext4Layout.For(options));
        Assert.Equal(ImageErrorKind.TooLarge, error.Kind);
        Assert.Contains(says, error.Message);
    }
}
