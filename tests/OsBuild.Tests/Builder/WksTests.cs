using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.Tests.Builder;

public sealed class WksTests
{
    // The lines of meta-freescale's imx-imx-boot-bootpart.wks.in as bitbake expands them, and what else the grammar has.
    private const string Imx = """
        # short-description: Create SD card image with a boot partition
        part u-boot --source rawcopy --sourceparams="file=imx-boot.tagged" --ondisk mmcblk --no-table --align 33
        part /boot --source bootimg-partition --ondisk mmcblk --fstype=vfat --label boot --active --align 8192 --size 64
        part / --source rootfs --ondisk mmcblk --fstype=ext4 --label root --align 8192 --fixed-size 2G --fsoptions 'noatime,commit=30'
        part --source empty --offset 100s --part-name spare
        part /data --fixed-size 256   # grows
        bootloader --ptable gpt --append="console=ttymxc0,115200 rootwait quiet"
        """;

    [Fact]
    public void Lines_are_read_as_wic_reads_them()
    {
        var wks = Read(Imx);
        Assert.Equal(
        [
            new("line 2", "u-boot", null, null, "imx-boot.tagged", 33 << 10, null),
            new("line 3", "/boot", "boot", 64 << 20, null, null, null),
            new("line 4", "/", "root", 2L << 30, null, null, "noatime,commit=30"),
            new("line 5", null, "spare", null, null, 51200, null),
            new("line 6", "/data", null, 256 << 20, null, null, null),
        ], wks.Parts);
        Assert.Equal("console=ttymxc0,115200 rootwait quiet", wks.Append);
    }

    [Theory]
    [InlineData("")]
    [InlineData("# nothing but this\r\n\r\n")]
    [InlineData("include")]
    [InlineData("--append x")]
    public void What_says_nothing_to_us_is_passed_over(string text)
    {
        var wks = Read(text);
        Assert.Empty(wks.Parts);
        Assert.Null(wks.Append);
    }

    [Theory]
    [InlineData("part / --size")]
    [InlineData("part / --size 12X")]
    [InlineData("part / --size -1")]
    [InlineData("part / --size 99999999999999999999G")]
    [InlineData("part / --size \"")]
    public void A_size_that_is_none_is_no_size(string line) => Assert.Null(Assert.Single(Read(line).Parts).Size);

    [Fact]
    public void The_plan_tells_where_the_builds_own_layout_differs()
    {
        using var fixture = new DeployFixture();
        fixture.WriteText($"{DeployFixture.Image}-imx.wks", Imx);
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        Assert.Equal(
        [
            "core-image-minimal-imx.wks is the layout of the build's wic image; the layout of board qemux86-64 is used, what follows is where the two differ.",
            "line 2: it copies imx-boot.tagged onto the disk, which the board does not; if it boots from that, add it to firmware of the board file.",
            "line 4: / has 2 GiB there and 512 MiB on the board; give the board file a larger root-a if that does not do.",
            "line 4: / is mounted with noatime,commit=30 there; the supervisor mounts as it always does.",
            "line 6: /data is not made; data that must outlive an update belongs into a volume of a container.",
            "core-image-minimal-imx.wks gives the kernel console=ttymxc0,115200 quiet, the board does not; add it to kernel_args of the board file if it is needed.",
        ], plan.Deploy.Notes);
        Assert.Contains("\nnote: line 4: / has 2 GiB there", PlanText.Describe(plan), StringComparison.Ordinal);
    }

    [Fact]
    public void A_loader_at_another_place_is_told_with_both_places()
    {
        var board = DeployFixture.Board("nanopi-r5c");
        Assert.Equal(
            $"line 1: it puts u-boot-rockchip.bin at byte {1 << 20}, the board puts it at 32768; correct one of the two.",
            WksHints.Notes("a.wks", Read("part --source rawcopy --sourceparams=file=u-boot-rockchip.bin --no-table --align 1024"), board)[1]);
    }

