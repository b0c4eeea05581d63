using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

public sealed class MountinfoTests
{
    [Fact]
    public void Reads_the_kernels_lines()
    {
        var lines = MountLine.Parse("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n27 1 0:33 /@home /home\\040of\\011all rw shared:1 propagate_from:2 - btrfs /dev/sda\\1343 rw\n").ToList();
        Assert.Equal(new MountLine("98:0", "/mnt1", "/mnt2", "ext3", "/dev/root"), lines[0]);
        Assert.Equal(new MountLine("0:33", "/@home", "/home of\tall", "btrfs", "/dev/sda\\3"), lines[1]);
        Assert.True(lines[0].HasOwnDevice);
        Assert.False(lines[1].HasOwnDevice);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("36 35 98:0 /a /b rw no dash here")]
    public void Refuses_what_the_kernel_does_not_write(string text) => Assert.Throws<FormatException>(() => MountLine.Parse(text).ToList());

    [Theory]
    [InlineData("/media/b\\134", "/media/b\\")]
    [InlineData("/ü\\040ö", "/ü ö")]
    [InlineData("plain", "plain")]
    [InlineData("end\\04", "end\\04")]
    public void Undoes_octal_escapes(string escaped, string plain) => Assert.Equal(plain, MountLine.Unescape(escaped));

    [Theory]
    [InlineData("USB\u202eKCITS", "USBKCITS")]
    [InlineData("two\nlines\u2028here", "twolineshere")]
    [InlineData("  Generic   Flash\0 ", "Generic Flash")]
    [InlineData("\e[31mred", "[31mred")]
    [InlineData("Größe 漢字", "Größe 漢字")]
    public void Names_of_devices_cannot_draw_on_the_screen(string name, string shown) => Assert.Equal(shown, Shown.Clean(name));
}
