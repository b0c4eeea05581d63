using CsCheck;
using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Images.Partitions;

public sealed class DiskPlanTests
{
    private const long MiB = Disks.MiB;

    [Fact]
    public void Puts_partitions_in_order_aligned_and_close_together()
    {
        var plan = DiskPlan.For(Disks.Five(TableKind.Gpt));
        Assert.Equal([4, 68, 168, 268, 284], plan.Partitions.Select(p => p.Offset / MiB));
        Assert.Equal([1, 2, 3, 4, 5], plan.Partitions.Select(p => p.Number));
        Assert.Equal(317 * MiB, plan.Size);
    }

    [Fact]
    public void Puts_the_fourth_of_five_MBR_partitions_into_an_extended_one()
    {
        var plan = DiskPlan.For(Disks.Five(TableKind.Mbr));
        Assert.Equal([1, 2, 3, 5, 6], plan.Partitions.Select(p => p.Number));
        Assert.Equal(new ByteRange(268 * MiB, (292 + 32 - 268) * MiB), plan.Extended);
        Assert.Equal([4, 68, 168, 272, 292], plan.Partitions.Select(p => p.Offset / MiB));
        Assert.Equal(plan.Extended!.Value.End, plan.Size);
    }

    [Fact]
    public void Four_MBR_partitions_are_all_primary()
    {
        var five = Disks.Five(TableKind.Mbr);
        var plan = DiskPlan.For(five with { Partitions = [.. five.Partitions.Take(4)] });
        Assert.Null(plan.Extended);
        Assert.Equal([1, 2, 3, 4], plan.Partitions.Select(p => p.Number));
    }

    [Fact]
    public void Starts_at_the_first_offset_and_keeps_fixed_offsets()
    {
        var plan = DiskPlan.For(Spec(TableKind.Gpt, Disks.Part("loader", 4096, offset: 32768), Disks.Part("boot", MiB), Disks.Part("env", 65536, offset: 40 * MiB), Disks.Part("data", MiB))
            with { FirstOffset = 16 * MiB });
        Assert.Equal([32768, 16 * MiB, 40 * MiB, 44 * MiB], plan.Partitions.Select(p => p.Offset));
    }

    [Fact]
    public void Goes_around_what_has_a_fixed_place()
    {
        var spec = Spec(TableKind.Gpt, Disks.Part("boot", 6 * MiB), Disks.Part("data", MiB)) with
        {
            Blobs = [new BlobSpec { Name = "fip.bin", Offset = 9 * MiB, FileSize = 1000 }],
            Reserved = [new ReservedSpec("the U-Boot environment", new ByteRange(20 * MiB, 0x2000))],
        };
        Assert.Equal([12 * MiB, 24 * MiB], DiskPlan.For(spec).Partitions.Select(p => p.Offset));
    }

    [Fact]
    public void Has_at_least_the_size_that_was_asked_for()
    {
        Assert.Equal(512 * MiB, DiskPlan.For(Disks.Five(TableKind.Gpt) with { MinimumSize = 512 * MiB }).Size);
        Assert.Equal(512 * MiB, DiskPlan.For(Disks.Five(TableKind.Mbr) with { MinimumSize = 512 * MiB }).Size);
    }

