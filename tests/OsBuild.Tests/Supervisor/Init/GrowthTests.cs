using OsBuild.Images.Partitions;
using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class GrowthTests
{
    private const long MiB = 1 << 20;
    private static readonly IReadOnlyList<DiskWrite> SomeWrites = [new DiskWrite(512, new byte[512])];

    [Theory]
    [InlineData(64, 4096, 2048, 524288L)] // first boot: to the end of its partition
    [InlineData(2048, 4096, 2048, null)] // later boots: nothing
    [InlineData(2046, 4096, 2048, null)] // a last group too short for its tables was left out by the kernel
    [InlineData(64, 1024, 128, 131072L)] // small blocks
    [InlineData(128, 4096, 64, null)] // never smaller
    [InlineData(0, 4096, 64, null)] // not an ext4
    [InlineData(64, 0, 128, null)]
    public void A_file_system_grows_to_its_partition_once(long fileSystem, int block, long partition, long? blocks) =>
        Assert.Equal(blocks, GrowthPlan.BlocksWanted(fileSystem * MiB, block, partition * MiB));

    [Fact]
    public void A_partition_that_is_not_whole_blocks_long_is_rounded_down() =>
        Assert.Equal(25600, GrowthPlan.BlocksWanted(16 * MiB, 4096, (100 * MiB) + 3584));

    [Theory]
    [InlineData(440, 2048, true)]
    [InlineData(2047, 2048, false)] // what alignment and the backup table leave
    [InlineData(2048, 2048, false)]
    public void A_table_is_written_only_when_there_is_something_to_gain(long end, long disk, bool grows) =>
        Assert.Equal(grows, GrowthPlan.TableGrows(SomeWrites, end * MiB, disk * MiB));

    [Fact]
    public void Without_writes_there_is_nothing_to_grow() => Assert.False(GrowthPlan.TableGrows([], 440 * MiB, 2048 * MiB));
}
