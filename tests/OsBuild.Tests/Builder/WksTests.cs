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
        var wks = WksFile.Parse(Imx);
        Assert.Equal(
        [
            new(2, "u-boot", null, null, "imx-boot.tagged", 33 << 10, null),
            new(3, "/boot", "boot", 64 << 20, null, null, null),
            new(4, "/", "root", 2L << 30, null, null, "noatime,commit=30"),
            new(5, null, "spare", null, null, 51200, null),
            new(6, "/data", null, 256 << 20, null, null, null),
        ], wks.Parts);
        Assert.Equal("console=ttymxc0,115200 rootwait quiet", wks.Append);
    }

    [Theory]
    [InlineData("")]
    [InlineData("# nothing but this\r\n\r\n")]
    [InlineData("include common.wks.inc")]
    [InlineData("--append x")]
    public void What_says_nothing_to_us_is_passed_over(string text)
    {
        var wks = WksFile.Parse(text);
        Assert.Empty(wks.Parts);
        Assert.Null(wks.Append);
    }

    [Theory]
    [InlineData("part / --size")]
    [InlineData("part / --size 12X")]
    [InlineData("part / --size -1")]
    [InlineData("part / --size 99999999999999999999G")]
    [InlineData("part / --size \"")]
    public void A_size_that_is_none_is_no_size(string line) => Assert.Null(Assert.Single(WksFile.Parse(line).Parts).Size);

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
            WksHints.Notes("a.wks", WksFile.Parse("part --source rawcopy --sourceparams=file=u-boot-rockchip.bin --no-table --align 1024"), board)[1]);
    }

    [Fact]
    public void A_layout_that_agrees_is_not_worth_a_word()
    {
        using var fixture = new DeployFixture();
        fixture.WriteText($"{DeployFixture.Image}-same.wks", "part /boot --size 64\npart / --fixed-size 512\nbootloader --append=\"rootwait root=/dev/sda2\"\n");
        Assert.Empty(Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None).Deploy.Notes);
    }
}
