using OsBuild.Images;
using OsBuild.Images.Fat;

namespace OsBuild.Tests.Images.Fat;

public sealed class FatLayoutTests
{
    /// <summary>1 MB to 2 TB in steps of 8/7, for each kind: either a layout that obeys the specification, or a clear refusal.</summary>
    [Theory]
    [InlineData(FatKind.Fat12, 512)]
    [InlineData(FatKind.Fat16, 512)]
    [InlineData(FatKind.Fat32, 512)]
    [InlineData(FatKind.Fat12, 4096)]
    [InlineData(FatKind.Fat16, 4096)]
    [InlineData(FatKind.Fat32, 4096)]
    public void Obeys_the_specification_at_every_size(FatKind kind, int sectorSize)
    {
        var made = 0;
        for (double d = 1_000_000; d <= 2e12; d = d * 8 / 7)
        {
            var size = (long)d / sectorSize * sectorSize;
            FatLayout layout;
            try
            {
                layout = FatLayout.For(Volumes.Options(kind, size, sectorSize));
            }
            catch (ImageException e)
            {
                Assert.Contains($"FAT{(int)kind} is for", e.Message);
                continue;
            }

            made++;
            CheckRules(layout.Geometry, kind, size);
        }

        Assert.InRange(made, 30, 200);
    }

    [Theory]
    [InlineData(FatKind.Fat12, 4084)]
    [InlineData(FatKind.Fat16, 4085)]
    [InlineData(FatKind.Fat16, 65524)]
    [InlineData(FatKind.Fat32, 65525)]
    public void Reaches_the_last_cluster_count_of_each_kind(FatKind kind, uint clusters)
    {
        var found = Enumerable.Range(0, 4000).Select(i => Volumes.SizeNear(kind, clusters, i))
            .Select(size => Try(Volumes.Options(kind, size) with { ClusterSize = 512 }))
            .FirstOrDefault(l => l?.Clusters == clusters);
        Assert.NotNull(found);
        CheckRules(found.Geometry, kind, found.Options.Size);
    }

    [Theory]
    [InlineData(0, 512, "")]
    [InlineData(1000, 512, "")]
    [InlineData(1 << 20, 1024, "")]
    [InlineData(1 << 20, 512, "twelve chars")]
    [InlineData(1 << 20, 512, "a/b")]
    public void Refuses_what_cannot_be(long size, int sectorSize, string label) =>
        Assert.Throws<ImageException>(() => FatLayout.For(Volumes.Options(FatKind.Fat12, size, sectorSize, label)));

    private static FatLayout? Try(FatOptions options)
    {
        try
        {
            return FatLayout.For(options);
        }
        catch (ImageException)
        {
            return null;
        }
    }

    private static void CheckRules(FatGeometry g, FatKind kind, long size)
    {
        Assert.Equal(size, g.TotalSectors * g.SectorSize);
        Assert.Equal(kind, g.Clusters < 4085 ? FatKind.Fat12 : g.Clusters < 65525 ? FatKind.Fat16 : FatKind.Fat32);
        var entries = g.FatSectors * g.SectorSize * 8 / (int)kind;
        Assert.True(entries >= g.Clusters + 2, "the table holds an entry for every cluster");
        Assert.True(entries - (g.SectorSize * 8 / (int)kind) <= g.Clusters + 2 + (2 * g.SectorSize * 8 / (int)kind), "the table is not larger than needed");
        Assert.True(g.DataSector + ((long)g.Clusters * g.SectorsPerCluster) <= g.TotalSectors, "the clusters end inside the volume");
        Assert.InRange(g.ClusterSize, g.SectorSize, 65536);
    }
}
