using System.Diagnostics;
using System.Text;

namespace OsBuild.OracleTests.Flasher;

/// <summary>Cards that lie, fail, hang and vanish, as real block devices: each ends in one sentence, the right exit code, in time, and never
/// in a false "done".</summary>
public sealed class BadCardTests
{
    private const int MiB = 1 << 20;

    private static byte[] Image(int length)
    {
        var image = new byte[length];
        new Random(length).NextBytes(image);
        return image;
    }

    private static string Ends(int exitCode, string says, BadCard card, byte[] image, params string[] more)
    {
        var said = Cli.Ends(exitCode, says, ["write", Folder.File("a.img", image), "--to", card.Device.Path, "--yes", .. more]);
        Assert.Single(said.Split('\n'), l => l.Contains(says, StringComparison.Ordinal));
        return said;
    }

    /// <summary>A request that hangs in the kernel keeps its process from ending; what a person needs is told before, and when the card is
    /// pulled out, as the sentence says, the program ends.</summary>
    private static string Hangs(BadCard card, byte[] image, params string[] more)
    {
        using var process = Process.Start(new ProcessStartInfo(Cli.Program, ["write", Folder.File("a.img", image), "--to", card.Device.Path, "--yes", "--no-probe", "--timeout", "2", .. more]) { RedirectStandardError = true })!;
        var said = new StringBuilder();
        while (process.StandardError.ReadLine() is { } line)
        {
            said.AppendLine(line);
            var (hung, done) = (said.ToString().Contains("has not answered for 2 s", StringComparison.Ordinal), said.ToString().Contains("read back.", StringComparison.Ordinal));
            if (hung && (done || more.Length == 0)) break;
        }

        card.Abort();
        Assert.True(process.WaitForExit(30_000), $"it must end when the card has gone:\n{said}");
        Assert.True(process.ExitCode == 1, said.ToString());
        Assert.Contains("Unplug it", said.ToString(), StringComparison.Ordinal);
        return said.ToString();
    }

    private static void NothingBoots(BadCard card, byte[] image) => Assert.False(card.Bytes[..512].SequenceEqual(image.AsSpan(0, 512)), "the card must not look like the image");

    [Fact]
    public void A_good_card_of_the_same_make_passes()
    {
        using var card = new BadCard(12 * MiB, new Wrong());
        var image = Image((9 * MiB) + 77);
        Ends(0, "written and read back", card, image);
        Assert.True(card.Bytes[..image.Length].SequenceEqual(image));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(512 << 10)]
    [InlineData(5 * MiB)]
    [InlineData((8 * MiB) - 512)]
    public void A_sector_that_cannot_be_written(int sector)
    {
        using var card = new BadCard(12 * MiB, new Wrong { Write = at => at == sector ? BadCard.IoError : 0 });
        var image = Image(8 * MiB);
        Ends(1, "input/output error", card, image, "--no-probe");
        NothingBoots(card, image);
    }

    [Theory]
    [InlineData(512 << 10)]
    [InlineData(5 * MiB)]
    public void A_sector_that_cannot_be_read_back(int sector)
    {
        using var card = new BadCard(12 * MiB, new Wrong { Read = at => at == sector ? BadCard.IoError : 0 });
        var image = Image(8 * MiB);
        Ends(1, "input/output error", card, image, "--no-probe");
        if (sector >= MiB) NothingBoots(card, image);
    }

    [Fact]
    public void A_card_that_cannot_flush()
    {
        var flushes = 0;
        using var card = new BadCard(12 * MiB, new Wrong { Flush = () => Interlocked.Increment(ref flushes) > 1 ? BadCard.IoError : 0 });
        var image = Image(8 * MiB);
        Ends(1, "Flushing", card, image, "--no-probe");
        NothingBoots(card, image);
    }

