using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Inputs;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.Tests.Builder;

/// <summary>IMAGE_BOOT_FILES of the Yocto build: what it names comes along, but nothing that would boot the board in another way.</summary>
public sealed class BootFileTests
{
    private static DeployFixture Fixture(string files, string efi = "")
    {
        var fixture = new DeployFixture();
        fixture.WriteText(DeployFixture.TestData, DeployFixture.TestDataText().Replace("{ ", $$"""{ "IMAGE_BOOT_FILES": "{{files}}", "IMAGE_EFI_BOOT_FILES": "{{efi}}", """, StringComparison.Ordinal));
        Directory.CreateDirectory(fixture.At("bootfiles"));
        foreach (var name in new[] { "bootfiles/a.bin", "bootfiles/b.bin", "logo.bmp", "splash.png", "boot.scr", "my.cfg" }) fixture.WriteText(name, name);
        return fixture;
    }

    private static ImagePlan Plan(DeployFixture fixture) => Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);

    private static string Yoctos(ImagePlan plan)
    {
        using var plain = new DeployFixture();
        var without = Plan(plain).Boot.Select(b => b.Path).ToHashSet();
        return string.Join(' ', plan.Boot.Where(b => !without.Contains(b.Path)).Select(b => $"{b.Source}->{b.Path}"));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("logo.bmp", "logo.bmp->logo.bmp")]
    [InlineData("logo.bmp;splash/first.bmp", "logo.bmp->splash/first.bmp")]
    [InlineData("logo.bmp;splash/", "logo.bmp->splash/logo.bmp")]
    [InlineData("bootfiles/a.bin", "bootfiles/a.bin->bootfiles/a.bin")]
    [InlineData("bootfiles/*", "bootfiles/a.bin->a.bin bootfiles/b.bin->b.bin")]
    [InlineData("bootfiles/*;fw", "bootfiles/a.bin->fw/a.bin bootfiles/b.bin->fw/b.bin")]
    [InlineData("bootfiles/?.bin;./", "bootfiles/a.bin->a.bin bootfiles/b.bin->b.bin")]
    [InlineData(@"  logo.bmp \n splash.png\t", "logo.bmp->logo.bmp splash.png->splash.png")]
    public void Files_go_where_wic_would_put_them(string files, string expected)
    {
        using var fixture = Fixture(files);
        Assert.Equal(expected, Yoctos(Plan(fixture)));
    }

    [Theory]
    [InlineData("boot.scr")]
    [InlineData("my.cfg;extlinux/extlinux.conf")]
    [InlineData("my.cfg;loader/entries/boot.conf")]
    [InlineData("my.cfg;EFI/BOOT/grub.cfg")]
    [InlineData("bzImage")]
    [InlineData("bzImage;kernel.img")]
    [InlineData("logo.bmp;image.json")]
    [InlineData("logo.bmp;SLOT-A/bzimage")]
    public void Nothing_decides_over_the_boot_but_the_builder(string files)
    {
        using var fixture = Fixture(files);
        Assert.Equal("", Yoctos(Plan(fixture)));
    }

    [Fact]
    public void Files_of_both_variables_come_once()
    {
        using var fixture = Fixture("logo.bmp", "logo.bmp splash.png");
        Assert.Equal("logo.bmp->logo.bmp splash.png->splash.png", Yoctos(Plan(fixture)));
    }

    [Fact]
    public void A_file_that_is_not_there_is_noted()
    {
        using var fixture = Fixture("vmlinux logo.bmp u-boot.*");
        var plan = Plan(fixture);
        Assert.Equal(
            ["IMAGE_BOOT_FILES of the build names vmlinux, which is not in the deploy directory; it is left out.", "IMAGE_BOOT_FILES of the build names u-boot.*, which is not in the deploy directory; it is left out."],
            plan.Deploy.Notes);
        Assert.Contains("\nnote: IMAGE_BOOT_FILES of the build names vmlinux", PlanText.Describe(plan), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(";boot")]
    [InlineData("logo.bmp;")]
    [InlineData("a;b;c")]
    [InlineData(";")]
    public void A_word_of_another_form_is_refused(string word)
    {
        Assert.Null(ImageBootFiles.Split(word));
        using var fixture = Fixture(word);
        Assert.Contains($"IMAGE_BOOT_FILES of the build has {word}, which is not SOURCE or SOURCE;DEST; correct the machine's configuration and build the image again.", fixture.Refusal());
    }
}
