using System.Globalization;
using System.Text.Json;
using OsBuild.Images.Partitions;
using OsBuild.Tests.Images.Partitions;

namespace OsBuild.OracleTests.Images;

public sealed class PartitionOracleTests
{
    public static TheoryData<TableKind> Kinds => [TableKind.Gpt, TableKind.Mbr, TableKind.Hybrid];

    public static TheoryData<TableKind, int> All => new MatrixTheoryData<TableKind, int>([TableKind.Gpt, TableKind.Mbr, TableKind.Hybrid], [512, 4096]);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Other_programs_read_the_same_table_and_find_nothing_wrong(TableKind kind)
    {
        using var folder = new TempFolder();
        var plan = DiskPlan.For(Disks.Five(kind));
        Write(plan, folder["disk"]);
        JudgeTable(kind, folder["disk"], plan.Partitions.Select(p => (p.Number, p.Offset, p.Size)));
        Assert.Contains("boot", kind == TableKind.Mbr ? "boot" : Judge.Run("sgdisk", "-p", folder["disk"]).MustPass("sgdisk -p").Output);
        Assert.DoesNotContain("Error", Judge.Run("parted", "-s", "-m", folder["disk"], "unit", "B", "print").MustPass("parted").Output);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void The_system_sees_the_partitions(TableKind kind, int sectorSize)
    {
        using var folder = new TempFolder();
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        Write(plan, folder["disk"]);
        using var loop = new LoopDevice(folder["disk"], sectorSize);
        Assert.Equal(plan.Partitions.Select(p => (p.Number, p.Offset, p.Size)), SystemView(loop.Device).Where(p => kind != TableKind.Mbr || p.Number != 4));
        // These read the sector size from the device.
        Assert.Contains($"{sectorSize} bytes", Judge.Run("fdisk", "-l", loop.Device).MustPass("fdisk -l").Output);
        JudgeTable(kind, loop.Device, plan.Partitions.Select(p => (p.Number, p.Offset, p.Size)), sectorSize);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Grown_tables_pass_the_same_judges(TableKind kind, int sectorSize)
    {
        using var folder = new TempFolder();
        var plan = DiskPlan.For(Disks.Five(kind, sectorSize));
        foreach (var size in new[] { plan.Size + Disks.MiB, 5 * Disks.GiB, 3 * 1024 * Disks.GiB })
        {
            Write(plan, folder["disk"]);
            Resize(folder["disk"], size);
            Grow(folder["disk"], size, sectorSize);
            IEnumerable<PartitionEntry> table;
            using (var disk = File.OpenRead(folder["disk"])) table = PartitionTable.Read(disk, sectorSize)!.Partitions;
            var expected = table.Select(p => (p.Number, p.Offset, p.Size)).ToList();
            using var loop = new LoopDevice(folder["disk"], sectorSize);
            Assert.Equal(expected, SystemView(loop.Device).Where(p => kind != TableKind.Mbr || p.Number != 4));
            JudgeTable(kind, loop.Device, expected, sectorSize);
        }
    }

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public void The_system_sees_the_partitions_after_every_cut_of_a_growth(int sectorSize)
    {
        using var folder = new TempFolder();
        var plan = DiskPlan.For(Disks.Five(TableKind.Gpt, sectorSize));
        const long size = 2 * Disks.GiB;
        for (var cut = 0; ; cut++)
        {
            Write(plan, folder["disk"]);
            Resize(folder["disk"], size);
            IReadOnlyList<DiskWrite> writes;
            using (var disk = File.Open(folder["disk"], FileMode.Open))
            {
                writes = PartitionTable.Grow(disk, size, sectorSize);
                Apply(disk, writes.Take(cut));
            }

            using (var loop = new LoopDevice(folder["disk"], sectorSize)) Assert.Equal(5, SystemView(loop.Device).Count);
            Grow(folder["disk"], size, sectorSize);
            using (var loop = new LoopDevice(folder["disk"], sectorSize)) JudgeTable(TableKind.Gpt, loop.Device, SystemView(loop.Device), sectorSize);
            if (cut == writes.Count) return;
        }
    }

    [Fact]
    public void Reads_tables_that_others_made()
    {
        using var folder = new TempFolder();
        Resize(folder["gpt"], 512 * Disks.MiB);
        Judge.Run("sgdisk", "-n", "1:2048:+64M", "-c", "1:first", "-t", "1:ef00", "-n", "5:0:0", "-c", "5:last one", "-u", "5:11111111-2222-3333-4444-555555555555", folder["gpt"]).MustPass("sgdisk");
        using (var disk = File.OpenRead(folder["gpt"]))
        {
            var table = PartitionTable.Read(disk)!;
            Assert.Equal([(1, "first"), (5, "last one")], table.Partitions.Select(p => (p.Number, p.Name)));
            Assert.Equal("11111111-2222-3333-4444-555555555555", table.Partitions[1].Id);
            Assert.Empty(PartitionTable.Grow(disk, disk.Length));
        }

        Resize(folder["mbr"], 512 * Disks.MiB);
        File.WriteAllText(folder["script"], "label: dos\nlabel-id: 0xcafe1234\n,16M,c,*\n,16M\n,,E\n,32M\n,32M\n,64M\n");
        Judge.Run("sh", "-c", $"sfdisk {folder["mbr"]} < {folder["script"]}").MustPass("sfdisk");
        using (var disk = File.Open(folder["mbr"], FileMode.Open))
        {
            Assert.Equal(["cafe1234-01", "cafe1234-02", "cafe1234-05", "cafe1234-06", "cafe1234-07"], PartitionTable.Read(disk)!.Partitions.Select(p => p.Id));
            Apply(disk, PartitionTable.Grow(disk, disk.Length));
        }

        Judge.Run("sfdisk", "--verify", folder["mbr"]).MustPass("sfdisk --verify");
    }

    [Fact]
    public void Grows_disks_that_sgdisk_made_with_moved_entries()
    {
        using var folder = new TempFolder();
        Resize(folder["disk"], 512 * Disks.MiB);
        Judge.Run("sgdisk", "-j", "2016", "-n", "1:8192:0", folder["disk"]).MustPass("sgdisk -j");
        Resize(folder["disk"], Disks.GiB);
        Grow(folder["disk"], Disks.GiB, 512);
        Assert.Contains("No problems found", Judge.Run("sgdisk", "-v", folder["disk"]).Output);
        Assert.Contains("begins at sector 2016", Judge.Run("sgdisk", "-p", folder["disk"]).Output);
    }

    private static void JudgeTable(TableKind kind, string disk, IEnumerable<(int Number, long Offset, long Size)> expected, int sectorSize = 512)
    {
        var verify = Judge.Run("sfdisk", "--verify", disk).MustPass("sfdisk --verify").Output;
        Assert.Contains("No errors detected", verify);
        Assert.DoesNotContain("overlap", verify);
        // A remark about disks over 2 TiB may follow the JSON.
        var text = Judge.Run("sfdisk", "-J", disk).MustPass("sfdisk -J").Output;
        using var json = JsonDocument.Parse(text[..(text.LastIndexOf('}') + 1)]);
        var found = json.RootElement.GetProperty("partitiontable").GetProperty("partitions").EnumerateArray()
            .Where(p => p.GetProperty("type").GetString() != "f")
            .Select(p => (NumberOf(p.GetProperty("node").GetString()!), p.GetProperty("start").GetInt64() * sectorSize, p.GetProperty("size").GetInt64() * sectorSize));
        Assert.Equal(expected, found);
        if (kind == TableKind.Mbr) return;
        var sgdisk = Judge.Run("sgdisk", "-v", disk).MustPass("sgdisk -v").Output;
        Assert.Contains("No problems found", sgdisk);
    }

    private static int NumberOf(string node) => int.Parse(new string([.. node.Reverse().TakeWhile(char.IsAsciiDigit).Reverse()]), CultureInfo.InvariantCulture);

    /// <summary>The partitions of a loop device as libblkid reads them, which is what udev and mount see. (Kernels of build machines
    /// may have no partition parsers; the system tests boot one that has.)</summary>
    private static List<(int Number, long Offset, long Size)> SystemView(string device) =>
        [.. Judge.Run("partx", "--raw", "--noheadings", "-o", "NR,START,SECTORS", device).MustPass("partx").Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ').Select(f => long.Parse(f, CultureInfo.InvariantCulture)).ToArray())
            .Select(f => ((int)f[0], f[1] * 512, f[2] * 512))];

    private static void Write(DiskPlan plan, string path)
    {
        File.Delete(path);
        Resize(path, plan.Size);
        using var disk = File.Open(path, FileMode.Open);
        Apply(disk, PartitionTable.Writes(plan));
    }

    private static void Grow(string path, long size, int sectorSize)
    {
        using var disk = File.Open(path, FileMode.Open);
        Apply(disk, PartitionTable.Grow(disk, size, sectorSize));
        Assert.Empty(PartitionTable.Grow(disk, size, sectorSize));
    }

    private static void Apply(Stream disk, IEnumerable<DiskWrite> writes)
    {
        foreach (var w in writes)
        {
            disk.Position = w.Offset;
            disk.Write(w.Bytes.Span);
        }
    }

    private static void Resize(string path, long size)
    {
        using var disk = File.Open(path, FileMode.OpenOrCreate);
        disk.SetLength(size);
    }
}