    [Fact]
    public void A_layout_that_agrees_is_not_worth_a_word()
    {
        using var fixture = new DeployFixture();
        fixture.WriteText($"{DeployFixture.Image}-same.wks", "part /boot --size 64\npart / --fixed-size 512\nbootloader --append=\"rootwait root=/dev/sda2\"\n");
        Assert.Empty(Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None).Deploy.Notes);
    }

    // genericx86.wks.in of scarthgap includes this one; a folder of canned files is what a layer has in wic/.
    private const string Common = "part /boot --size 64\npart / --fixed-size 4G\nbootloader --append=\"rootwait splash\"\n";

    [Fact]
    public void Included_lines_stand_where_the_include_stands()
    {
        var texts = new Dictionary<string, string> { ["a.inc"] = "part /a\ninclude b.inc\npart /c", ["b.inc"] = "\npart /b" };
        var wks = WksFile.Parse("part /first\ninclude a.inc\npart /last\nbootloader --append quiet", texts.GetValueOrDefault);
        Assert.Equal(["line 1 /first", "a.inc line 1 /a", "b.inc line 2 /b", "a.inc line 3 /c", "line 3 /last"], wks.Parts.Select(p => $"{p.Where} {p.MountPoint}"));
        Assert.Equal("quiet", wks.Append);
        Assert.Empty(wks.Unread);
    }

    [Theory]
    [InlineData("include a.inc")]
    [InlineData("include b.inc")]
    public void A_file_that_includes_itself_is_told_and_comes_to_an_end(string text)
    {
        var texts = new Dictionary<string, string> { ["a.inc"] = "include b.inc", ["b.inc"] = "include a.inc\npart /b" };
        var wks = WksFile.Parse(text, texts.GetValueOrDefault);
        Assert.Contains("which includes itself", Assert.Single(wks.Unread), StringComparison.Ordinal);
        Assert.Equal("b.inc line 2", Assert.Single(wks.Parts).Where);
    }

    [Fact]
    public void An_include_is_found_beside_the_wks()
    {
        using var fixture = new DeployFixture();
        fixture.WriteText($"{DeployFixture.Image}-a.wks", "include common.wks.inc\n");
        fixture.WriteText("common.wks.inc", Common);
        Assert.Equal(
        [
            "common.wks.inc line 2: / has 4 GiB there and 512 MiB on the board; give the board file a larger root-a if that does not do.",
            "core-image-minimal-a.wks gives the kernel splash, the board does not; add it to kernel_args of the board file if it is needed.",
        ], Notes(fixture).Skip(1));
    }

    [Fact]
    public void An_include_is_found_among_the_canned_files_of_the_layers_that_are_there()
    {
        using var fixture = new DeployFixture();
        var layer = Directory.CreateTempSubdirectory("osbuild-layer-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(layer, "common.wks.inc"), Common);
            fixture.WriteText(DeployFixture.TestData, DeployFixture.TestDataText().Replace("{ ", $"{{ \"WKS_SEARCH_PATH\": \"/nowhere/wic:wic:{layer}\", ", StringComparison.Ordinal));
            fixture.WriteText($"{DeployFixture.Image}-a.wks", "# the layer's\ninclude common.wks.inc\n");
            Assert.Contains("common.wks.inc line 2: / has 4 GiB", Notes(fixture)[1], StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(layer, recursive: true);
        }
    }

    [Fact]
    public void An_include_by_its_path_is_taken_from_there()
    {
        using var fixture = new DeployFixture();
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, Common);
            fixture.WriteText($"{DeployFixture.Image}-a.wks", $"include {file}\n");
            Assert.StartsWith($"{file} line 2: / has 4 GiB", Notes(fixture)[1], StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void An_include_that_is_nowhere_is_a_note_and_the_rest_is_compared()
    {
        using var fixture = new DeployFixture();
        fixture.WriteText($"{DeployFixture.Image}-a.wks", "include gone.inc\npart / --fixed-size 2G\n");
        Assert.Equal(
        [
            "line 1: it includes gone.inc, which is neither beside it nor in a folder of the build's WKS_SEARCH_PATH that is there; what it says is not compared. Put it into the deploy directory.",
            "line 2: / has 2 GiB there and 512 MiB on the board; give the board file a larger root-a if that does not do.",
        ], Notes(fixture).Skip(1));
    }

    private static IReadOnlyList<string> Notes(DeployFixture fixture) => Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None).Deploy.Notes;

    private static WksFile Read(string text) => WksFile.Parse(text, _ => null);
}
