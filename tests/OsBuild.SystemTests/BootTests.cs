using System.Globalization;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests;

/// <summary>The whole road, and what comes after the first boot. A machine takes both processors: one test at a time.</summary>
[Collection("machines")]
public sealed class BootTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-boot-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The demo is the first boot; its disk goes on: switched on again, then after a power cut in mid-run.</summary>
    [Fact]
    public void From_nothing_to_a_page_and_through_a_second_boot_and_a_power_cut()
    {
        var (disk, console, page) = Demo("qemux86-64");
        var name = Regex.Match(console, "identity: (osbuild-[0-9a-f]{6}), last shutdown none: first boot").Groups[1].Value;
        Assert.NotEmpty(name);
        Assert.Contains("grown: data is", console, StringComparison.Ordinal);
        var (start, grown) = (disk.Partition("data").Offset, disk.Partition("data").Size);
        Assert.True(start + grown > (4L << 30) - (4L << 20), $"data ends at {start + grown} on a disk of 4 GiB");
        var id = disk.Read("state", "machine-id");
        var container = Container(page);

        using (var second = Machine.Start("qemux86-64", disk.Path))
        {
            second.WaitFor($"identity: {name}, last shutdown clean", Long);
            Assert.Equal(container, Container(second.WaitForPage("/cgi-bin/index.cgi", Long)));
            Assert.DoesNotMatch(@"\+[\d.]+s grown", second.Console);
            second.PullPlug();
        }

        using (var third = Machine.Start("qemux86-64", disk.Path))
        {
            third.WaitFor($"identity: {name}, last shutdown NOT clean", Long);
            Assert.Equal(container, Container(third.WaitForPage("/cgi-bin/index.cgi", Long)));
            third.PowerOff();
        }

        disk.MustBeClean();
        Assert.Equal(id, disk.Read("state", "machine-id"));
        Assert.Equal(grown, disk.Partition("data").Size);
    }

    [Fact]
    public void A_64_bit_Arm_board_boots_serves_and_shuts_down() => Demo("qemuarm64");

    /// <summary>The flasher writes the image to a loop device, as to a card. The plug is pulled while the first boot from that card grows it;
    /// the next boot must end with everything grown and sound. A little later each round.</summary>
    [Fact]
    public void A_flashed_card_survives_a_power_cut_in_its_first_boot()
    {
        Assert.SkipUnless(Judge.IsRoot, "Loop devices need root.");
        var image = Checkout.Image("qemux86-64");
        var rounds = int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1", CultureInfo.InvariantCulture);
        for (var round = 0; round < rounds; round++)
        {
            var card = new DiskFile(Path.Combine(_folder, $"card-{round}.img"));
            using (var file = File.Create(card.Path)) file.SetLength(2L << 30);
            Flash(image, card.Path);
            using (var cut = Machine.Start("qemux86-64", card.Path))
            {
                cut.WaitFor(@"^\[osbuild\] \+[\d.]+s devices", Long);
                Thread.Sleep(round * 100);
                cut.PullPlug();
            }

            using (var next = Machine.Start("qemux86-64", card.Path))
            {
                next.WaitFor(@"^\[osbuild\] \+[\d.]+s children", Long);
                next.PowerOff();
            }

            Assert.True(card.Partition("data").Size > 800L << 20, $"round {round}: data has {card.Partition("data").Size} bytes on a card of 2 GiB");
            card.MustBeClean();
            File.Delete(card.Path);
        }
    }

    /// <summary>What a person could still save from it is left alone: nothing is formatted anew by itself.</summary>
    [Fact]
    public void S74_With_a_broken_data_partition_the_device_serves_from_memory_says_so_and_leaves_it_alone()
    {
        var disk = new DiskFile(Path.Combine(_folder, "disk.img"));
        Judge.Run("cp", "--sparse=always", Checkout.Image("qemux86-64"), disk.Path).MustPass("cp");
        var start = disk.Partition("data").Offset;
        var noise = new byte[1 << 20];
        new Random(74).NextBytes(noise);
        using (var file = File.OpenWrite(disk.Path))
        {
            file.Position = start;
            file.Write(noise);
        }

        using (var machine = Machine.Start("qemux86-64", disk.Path))
        {
            machine.WaitFor("partition data is missing or cannot be mounted", Long);
            machine.WaitForPage("/cgi-bin/index.cgi", Long);
            machine.PowerOff();
        }

        using var after = File.OpenRead(disk.Path);
        after.Position = start;
        var left = new byte[noise.Length];
        after.ReadExactly(left);
        Assert.True(noise.AsSpan().SequenceEqual(left), "the broken partition was written to");
    }

    private static void Flash(string image, string card)
    {
        var device = Judge.Run("losetup", "--find", "--show", card).MustPass("losetup").Output.Trim();
        try
        {
            Assert.Contains("read back", Judge.Run(Checkout.Program("flasher"), "write", image, "--to", device, "--yes").MustPass("flasher write").Output, StringComparison.Ordinal);
        }
        finally
        {
            Judge.Run("losetup", "--detach", device);
        }
    }

    /// <summary>Runs the demo as a person does, and looks at what it leaves.</summary>
    private static (DiskFile Disk, string Console, string Page) Demo(string board)
    {
        Checkout.Script(TimeSpan.FromMinutes(20), "demo.sh", board, "--once");
        var run = Path.Combine(Checkout.Work, $"run-{board}");
        var console = File.ReadAllText(Path.Combine(run, "console.log")).Replace("\r", "", StringComparison.Ordinal);
        string[] expected = ["pid1", "devices", "mounts", "identity", "children", "engine ready", "containers started", "shutdown", "clean shutdown"];
        Assert.Equal(expected, Regex.Matches(console, @"^\[osbuild\] \+[\d.]+s ([a-z0-9 ]+?)(:|$)", RegexOptions.Multiline).Select(m => m.Groups[1].Value).Where(expected.Contains));
        var page = File.ReadAllText(Path.Combine(run, "page.html"));
        Assert.Contains("Served by a container on a thin host", page, StringComparison.Ordinal);
        var disk = new DiskFile(Path.Combine(run, "disk.img"));
        disk.MustBeClean();
        return (disk, console, page);
    }

    /// <summary>The id of the container that served a page.</summary>
    private static string Container(string page) => Regex.Match(page, "<td>Container</td><td>([0-9a-f]{12})</td>").Groups[1].Value;
}
