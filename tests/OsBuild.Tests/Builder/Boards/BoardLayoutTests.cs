using OsBuild.ImageBuilder.Boards;
using OsBuild.Images;
using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>Every board's disk: as text to read, and with firmware of every size it allows.</summary>
public sealed class BoardLayoutTests
{
    public static TheoryData<string> Names => [.. BoardCatalog.Names];

    private static int Rounds => 20 * int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1");

    [Theory]
    [MemberData(nameof(Names))]
    public void Layout_is_as_it_was_read_and_approved(string name) =>
        BoardFiles.Golden(Path.Combine(BoardFiles.Here(), "Layouts", name + ".txt"), BoardText.Describe(BoardCatalog.Find(name).Board!));

    [Theory]
    [MemberData(nameof(Names))]
    public void Nothing_overlaps_for_any_allowed_size_of_firmware(string name)
    {
        var board = BoardCatalog.Find(name).Board!;
        var random = new Random(StableSeed(name));
        for (var round = 0; round < Rounds; round++)
        {
            // The largest first, then anything down to one sector.
            var firmware = OneVariantEach(board).Select(b => (b, b.Files[0], FileSize(b, board, round == 0 ? 1.0 : random.NextDouble()))).ToList();
            var plan = DiskPlan.For(BoardDisk.Spec(board, new Guid(1, 0, 0, new byte[8]), BoardText.Placeholder, firmware));
            AssertApart(board, plan);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_blob_one_byte_too_large_is_refused(string name)
    {
        var board = BoardCatalog.Find(name).Board!;
        foreach (var blob in board.Firmware.Where(b => b is { MaxSize: not null, Place: BlobPlace.AtOffset { Length: null } }))
        {
            var size = FileSize(blob, board, 1.0) + 1;
            var spec = BoardDisk.Spec(board, new Guid(1, 0, 0, new byte[8]), BoardText.Placeholder, [(blob, blob.Files[0], size)]);
            Assert.Equal(ImageErrorKind.TooLarge, Assert.Throws<ImageException>(() => DiskPlan.For(spec)).Kind);
        }
    }

    [Fact]
    public void A_blob_in_the_way_of_an_environment_is_refused_by_the_disk_too()
    {
        var board = BoardCatalog.Find("rock-pi-4b").Board!;
        var spanning = new Blob { Files = ["u-boot-rockchip.bin"], Place = new BlobPlace.AtOffset(32768, 0, null, []) };
        var spec = BoardDisk.Spec(board, new Guid(1, 0, 0, new byte[8]), BoardText.Placeholder, [(spanning, "u-boot-rockchip.bin", 9_700_000)]);
        Assert.Throws<ImageException>(() => DiskPlan.For(spec));
    }

    private static IEnumerable<Blob> OneVariantEach(Board board) =>
        board.Firmware.Where(b => b.Place is not BlobPlace.InBootFile).GroupBy(b => b.Variant is null ? (object)b : b.Place.ToString()!).Select(g => g.First());

    private static long FileSize(Blob blob, Board board, double share) => blob.Place switch
    {
        BlobPlace.AtOffset at => at.Skip + Math.Max(512, at.Length ?? (long)(blob.MaxSize!.Value * share)),
        BlobPlace.InPartition p => Math.Max(1, (long)(board.Partition(p.Partition)!.Size * share)),
        _ => throw new InvalidOperationException(),
    };

    /// <summary>Written without the code under test: everything that has bytes of the disk, in order; each must end before the next begins.</summary>
    private static void AssertApart(Board board, DiskPlan plan)
    {
        List<(long From, long To, string What)> taken = [(440, 512, "MBR table")];
        if (board.Table.Kind != TableKind.Mbr)
        {
            taken.Add((512, 1024, "GPT header"));
            taken.Add((board.Table.EntriesLba * 512, (board.Table.EntriesLba * 512) + 16384, "GPT entries"));
            taken.Add((plan.Size - (33 * 512), plan.Size, "backup GPT"));
        }

        foreach (var blob in plan.Blobs.Where(b => b.Spec.Inside is null))
            taken.AddRange(blob.Pieces.Select(p => (p.DiskOffset, p.DiskOffset + p.Length, blob.Spec.Name)));
        if (board.Boot.Environment is { Where: EnvironmentHome.Mmc } env)
        {
            taken.Add((env.Offset!.Value, env.Offset.Value + env.Size!.Value, "environment"));
            if (env.RedundantOffset is { } second) taken.Add((second, second + env.Size.Value, "environment, second copy"));
        }

        taken.AddRange(plan.Partitions.Select(p => (p.Offset, p.Offset + p.Size, p.Spec.Name)));
        taken.Sort();
        for (var i = 1; i < taken.Count; i++)
            Assert.True(taken[i - 1].To <= taken[i].From, $"{taken[i - 1]} runs into {taken[i]}");
        Assert.True(taken[^1].To <= plan.Size);
    }

    private static int StableSeed(string name) => name.Aggregate(17, (seed, c) => unchecked((seed * 31) + c));
}