    [Fact]
    public void A_card_that_ends_before_the_size_it_claims()
    {
        using var card = new BadCard(12 * MiB, new Wrong { Write = at => at >= 6 * MiB ? 28 : 0 });
        var image = Image(8 * MiB);
        var said = Ends(1, "offset", card, image, "--no-probe");
        Assert.DoesNotContain("full", said, StringComparison.Ordinal);
        NothingBoots(card, image);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void A_counterfeit_card_that_wraps_is_found_before_the_image_is_written(int real)
    {
        using var card = new BadCard(32 * MiB, new Wrong { Place = at => at % (real * MiB) });
        Ends(1, "is a fake", card, Image(16 * MiB));
        Assert.True(card.Writes < 60, $"{card.Writes} writes");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    public void A_counterfeit_card_that_forgets_is_found_before_the_image_is_written(int real)
    {
        using var card = new BadCard(32 * MiB, new Wrong { Place = at => at < real * MiB ? at : -1 });
        Ends(1, "is a fake", card, Image(16 * MiB));
    }

    [Fact]
    public void A_counterfeit_card_that_wraps_is_found_by_reading_back()
    {
        using var card = new BadCard(32 * MiB, new Wrong { Place = at => at % (8 * MiB) });
        var image = Image(16 * MiB);
        Ends(3, "does not keep what is written to it", card, image, "--no-probe");
    }

    [Fact]
    public void A_counterfeit_card_that_forgets_is_found_by_reading_back()
    {
        using var card = new BadCard(32 * MiB, new Wrong { Place = at => at < 8 * MiB ? at : -1 });
        var image = Image(16 * MiB);
        Ends(3, "the first wrong byte is at offset 8388608", card, image, "--no-probe");
        NothingBoots(card, image);
    }

    [Fact]
    public void One_bit_that_flips_once_is_repaired_and_told()
    {
        var flips = 0;
        using var card = new BadCard(12 * MiB, new Wrong { Keep = (at, bytes) => { if (at <= 5_000_000 && 5_000_000 < at + bytes.Length && Interlocked.Increment(ref flips) == 1) bytes.Span[(int)(5_000_000 - at)] ^= 8; } });
        var image = Image(8 * MiB);
        Ends(0, "do not trust this drive", card, image, "--no-probe");
        Assert.True(card.Bytes[..image.Length].SequenceEqual(image));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(5_000_000)]
    public void One_bit_that_always_flips_is_named(int at)
    {
        using var card = new BadCard(12 * MiB, new Wrong { Keep = (from, bytes) => { if (from <= at && at < from + bytes.Length && bytes.Span.ContainsAnyExcept((byte)0)) bytes.Span[(int)(at - from)] ^= 8; } });
        var image = Image(8 * MiB);
        Ends(3, $"offset {at}", card, image, "--no-probe");
        NothingBoots(card, image);
    }

    [Fact]
    public void A_card_that_forgets_every_write()
    {
        using var card = new BadCard(12 * MiB, new Wrong { Place = _ => -1 });
        Ends(3, "does not keep what is written", card, Image(8 * MiB), "--no-probe");
    }

    [Fact]
    public void A_card_that_hangs_while_it_is_written()
    {
        using var card = new BadCard(12 * MiB, new Wrong { Write = at => at >= 5 * MiB ? BadCard.Hang : 0 });
        Hangs(card, Image(8 * MiB));
    }

    [Fact]
    public void A_card_that_hangs_while_it_is_read_back()
    {
        using var card = new BadCard(12 * MiB, new Wrong { Read = at => at is >= 5 * MiB and < 8 * MiB ? BadCard.Hang : 0 });
        Hangs(card, Image(8 * MiB));
    }

    [Fact]
    public void A_card_that_hangs_while_it_flushes()
    {
        var flushes = 0;
        using var card = new BadCard(12 * MiB, new Wrong { Flush = () => Interlocked.Increment(ref flushes) > 1 ? BadCard.Hang : 0 });
        Hangs(card, Image(8 * MiB));
    }

    [Fact]
    public void One_card_that_hangs_does_not_hold_up_another()
    {
        using var bad = new BadCard(12 * MiB, new Wrong { Write = at => at >= 5 * MiB ? BadCard.Hang : 0 });
        using var good = new LoopDevice(12 * MiB);
        var image = Image(8 * MiB);
        var said = Hangs(bad, image, "--to", good.Path);
        Assert.Contains($"{good.Path}: 8 MiB written and read back", said, StringComparison.Ordinal);
        Assert.True(good.Read(image.Length).AsSpan().SequenceEqual(image));
    }

    [Fact]
    public void A_card_pulled_out_while_it_is_written()
    {
        BadCard? card = null;
        using (card = new BadCard(12 * MiB, new Wrong { Write = at => { if (at >= 5 * MiB) card!.PullOut(); return 0; } }))
        {
            var said = Ends(1, "pulled out", card, Image(8 * MiB), "--no-probe");
            Assert.DoesNotContain("full", said, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_card_pulled_out_while_it_is_read_back()
    {
        BadCard? card = null;
        using (card = new BadCard(12 * MiB, new Wrong { Read = at => { if (at is >= 5 * MiB and < 8 * MiB) card!.PullOut(); return 0; } }))
            Ends(1, "pulled out", card, Image(8 * MiB), "--no-probe");
    }

    [Fact]
    public void A_slow_card_is_waited_for()
    {
        using var card = new BadCard(12 * MiB, new Wrong { Write = at => { if (at % MiB == 0) Thread.Sleep(50); return 0; } });
        Ends(0, "written and read back", card, Image(8 * MiB), "--timeout", "5");
    }

    [Fact]
    public void A_clone_of_a_card_with_a_bad_sector_is_no_clone()
    {
        using var from = new BadCard(8 * MiB, new Wrong { Read = at => at == 5 * MiB ? BadCard.IoError : 0 });
        using var to = new LoopDevice(8 * MiB);
        Cli.Ends(1, "input/output error", "clone", from.Device.Path, "--to", to.Path, "--yes");
        Assert.True(to.Read(MiB).AsSpan().IndexOfAnyExcept((byte)0) < 0, "the first MiB must be blank");
    }

    [Fact]
    public void Verify_of_a_card_that_cannot_be_read()
    {
        using var card = new BadCard(8 * MiB, new Wrong { Read = at => at == 2 * MiB ? BadCard.IoError : 0 });
        Cli.Ends(1, "input/output error", "verify", Folder.File("a.img", new byte[6 * MiB]), "--to", card.Device.Path);
    }
}
