using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Images.Partitions;

public sealed class PartitionTableTests
{
    public static TheoryData<TableKind, int> All => new MatrixTheoryData<TableKind, int>([TableKind.Gpt, TableKind.Mbr, TableKind.Hybrid], [512, 4096]);

    [Theory]
    [MemberData(nameof(All))]
    public void Reads_back_what_it_wrote(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        var table = PartitionTable.Read(Disks.Written(plan), sectorSize)!;
        Assert.Equal(kind, table.Kind);
        Assert.Equal(plan.Partitions.Select(p => (p.Number, p.Offset, p.Size)), table.Partitions.Select(p => (p.Number, p.Offset, p.Size)));
        if (kind != TableKind.Mbr)
        {
            Assert.Equal(plan.Partitions.Select(p => (p.Spec.Name, p.Spec.Id.ToString())), table.Partitions.Select(p => (p.Name, p.Id)));
            return;
        }

        Assert.Equal(["12345678-01", "12345678-02", "12345678-03", "12345678-05", "12345678-06"], table.Partitions.Select(p => p.Id));
        Assert.Equal("0x0c", table.Partitions[0].Type);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Never_writes_boot_code(TableKind kind, int sectorSize) =>
        Assert.DoesNotContain(PartitionTable.Writes(DiskPlan.For(Disks.Five(kind, sectorSize))), w => w.Offset < 440);

    [Fact]
    public void Finds_no_table_on_an_empty_disk_or_a_bare_volume()
    {
        Assert.Null(PartitionTable.Read(new SparseStream(Disks.MiB)));
        Assert.Null(PartitionTable.Read(new SparseStream(100)));
        Assert.Null(PartitionTable.Read(new SparseStream(0)));
    }

    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    public void Reads_the_backup_when_the_primary_table_is_torn(int at)
    {
        var disk = Disks.Written(DiskPlan.For(Disks.Five(TableKind.Gpt)));
        disk.Apply(at, new byte[64]);
        var table = PartitionTable.Read(disk)!;
        Assert.True(table.FromBackup);
        Assert.Equal(5, table.Partitions.Count);
        disk.Apply(disk.Length - 512, new byte[64]);
        if (at == 512) Assert.Equal(ImageErrorKind.Corrupt, Assert.Throws<ImageException>(() => PartitionTable.Read(disk)).Kind);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Refuses_an_image_that_is_cut_off(TableKind kind, int sectorSize)
    {
        var disk = Disks.Written(DiskPlan.For(Disks.Five(kind, sectorSize)));
        disk.SetLength(disk.Length - (34 * Disks.MiB));
        Assert.Contains("cut off", Assert.Throws<ImageException>(() => PartitionTable.Read(disk, sectorSize)).Message);
    }

    [Fact]
    public void Refuses_a_chain_of_logical_partitions_that_runs_in_a_circle()
    {
        var plan = DiskPlan.For(Disks.Five(TableKind.Mbr));
        var disk = Disks.Written(plan);
        // The second boot record's link leads back to the first.
        var record = plan.BootRecordOf(plan.Partitions[4]);
        disk.Apply(record + 446 + 16, [0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        Assert.Contains("circle", Assert.Throws<ImageException>(() => PartitionTable.Read(disk)).Message);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Damage_anywhere_in_the_table_ends_in_a_table_or_one_clear_error(TableKind kind, int sectorSize)
    {
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        var writes = PartitionTable.Writes(plan);
        var random = new Random(7);
        for (var turn = 0; turn < 200 * Fuzz.Times; turn++)
        {
            var disk = Disks.Written(plan);
            for (var flips = random.Next(1, 4); flips > 0; flips--)
            {
                var write = writes[random.Next(writes.Count)];
                var at = write.Offset + random.Next(Math.Min(write.Bytes.Length, 700));
                disk.Apply(at, [(byte)(disk.ReadAt(at, 1)[0] ^ (1 << random.Next(8)))]);
            }

            if (random.Next(4) == 0) disk.SetLength(random.NextInt64(disk.Length));
            var error = Record.Exception(() =>
            {
                PartitionTable.Read(disk, sectorSize);
                PartitionTable.Grow(disk, disk.Length, sectorSize);
            });
            Assert.True(error is null or ImageException, error?.ToString());
        }
    }
}
