using System.Text;
using System.Text.Json;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Commands;
using OsBuild.Images.Bmap;

namespace OsBuild.Tests.Builder.Inspecting;

/// <summary>The command line over a built image, from arguments to exit code.</summary>
public sealed class ImageCommandTests
{
    private static (int Code, string Output, string Errors) Run(params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var errors = new StringWriter { NewLine = "\n" };
        using var bytes = new MemoryStream();
        var code = new CommandTree("test", bytes, output, errors, false, 1711929600, CancellationToken.None).Run(arguments);
        return (code, output + Encoding.UTF8.GetString(bytes.ToArray()), errors.ToString());
    }

    private static string Build(DeployFixture fixture)
    {
        var request = fixture.Request with { Board = DeployFixture.SmallBoard() };
        return BuildJob.Run(request, Progress.Silent, CancellationToken.None).Path;
    }

    [Fact]
    public void Inspect_tells_what_is_in_each_partition()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var (code, output, _) = Run("inspect", image);
        Assert.Equal(0, code);
        Assert.Contains("Poky 5.0.7 (scarthgap); supervisor 2 KiB", output, StringComparison.Ordinal);

        using var json = JsonDocument.Parse(Run("inspect", image, "--json").Output);
        Assert.Equal("qemux86-64", json.RootElement.GetProperty("board").GetString());
        var partitions = json.RootElement.GetProperty("partitions");
        Assert.Equal(["boot", "root-a", "root-b", "state", "data"], partitions.EnumerateArray().Select(p => p.GetProperty("name").GetString()));
        Assert.Equal(["fat32", "ext4", null, "ext4", "ext4"], partitions.EnumerateArray().Select(p => p.GetProperty("fs").GetString()));
    }

    [Fact]
    public void A_squashfs_root_is_looked_into_like_any_other()
    {
        using var fixture = new DeployFixture();
        var image = BuildJob.Run(fixture.Request with { Board = DeployFixture.SmallBoard().WithRoot(OsBuild.ImageBuilder.Boards.FileSystemKind.Squashfs) }, Progress.Silent, CancellationToken.None).Path;
        Assert.Contains("  squashfs  ", Run("inspect", image).Output, StringComparison.Ordinal);
        Assert.Contains("VERSION_ID=5.0.7\n", Run("cat", image, "root-a", "/etc/os-release").Output, StringComparison.Ordinal);
        Assert.Equal(0, Run("check", image).Code);
    }

    [Theory]
    [InlineData("/dev/sda", "/mnt/boot")]
    [InlineData("/dev/mmcblk0", "/media/card")]
    [InlineData("/dev/sd", null)]
    [InlineData("/dev/sdb", null)]
    [InlineData("/dev/mmcblk1", null)]
    [InlineData("/dev/loop12", "/mnt/loop")]
    [InlineData("/dev/loop1", null)]
    public void A_disk_is_in_use_when_it_or_a_partition_of_it_is_mounted(string device, string? mount) =>
        Assert.Equal(mount, OsBuild.ImageBuilder.Inspecting.OpenImage.MountOf(device, ["proc /proc proc rw 0 0", "/dev/sda1 /mnt/boot vfat rw 0 0", "/dev/mmcblk0p2 /media/card ext4 rw 0 0", "/dev/sda10 /other ext4 rw 0 0", "/dev/loop12 /mnt/loop ext4 rw 0 0"]));

    [Fact]
    public void Files_are_listed_printed_and_copied()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        Assert.Equal((0, "lrwxrwxrwx  0:0  0     2011-04-05 23:00  sh -> busybox\n"), Line(Run("ls", image, "root-a", "/bin"), "sh"));
        Assert.Contains("VERSION_ID=5.0.7\n", Run("cat", image, "2", "/etc/os-release").Output, StringComparison.Ordinal);
        var to = Path.Combine(fixture.Home, "copy");
        Assert.Equal(0, Run("extract", image, "root-a", "/", "--output", to).Code);
        Assert.Equal(File.ReadAllBytes(fixture.Supervisor), File.ReadAllBytes(Path.Combine(to, "root-a/usr/lib/osbuild/supervisor")));
        Assert.Equal("busybox", new FileInfo(Path.Combine(to, "root-a/bin/sh")).LinkTarget);
        Assert.Equal(2, Run("extract", image, "root-a", "/", "--output", to).Code);
    }

    private static (int, string) Line((int Code, string Output, string Errors) run, string name) =>
        (run.Code, run.Output.Split('\n').Single(l => l.Contains("  " + name, StringComparison.Ordinal)) + "\n");

    [Theory]
    [InlineData("cat root-a etc/os-releas", "There is no etc/os-releas in partition root-a; near it is os-release.")]
    [InlineData("cat rooot etc/os-release", "There is no partition rooot; the image has boot, root-a, root-b, state, data.")]
    [InlineData("ls root-b /", "Partition root-b holds no file system that can be read.")]
    [InlineData("cat root-a bin", "bin in partition root-a is not a file; list it with ls.")]
    public void What_is_not_there_is_named(string command, string sentence)
    {
        using var fixture = new DeployFixture();
        var words = command.Split(' ');
        Assert.Equal((2, "", $"error: {sentence}\n"), Run([words[0], Build(fixture), .. words[1..]]));
    }

    [Fact]
    public void Files_that_are_no_images_are_refused()
    {
        using var fixture = new DeployFixture();
        var text = Path.Combine(fixture.Home, "text");
        File.WriteAllText(text, new string('x', 5000));
        Assert.Equal((2, "", $"error: {text} has no partition table; it is not an image of a disk.\n"), Run("inspect", text));
        Assert.Equal((2, "", $"error: There is no image {text}2.\n"), Run("inspect", text + "2"));
        var rootfs = fixture.At(DeployFixture.Rootfs);
        Assert.Equal((2, "", $"error: {rootfs} is compressed (zstd) and can only be read in place when it is not; decompress it first, or build it without --compress.\n"), Run("inspect", rootfs));
    }

    [Fact]
    public void An_image_is_named_that_may_have_been_meant()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        Assert.Equal((2, "", $"error: There is no image {image[..^5]}.img; near it is {Path.GetFileName(image)}.\n"), Run("inspect", image[..^5] + ".img"));
    }

    [Fact]
    public void Places_where_nothing_can_be_made_are_refused_before_anything_is_read()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        Assert.Equal((2, "", $"error: --picture {fixture.Home}/no/size.svg cannot be made there: there is no folder {fixture.Home}/no; give the name of a file.\n"), Run("size", image, "--picture", $"{fixture.Home}/no/size.svg"));
        Assert.Equal((2, "", $"error: --picture {fixture.Home} cannot be made there: it is a folder; give the name of a file.\n"), Run("size", image, "--picture", fixture.Home));
        Assert.Equal((2, "", "error: --depth -1 is no number of levels; give 1 or more.\n"), Run("size", image, "--depth", "-1"));
        Assert.Equal((2, "", $"error: --output {image} is a file; give a folder.\n"), Run("extract", image, "root-a", "/etc", "--output", image));
    }

    [Theory]
    [InlineData("inspect a.img --jsn", "image-builder inspect")]
    [InlineData("build qemux86-64", "image-builder build")]
    [InlineData("build qemux86-64 --deploy d --compress bz2", "image-builder build")]
    public void A_slip_of_the_hand_is_told_in_a_few_lines(string command, string whose)
    {
        var (code, output, errors) = Run(command.Split(' '));
        Assert.Equal(2, code);
        Assert.EndsWith($"`{whose} --help` shows what can be typed.\n", errors, StringComparison.Ordinal);
        Assert.DoesNotContain("Usage:", output + errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("biuld qemux86-64 --deploy d", "There is no command biuld; did you mean build? `image-builder --help` shows what there is.")]
    [InlineData("confgure a.img --set hostname=x", "There is no command confgure; did you mean configure? `image-builder --help` shows what there is.")]
    [InlineData("frobnicate", "There is no command frobnicate; `image-builder --help` shows what there is.")]
    public void A_command_that_is_not_there_is_told_in_one_sentence(string command, string sentence)
    {
        Assert.Equal((2, "", $"error: {sentence}\n"), Run(command.Split(' ')));
        Assert.Equal((2, $"{{\"result\":\"refused\",\"message\":\"{sentence.Replace("`", "\\u0060", StringComparison.Ordinal)}\"}}\n", ""), Run(["--json", .. command.Split(' ')]));
    }

    [Fact]
    public void Nothing_typed_shows_what_there_is()
    {
        var (code, output, _) = Run();
        Assert.Equal(2, code);
        Assert.Contains("check-board <FILE>", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_finds_what_was_spoiled()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        Assert.Equal(0, Run("check", image).Code);
        using (var file = new FileStream(image, FileMode.Open))
        {
            // The first block group's descriptors of root-a.
            file.Position = (4L << 20) + (36L << 20) + 4096 + 8;
            file.Write([0xFF, 0xFF]);
        }

        var (code, output, errors) = Run("check", image);
        Assert.Equal(1, code);
        Assert.Contains("root-a: ", output, StringComparison.Ordinal);
        Assert.Contains("finding", errors, StringComparison.Ordinal);
    }

    [Fact]
    public void Configure_changes_the_boot_partition_and_nothing_else()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var before = Path.Combine(fixture.Home, "before.img");
        File.Copy(image, before);
        Assert.Equal(0, Run("configure", image, "--set", "hostname=kitchen", "--set", "network.eth0.address=10.0.0.2/24", "--set", "env.LIMIT=1", "--set", "ntp=a.example,b.example").Code);
        Assert.Equal("hostname: kitchen\nnetwork:\n  eth0:\n    address: 10.0.0.2/24\nenv:\n  LIMIT: \"1\"\nntp:\n- a.example\n- b.example\n", Run("cat", image, "boot", "config.yaml").Output);
        Assert.Equal((1, "boot: + config.yaml\n"), (Run("diff", before, image).Code, Run("diff", before, image).Output));
        Assert.Equal(0, Run("check", image).Code);
        Assert.Contains("nothing was changed", Run("configure", image, "--set", "hostname=kitchen").Output, StringComparison.Ordinal);

        Assert.Equal(0, Run("configure", image, "--set", "hostname=", "--set", "network.eth0.address=", "--set", "env.LIMIT=").Code);
        Assert.Equal("ntp:\n- a.example\n- b.example\n", Run("cat", image, "boot", "config.yaml").Output);
    }

    [Fact]
    public void The_block_map_and_the_description_follow_a_change()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        string Described() => JsonDocument.Parse(File.ReadAllText(image + ".json")).RootElement.GetProperty("partitions")[0].GetProperty("contentSha256").GetString()!;
        var before = Described();
        for (var i = 0; i < 5; i++) Assert.Equal(0, Run("configure", image, "--set", $"hostname=kitchen-{i}").Code);
        Assert.NotEqual(before, Described());
        using var bytes = File.OpenRead(image);
        using var xml = File.OpenRead(image + ".bmap");
        foreach (var range in BlockMap.ReadXml(xml).Ranges)
        {
            var content = new byte[(int)Math.Min(range.Count * 4096, bytes.Length - (range.First * 4096))];
            bytes.Position = range.First * 4096;
            bytes.ReadExactly(content);
            Assert.Equal(range.Sha256, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)));
        }

        using var json = JsonDocument.Parse(File.ReadAllText(image + ".json"));
        Assert.Equal(json.RootElement.GetProperty("bmapSha256").GetString(), Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(image + ".bmap"))));
    }

    [Fact]
    public void A_fleets_config_and_keys_from_files_are_put_in()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var fleet = Path.Combine(fixture.Home, "fleet.json");
        File.WriteAllText(fleet, """{"apiEndpoint":"https://api.example.com"}""");
        var key = Path.Combine(fixture.Home, "id.pub");
        File.WriteAllText(key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n");
        Assert.Equal(0, Run("configure", image, "--set", $"fleet=@{fleet}", "--set", $"ssh.authorized_keys=@{key}").Code);
        Assert.Equal("{\"apiEndpoint\":\"https://api.example.com\"}\n", Run("cat", image, "boot", "config.json").Output);
        Assert.Equal("ssh:\n  authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n", Run("cat", image, "boot", "config.yaml").Output);
        Assert.Equal(0, Run("configure", image, "--set", "fleet=").Code);
        Assert.Equal(2, Run("cat", image, "boot", "config.json").Code);
    }

    [Fact]
    public void The_size_report_names_the_largest_and_draws_it()
    {
        using var fixture = new DeployFixture();
        var picture = Path.Combine(fixture.Home, "size.svg");
        var (code, output, _) = Run("size", Build(fixture), "--picture", picture);
        Assert.Equal(0, code);
        Assert.Contains("bzImage", output, StringComparison.Ordinal);
        Assert.Contains("boot/slot-a/bzImage 10.5 KiB", File.ReadAllText(picture), StringComparison.Ordinal);
        Assert.Equal("svg", System.Xml.Linq.XDocument.Load(picture).Root!.Name.LocalName);
    }
}