    public static TheoryData<string, string, DiskSpec> Refused => new()
    {
        { "partition a", "partition b", Spec(TableKind.Gpt, Disks.Part("a", 8 * MiB, offset: 4 * MiB), Disks.Part("b", MiB, offset: 8 * MiB)) },
        { "blob u-boot.bin", "the GPT header", Blob(TableKind.Gpt, "u-boot.bin", 512, 1000) },
        { "blob spl.bin", "the GPT entries", Blob(TableKind.Gpt, "spl.bin", 8192, 32768) },
        { "blob bl2.pbl", "the GPT entries", Blob(TableKind.Hybrid, "bl2.pbl", 4096, 100) },
        { "blob boot.img", "the MBR partition table", Blob(TableKind.Mbr, "boot.img", 0, 512) },
        { "blob idbloader.img", "blob u-boot.itb", Blob(TableKind.Gpt, "idbloader.img", 32768, 9 * MiB) with { Blobs = [.. Blob(TableKind.Gpt, "idbloader.img", 32768, 9 * MiB).Blobs, new BlobSpec { Name = "u-boot.itb", Offset = 8 * MiB, FileSize = MiB }] } },
        { "blob flash.bin", "the U-Boot environment", Blob(TableKind.Gpt, "flash.bin", 0x8000, MiB) with { Reserved = [new ReservedSpec("the U-Boot environment", new ByteRange(0x20400, 0x2000))] } },
        { "the U-Boot environment", "partition fixed", Blob(TableKind.Gpt, "x", 32768, 1) with { Partitions = [Disks.Part("fixed", MiB, offset: 4 * MiB)], Reserved = [new ReservedSpec("the U-Boot environment", new ByteRange(4 * MiB, 1))] } },
        { "blob u-boot-rockchip.bin", "first partition", Blob(TableKind.Gpt, "u-boot-rockchip.bin", 32768, 17 * MiB) with { FirstOffset = 16 * MiB } },
        { "blob big", "2000", Blob(TableKind.Gpt, "big", 32768, 3000, maxSize: 2000) },
        { "blob torn", "right file", Blob(TableKind.Gpt, "torn", 32768, 100, skip: 512) },
        { "blob inside", "partition fip", Blob(TableKind.Gpt, "x", 32768, 1) with { Partitions = [Disks.Part("fip", MiB)], Blobs = [new BlobSpec { Name = "inside", Inside = "fip", Offset = 512, FileSize = MiB }] } },
        { "partition nowhere", "no partition", Blob(TableKind.Gpt, "x", 32768, 1) with { Blobs = [new BlobSpec { Name = "x", Inside = "nowhere", Offset = 0, FileSize = 1 }] } },
        { "0xee", "partition a", Spec(TableKind.Hybrid, Disks.Part("a", MiB, mbr: 0xEE)) },
        { "hybrid", "5", Disks.Five(TableKind.Gpt) with { Table = TableKind.Hybrid, Partitions = [.. Disks.Five(TableKind.Gpt).Partitions] } },
        { "MBR type", "partition a", Spec(TableKind.Mbr, Disks.Part("a", MiB, mbr: 5)) },
        { "named a", "name", Spec(TableKind.Gpt, Disks.Part("a", MiB), Disks.Part("a", MiB)) },
        { "b", "same id", Spec(TableKind.Gpt, Disks.Part("a", MiB), Disks.Part("b", MiB) with { Id = Disks.Part("a", 1).Id }) },
        { "partition name", "36", Spec(TableKind.Gpt, Disks.Part(new string('x', 37), MiB)) },
        { "partition huge", "MBR", Spec(TableKind.Mbr, Disks.Part("huge", 3L << 40)) },
        { "partition a", "multiple of 4096", Spec(TableKind.Gpt, Disks.Part("a", MiB, offset: 4 * MiB + 512)) with { SectorSize = 4096 } },
        { "sectors", "2048", Spec(TableKind.Gpt, Disks.Part("a", MiB)) with { SectorSize = 2048 } },
        { "129", "128", Spec(TableKind.Gpt, [.. Enumerable.Range(0, 129).Select(i => Disks.Part($"p{i}", 512))]) },
        { "extended", "partition c", Spec(TableKind.Mbr, Disks.Part("a", MiB), Disks.Part("b", MiB), Disks.Part("c", MiB, offset: 100 * MiB), Disks.Part("d", MiB, offset: 20 * MiB), Disks.Part("e", MiB, offset: 200 * MiB)) },
        { "logical", "e", Spec(TableKind.Mbr, Disks.Part("a", MiB), Disks.Part("b", MiB), Disks.Part("c", MiB), Disks.Part("d", MiB, offset: 200 * MiB), Disks.Part("e", MiB, offset: 100 * MiB)) },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Refuses_what_cannot_be_and_names_both_things(string one, string other, DiskSpec spec)
    {
        var message = Assert.Throws<ImageException>(() => DiskPlan.For(spec)).Message;
        Assert.Contains(one, message, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(other, message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Cuts_a_blob_around_the_bytes_it_must_spare()
    {
        // Amlogic: u-boot.bin.sd.bin from byte 0 on, without the MBR's own bytes.
        var plan = DiskPlan.For(Blob(TableKind.Mbr, "u-boot.bin.sd.bin", 0, 1_000_000, preserve: new ByteRange(440, 72)));
        Assert.Equal([new BlobPiece(0, 0, 440), new BlobPiece(512, 512, 999_488)], plan.Blobs[0].Pieces);
        // Odroid C2: bl1 spares two bytes less, which the disk signature would need.
        Assert.Throws<ImageException>(() => DiskPlan.For(Blob(TableKind.Mbr, "bl1.bin.hardkernel", 0, 1_000_000, preserve: new ByteRange(442, 70))));
    }

    [Theory]
    [InlineData(0, null, 100, 32768, 1000)]
    [InlineData(512, null, 612, 32768, 488)]
    [InlineData(0, 440, 100, 32768, 440)]
    [InlineData(10, 20, 110, 32768, 20)]
    public void Takes_the_part_of_the_file_that_was_asked_for(long skip, int? length, long fileOffsetOfByte100, long offset, long expected)
    {
        var plan = BlobPlan.For(new BlobSpec { Name = "x", Offset = offset, FileSize = 1000, Skip = skip, Length = length });
        var piece = Assert.Single(plan.Pieces);
        Assert.Equal((skip, offset, expected), (piece.FileOffset, piece.DiskOffset, piece.Length));
        Assert.Equal(fileOffsetOfByte100, piece.FileOffset + 100);
    }

    [Fact]
    public void A_blob_inside_a_partition_counts_from_its_start()
    {
        var plan = DiskPlan.For(Blob(TableKind.Gpt, "x", 32768, 1) with
        {
            Partitions = [Disks.Part("boot", MiB), Disks.Part("fip-a", MiB)],
            Blobs = [new BlobSpec { Name = "fip.bin", Inside = "fip-a", Offset = 0, FileSize = 5000 }],
            Reserved = [new ReservedSpec("env", new ByteRange((8 * MiB) + 8192, 512), Inside: "fip-a")],
        });
        Assert.Equal(new BlobPiece(0, 8 * MiB, 5000), Assert.Single(plan.Blobs[0].Pieces));
    }

    [Fact]
    public void Moved_entries_make_room_for_a_boot_loader_behind_the_header()
    {
        var plan = DiskPlan.For(Blob(TableKind.Gpt, "u-boot-sunxi-with-spl.bin", 8192, 900_000) with { GptEntriesLba = 2016 });
        Assert.Equal(4 * MiB, plan.Partitions[0].Offset);
        Assert.Equal(5, PartitionTable.Writes(plan).Count);
    }

    [Fact]
    public void Random_disks_are_refused_or_have_no_overlaps()
    {
        var partition = Gen.Select(Gen.Long[1, 40 * MiB], Gen.OneOf(Gen.Const(-1L), Gen.Long[1, 400].Select(o => o * 512 * 512)));
        var blob = Gen.Select(Gen.Long[0, 60 * MiB], Gen.Long[1, 9 * MiB]);
        Gen.Select(Gen.Enum<TableKind>(), Gen.Bool, partition.Array[1, 9], blob.Array[0, 3], Gen.Int[9, 23]).Sample((kind, big, parts, blobs, shift) =>
        {
            var spec = Spec(kind, [.. parts.Select((p, i) => Disks.Part($"p{i}", p.Item1, kind == TableKind.Hybrid && i > 2 ? (byte)0 : (byte)0x83, p.Item2 < 0 ? null : p.Item2))]) with
            {
                SectorSize = big ? 4096 : 512,
                Alignment = Math.Max(big ? 4096 : 512, 1L << shift),
                Blobs = [.. blobs.Select((b, i) => new BlobSpec { Name = $"b{i}", Offset = b.Item1, FileSize = b.Item2 })],
            };
            DiskPlan plan;
            try
            {
                plan = DiskPlan.For(spec);
            }
            catch (ImageException)
            {
                return;
            }

            List<ByteRange> ranges = [.. plan.Partitions.Select(p => p.Range), .. plan.Blobs.SelectMany(b => b.Pieces).Select(p => p.Range), .. PartitionTable.Writes(plan).Select(w => new ByteRange(w.Offset, w.Bytes.Length))];
            for (var i = 0; i < ranges.Count; i++)
            {
                Assert.True(ranges[i].Offset >= 0 && ranges[i].End <= plan.Size, "everything lies on the disk");
                for (var j = i + 1; j < ranges.Count; j++) Assert.False(ranges[i].Overlaps(ranges[j]), $"{ranges[i]} {ranges[j]}");
            }

            Assert.Equal(plan.Partitions.Select(p => (p.Number, p.Offset, p.Size)), PartitionTable.Read(Disks.Written(plan), spec.SectorSize)!.Partitions.Select(p => (p.Number, p.Offset, p.Size)));
        }, iter: 400 * Fuzz.Times, threads: 1);
    }

    private static DiskSpec Spec(TableKind kind, params PartitionSpec[] partitions) => new() { Table = kind, DiskId = Disks.DiskId, Partitions = partitions };

    private static DiskSpec Blob(TableKind kind, string name, long offset, long size, long? maxSize = null, long skip = 0, ByteRange? preserve = null) =>
        Spec(kind, Disks.Part("boot", MiB)) with
        {
            Blobs = [new BlobSpec { Name = name, Offset = offset, FileSize = size, MaxSize = maxSize, Skip = skip, Preserve = preserve is { } p ? [p] : [] }],
        };
}
