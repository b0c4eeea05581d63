using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.Tests.Builder;

/// <summary>Every board of the catalog, from a deploy directory that has what its file names.</summary>
public sealed class BoardBuildTests
{
    public static TheoryData<string> Boards => [.. BoardCatalog.Names];

    private static Board Board(string name) => BoardCatalog.Find(name).Board!;

    [Theory]
    [MemberData(nameof(Boards))]
    public void Every_board_can_be_planned(string name)
    {
        using var fixture = new BoardFixture(Board(name));
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        Assert.Contains(plan.Boot, b => b.Path.StartsWith("slot-a/", StringComparison.Ordinal));
        Assert.Equal(fixture.Board.Firmware.Count(b => b.Place is not BlobPlace.InBootFile && b.Variant is null), plan.Disk.Blobs.Count(b => fixture.Board.Firmware.First(f => f.Files.Select(BoardFixture.Concrete).Contains(b.Spec.Name)).Variant is null));
        Assert.Contains("root=PART", plan.CommandLine, StringComparison.Ordinal);
    }

    public static TheoryData<string> OnePerForm =>
    [
        "raspberrypi3", "rockpro64", "orangepi-5-plus", "pine64-plus", "odroid-n2", "imx8mm-evk", "ls1046ardb", "beagleplay", "stm32mp257f-ev1", "genericx86-64-bios", "up-board",
    ];

    [Theory]
    [MemberData(nameof(OnePerForm))]
    public void The_image_has_its_firmware_in_place_and_names_its_root(string name)
    {
        Assert.SkipUnless(BoardCatalog.Names.Contains(name), $"There is no board {name} any more.");
        using var fixture = new BoardFixture(Board(name));
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        using var image = File.OpenRead(BuildJob.Run(fixture.Request, Progress.Silent, CancellationToken.None).Path);
        var table = PartitionTable.Read(image)!;
        var rootA = table.Partitions.Single(p => p.Number == plan.Disk.Partitions.Single(d => d.Spec.Name == fixture.Board.Partition(PartitionRole.RootA)!.Name).Number);
        if (fixture.Board.Boot.RootBy == RootBy.PartUuid) Assert.Contains($"root=PARTUUID={rootA.Id} ", plan.CommandLine, StringComparison.OrdinalIgnoreCase);

        foreach (var blob in plan.Disk.Blobs)
        {
            var bytes = BoardFixture.BlobBytes(fixture.Board.Firmware.First(f => f.Files.Select(BoardFixture.Concrete).Contains(blob.Spec.Name)));
            foreach (var piece in blob.Pieces)
            {
                var written = new byte[piece.Length];
                image.Position = piece.DiskOffset;
                image.ReadExactly(written);
                Assert.Equal(bytes[(int)piece.FileOffset..(int)(piece.FileOffset + piece.Length)], written);
            }
        }

        var entry = table.Partitions.Single(p => p.Number == plan[PartitionRole.Boot].Partition.Number);
        var boot = new FatReader(new SubStream(image, entry.Offset, entry.Size));
        Assert.Empty(boot.Check());
    }

    [Theory]
    [InlineData("raspberrypi3")]
    [InlineData("rockpro64")]
    [InlineData("up-board")]
    public void The_loader_is_told_of_the_slot(string name)
    {
        using var fixture = new BoardFixture(Board(name));
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        string[] texts = ["config.txt", "slot-a/cmdline.txt", "bootcount.env", "slot-a/boot.env", "EFI/BOOT/grub.cfg", "slot-a/grub.cfg"];
        var text = string.Concat(plan.Boot.Where(b => texts.Contains(b.Path)).Select(b => $"== {b.Path}\n{System.Text.Encoding.UTF8.GetString(((Source.Made)b.Source).Bytes.Span)}"));
        Golden.Check("loader-" + name, System.Text.RegularExpressions.Regex.Replace(text, "PARTUUID=[0-9a-f-]+", "PARTUUID=ROOT-A"));
    }

    /// <summary>What the device is told of its loader is where the loader looks.</summary>
    [Theory]
    [InlineData("qemux86-64", "systemd-boot-counter", null, 3)]
    [InlineData("up-board", "grub-grubenv", "EFI/BOOT/grubenv", 3)]
    [InlineData("genericx86-64-bios", "grub-grubenv", "boot/grub/grubenv", 3)]
    [InlineData("rockpro64", "u-boot-bootcount", "bootcount.env", 3)]
    [InlineData("raspberrypi3", "rpi-tryboot", null, 1)]
    public void The_device_is_told_how_its_loader_chooses(string name, string scheme, string? store, int tries)
    {
        using var fixture = new BoardFixture(Board(name));
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        string Text(string path) => System.Text.Encoding.UTF8.GetString(((Source.Made)plan.Boot.Single(b => b.Path == path).Source).Bytes.Span);
        using var record = System.Text.Json.JsonDocument.Parse(Text("image.json"));
        var boot = record.RootElement.GetProperty("boot");
        Assert.Equal((scheme, tries), (boot.GetProperty("scheme").GetString(), boot.GetProperty("tries").GetInt32()));
        Assert.Equal(store, boot.TryGetProperty("store", out var told) ? told.GetString() : null);
        if (store is not null) Assert.Contains("slot=a\nupgrade_available=0\nbootcount=0\n", Text(store), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rockpro64")]
    [InlineData("odroid-n2")]
    public void The_boot_script_counts_tries_and_resets_when_something_does_not_load(string name)
    {
        var board = Board(name);
        var script = UBootScript.Text(board, board.Slots.Path ?? "bootcount.env");
        Golden.Check("boot-script-" + name, script);
        // Whatever is loaded of a slot is there, or the board starts again.
        Assert.All(script.Split('\n').Where(l => l.Contains("load ", StringComparison.Ordinal) && !l.Contains(".env; then env import", StringComparison.Ordinal)), l => Assert.Contains("|| reset", l, StringComparison.Ordinal));
        Assert.EndsWith("reset\n", script, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', script);
    }

    [Fact]
    public void A_boot_script_has_the_header_that_U_Boot_checks()
    {
        var image = UBootScript.Wrap("echo hello\n", "a script", 1234);
        Assert.Equal([0x27, 0x05, 0x19, 0x56], image[..4]);
        // include/image.h: IH_OS_LINUX, IH_ARCH_ARM64, IH_TYPE_SCRIPT, IH_COMP_NONE.
        Assert.Equal([5, 22, 6, 0], image[28..32]);
        Assert.Equal("echo hello\n", System.Text.Encoding.ASCII.GetString(image[72..]));
        Assert.Equal(UBootScript.Wrap("echo hello\n", "a script", 1234), image);
    }

    [Fact]
    public void A_grub_environment_is_one_kibibyte()
    {
        var block = LoaderFiles.GrubEnvironment("slot=a\n");
        Assert.Equal(1024, block.Length);
        Assert.StartsWith("# GRUB Environment Block\nslot=a\n#", System.Text.Encoding.ASCII.GetString(block), StringComparison.Ordinal);
    }
}
