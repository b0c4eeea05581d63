using System.Text.RegularExpressions;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Planning;

namespace OsBuild.Tests.Builder;

public sealed partial class PlanTests
{
    private static ImagePlan Plan(DeployFixture fixture, BuildRequest? request = null) =>
        Preparation.Plan(request ?? fixture.Request, Progress.Silent, CancellationToken.None);

    private static string Print(DeployFixture fixture, BuildRequest? request = null) =>
        Compressed().Replace(Id().Replace(PlanText.Describe(Plan(fixture, request)).Replace(fixture.Home + "/", "", StringComparison.Ordinal), "ROOT-A"), "initramfs.cpio.zst  SIZE  ");

    // What depends on the bytes a compressor makes is not for a golden text.
    [GeneratedRegex("(?<=PARTUUID=)[0-9a-f-]{36}")]
    private static partial Regex Id();

    [GeneratedRegex(@"initramfs\.cpio\.zst +[0-9.]+ K?i?B +")]
    private static partial Regex Compressed();

    [Fact]
    public void A_plan_prints_the_layout_and_where_each_file_comes_from()
    {
        using var fixture = new DeployFixture();
        Golden.Check("plan-qemux86-64", Print(fixture));
    }

    [Fact]
    public void The_users_files_stand_on_the_boot_partition()
    {
        using var fixture = new DeployFixture();
        var compose = Path.Combine(fixture.Home, "shop.yaml");
        File.WriteAllText(compose, "services: {web: {image: shop:1}}\n");
        var config = Path.Combine(fixture.Home, "config.yaml");
        File.WriteAllText(config, "hostname: shop-7\n");
        var app = Path.Combine(fixture.Home, "shop.tar");
        using var archive = new Archive().File("manifest.json", """[{"Config":"c.json","RepoTags":["shop:1"],"Layers":[]}]""").File("c.json", """{"architecture":"amd64"}""");
        File.WriteAllBytes(app, archive.Plain());
        Golden.Check("plan-with-user-files", Print(fixture, fixture.Request with { Compose = compose, Config = config, Load = [app] }));
    }

    [Fact]
    public void A_kernel_with_everything_built_in_gets_no_initramfs()
    {
        using var fixture = new DeployFixture(modules: false);
        Golden.Check("plan-without-modules", Print(fixture));
    }

    [Fact]
    public void Kirkstone_names_give_the_same_plan()
    {
        using var scarthgap = new DeployFixture();
        using var kirkstone = new DeployFixture();
        kirkstone.Rename(DeployFixture.Rootfs, $"{DeployFixture.Image}-{DeployFixture.Machine}-{DeployFixture.Stamp}.rootfs.tar.zst", $"{DeployFixture.Image}-{DeployFixture.Machine}.tar.zst", DeployFixture.RootfsLink);
        kirkstone.Rename(DeployFixture.TestData, $"{DeployFixture.Image}-{DeployFixture.Machine}-{DeployFixture.Stamp}.testdata.json", $"{DeployFixture.Image}-{DeployFixture.Machine}.testdata.json", $"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs.testdata.json");
        Assert.Equal(
            Print(scarthgap).Replace("minimal-qemux86-64.rootfs.tar.zst", "minimal-qemux86-64.tar.zst", StringComparison.Ordinal),
            Print(kirkstone));
    }

    [Fact]
    public void The_link_decides_between_old_and_new_builds()
    {
        using var fixture = new DeployFixture();
        fixture.Write($"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs-20990101000000.tar.zst", [1, 2, 3]);
        Assert.Equal(DeployFixture.RootfsLink, Plan(fixture).Deploy.Rootfs.Name);
    }

    [Fact]
    public void Without_links_the_newest_stamp_decides()
    {
        using var fixture = new DeployFixture();
        fixture.Delete(DeployFixture.RootfsLink);
        fixture.Write($"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs-20200101000000.tar.zst", [1, 2, 3]);
        Assert.Equal(DeployFixture.Rootfs, Plan(fixture).Deploy.Rootfs.Name);
    }

    [Fact]
    public void Ids_come_from_the_system_and_not_from_the_configuration()
    {
        using var fixture = new DeployFixture();
        var config = Path.Combine(fixture.Home, "config.yaml");
        File.WriteAllText(config, "hostname: shop-7\n");
        var plain = Plan(fixture);
        Assert.Equal(plain.Identity, Plan(fixture, fixture.Request with { Config = config }).Identity);
        Assert.Equal(5, plain.Disk.Partitions.Select(p => p.Spec.Id).Distinct().Count());

        File.WriteAllBytes(fixture.Supervisor, [.. File.ReadAllBytes(fixture.Supervisor), 0]);
        Assert.NotEqual(plain.Identity, Plan(fixture).Identity);
    }

    [Fact]
    public void The_time_is_that_of_the_build_unless_the_user_gives_one()
    {
        using var fixture = new DeployFixture();
        Assert.Equal(1711929600, Plan(fixture).Inputs.Time);
        Assert.Equal(42, Plan(fixture, fixture.Request with { SourceDateEpoch = 42 }).Inputs.Time);
        fixture.Delete(DeployFixture.TestData, $"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs.testdata.json");
        Assert.Equal(1302044400, Plan(fixture).Inputs.Time);
    }

    [Fact]
    public void With_usrmerge_what_is_added_goes_below_usr()
    {
        using var fixture = new DeployFixture();
        using var root = new Archive()
            .Directory("usr").Directory("usr/bin").Directory("usr/sbin").Directory("usr/lib").Link("bin", "usr/bin").Link("sbin", "usr/sbin").Link("lib", "usr/lib")
            .File("usr/lib/ld-linux-x86-64.so.2", Binaries.Elf(Binaries.X8664), 0x1ED)
            .File("usr/lib/libc.so.6", Binaries.Elf(Binaries.X8664, null, "ld-linux-x86-64.so.2"), 0x1ED);
        fixture.Write(DeployFixture.Rootfs, root.Zstd());
        Golden.Check("plan-usrmerge", Print(fixture));
    }

    [Fact]
    public void A_rootfs_with_its_own_init_keeps_it_and_an_old_supervisor_gives_way()
    {
        using var fixture = new DeployFixture();
        using var root = DeployFixture.SmallRoot();
        root.Directory("sbin").File("sbin/init", "#!/bin/sh\n", 0x1ED).File("usr/bin/supervisor", "old", 0x1ED);
        fixture.Write(DeployFixture.Rootfs, root.Zstd());
        var plan = Plan(fixture);
        Assert.DoesNotContain(plan.Root, r => r.Node.Path == "sbin/init");
        Assert.Equal(["usr/bin/supervisor"], plan.Replaced);
    }
}
