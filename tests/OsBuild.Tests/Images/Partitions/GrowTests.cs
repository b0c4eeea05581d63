using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Images.Partitions;

public sealed class GrowTests
{
    public static TheoryData<TableKind, int> All => PartitionTableTests.All;

    [Theory]
    [MemberData(nameof(All))]
    public void Reaches_the_end_and_then_has_nothing_to_do(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        foreach (var size in new[] { plan.Size + Disks.MiB, plan.Size + (7 * Disks.MiB) + sectorSize, 8 * Disks.GiB, 3000 * Disks.GiB })
        {
            var disk = Grown(plan, size, sectorSize);
            var data = PartitionTable.Read(disk, sectorSize)!.Partitions[^1];
            var limit = kind == TableKind.Mbr ? Math.Min(size, 2048 * Disks.GiB) : size;
            Assert.InRange(limit - (data.Offset + data.Size), 0, 2 * Disks.MiB);
            Assert.Empty(PartitionTable.Grow(disk, size, sectorSize));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Leaves_a_disk_alone_that_is_full(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        Assert.Empty(PartitionTable.Grow(Disks.Written(plan), plan.Size, sectorSize));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_cut_after_any_write_leaves_a_table_and_a_second_run_completes_it(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        foreach (var size in new[] { plan.Size + Disks.MiB, plan.Size + (20 * sectorSize), 64 * Disks.GiB })
        {
            var whole = Grown(plan, size, sectorSize);
            var fresh = Disks.Written(plan);
            fresh.SetLength(size);
            var writes = PartitionTable.Grow(fresh, size, sectorSize);
            foreach (var disk in Cuts(fresh, writes, sectorSize))
            {
                Assert.Equal(5, PartitionTable.Read(disk, sectorSize)!.Partitions.Count);
                Apply(disk, PartitionTable.Grow(disk, size, sectorSize));
                Assert.Empty(PartitionTable.Grow(disk, size, sectorSize));
                Assert.Equal(PartitionTable.Read(whole, sectorSize)!.Partitions, PartitionTable.Read(disk, sectorSize)!.Partitions);
                foreach (var w in writes) Assert.Equal(whole.ReadAt(w.Offset, w.Bytes.Length), disk.ReadAt(w.Offset, w.Bytes.Length));
            }
        }
    }

    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    public void Repairs_a_torn_primary_table_without_losing_the_backup(int at)
    {
        var plan = DiskPlan.For(Disks.Five(TableKind.Gpt));
        var disk = Disks.Written(plan);
        disk.Apply(at, new byte[100]);
        var writes = PartitionTable.Grow(disk, plan.Size);
        foreach (var cut in Cuts(disk, writes, 512)) Assert.Equal(5, PartitionTable.Read(cut)!.Partitions.Count);
        Apply(disk, writes);
        Assert.False(PartitionTable.Read(disk)!.FromBackup);
    }

    [Fact]
    public void Keeps_moved_entries_in_their_place()
    {
        var plan = DiskPlan.For(Disks.Five(TableKind.Gpt) with { GptEntriesLba = 2016, FirstOffset = 4 * Disks.MiB });
        var disk = Disks.Written(plan);
        disk.Apply(512, new byte[92]);
        disk.Apply(1024, "firmware"u8);
        disk.SetLength(plan.Size);
        Apply(disk, PartitionTable.Grow(disk, plan.Size));
        Assert.Equal("firmware"u8.ToArray(), disk.ReadAt(1024, 8));
        Assert.False(PartitionTable.Read(disk)!.FromBackup);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Refuses_a_disk_that_is_too_small(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        var disk = Disks.Written(plan);
        Assert.Equal(ImageErrorKind.TooLarge, Assert.Throws<ImageException>(() => PartitionTable.Grow(disk, plan.Size - (8 * Disks.MiB), sectorSize)).Kind);
    }

    [Fact]
    public void Refuses_a_disk_without_a_table() =>
        Assert.Throws<ImageException>(() => PartitionTable.Grow(new SparseStream(Disks.GiB), Disks.GiB));

    private static SparseStream Grown(DiskPlan plan, long size, int sectorSize)
    {
        var disk = Disks.Written(plan);
        disk.SetLength(size);
        Apply(disk, PartitionTable.Grow(disk, size, sectorSize));
        return disk;
    }

    private static void Apply(SparseStream disk, IReadOnlyList<DiskWrite> writes)
    {
        foreach (var w in writes) disk.Apply(w.Offset, w.Bytes.Span);
    }

    /// <summary>The disk after every prefix of the writes, and with each write torn between any two of its sectors.</summary>
    private static IEnumerable<SparseStream> Cuts(SparseStream before, IReadOnlyList<DiskWrite> writes, int sectorSize)
    {
        var disk = before.Clone();
        yield return disk.Clone();
        foreach (var w in writes)
        {
            for (var at = 0; at < w.Bytes.Length; at += sectorSize)
            {
                disk.Apply(w.Offset + at, w.Bytes.Span.Slice(at, sectorSize));
                yield return disk.Clone();
            }
        }
    }
}
