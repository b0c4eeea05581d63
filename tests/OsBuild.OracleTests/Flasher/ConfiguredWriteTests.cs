using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Tests.Images;
using OsBuild.Tests.Images.Fat;
using OsBuild.Tests.Images.Partitions;

namespace OsBuild.OracleTests.Flasher;

/// <summary>Settings put into the boot partition while the image is written; judged by fsck.fat and mtools on the device.</summary>
public sealed class ConfiguredWriteTests
{
    private const int MiB = 1 << 20;

    /// <summary>An image with a boot partition, as image-builder lays it out.</summary>
    internal static string BootImage()
    {
        var plan = DiskPlan.For(new DiskSpec { Table = TableKind.Gpt, DiskId = Disks.DiskId, SectorSize = 512, Partitions = [Disks.Part("boot", 40 * MiB, 0x0c), Disks.Part("data", 4 * MiB)] });
        using var disk = Disks.Written(plan);
        using var volume = Volumes.Written(Volumes.Options(FatKind.Fat32, plan.Partitions[0].Size), Volumes.Tree().Where(f => f.Key != "config.yaml").ToDictionary());
        disk.Apply(plan.Partitions[0].Offset, volume.ReadAt(0, (int)plan.Partitions[0].Size));
        disk.Apply(plan.Partitions[1].Offset, Folder.Image(4 * MiB));
        return Folder.File("board.img", disk.ReadAt(0, (int)disk.Length));
    }

    private static string Boot(LoopDevice device)
    {
        using var disk = File.OpenRead(device.File);
        var boot = PartitionTable.Read(disk, 512, disk.Length)!.Partitions[0];
        return $"{device.File}@@{boot.Offset}";
    }

    /// <summary>A file of the boot partition as mtools reads it.</summary>
    internal static string BootFile(LoopDevice device, string name) => Judge.Run("mtype", "-i", Boot(device), "::" + name).MustPass("mtype").Output;

    private static void Sound(LoopDevice device)
    {
        var part = Boot(device).Split("@@");
        using var volume = new LoopDevice(part[0], ownFile: false, "-o", part[1], "--sizelimit", (40 * MiB).ToString());
        Judge.Run("fsck.fat", "-n", volume.Path).MustPass("fsck.fat");
    }

    [Theory]
    [InlineData("")]
    [InlineData("xz -T1")]
    [InlineData("gzip")]
    [InlineData("zstd -q")]
    public void All_settings_arrive_and_the_card_verifies(string packer)
    {
        var image = BootImage();
        if (packer.Length > 0) Judge.Run("sh", "-c", $"{packer} -c {image} > {image}.packed").MustPass(packer);
        var source = packer.Length > 0 ? image + ".packed" : image;
        var fleet = Folder.File("config.json", "{\"uuid\":\"7\"}"u8);
        var app = Folder.File("compose.yaml", "services:\n  web:\n    image: nginx\n"u8);
        var key = Folder.File("id.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n"u8);
        using var device = new LoopDevice(64 * MiB);
        string[] settings = ["--set", "hostname=kitchen", "--set", "network.eth0.address=10.0.0.2/24", "--set", "wifi.ssid=home", "--set", "wifi.psk=12345678", "--set", $"ssh.authorized_keys=@{key}", "--config-json", fleet, "--compose", app];
        Cli.Ends(0, "written and read back", ["write", source, "--to", device.Path, "--yes", .. settings]);
        Assert.Equal("hostname: kitchen\nnetwork:\n  eth0:\n    address: 10.0.0.2/24\nwifi:\n  ssid: \"home\"\n  psk: \"12345678\"\nssh:\n  authorized_keys:\n  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@here\n", BootFile(device, "config.yaml"));
        Assert.Equal("{\"uuid\":\"7\"}\n", BootFile(device, "config.json"));
        Assert.Equal(File.ReadAllText(app), BootFile(device, "compose.yaml"));
        Sound(device);
        Cli.Ends(0, "every byte", ["verify", source, "--to", device.Path, .. settings]);
        Cli.Ends(3, "first wrong byte", "verify", source, "--to", device.Path);
    }

    [Fact]
    public void The_same_keys_give_the_same_files_as_image_builder()
    {
        var image = BootImage();
        using var device = new LoopDevice(64 * MiB);
        Cli.Ends(0, "read back", "write", image, "--to", device.Path, "--yes", "--set", "hostname=kitchen", "--set", "env.LIMIT=1", "--set", "ntp=a.example,b.example");
        Judge.Run(Path.Combine(AppContext.BaseDirectory, "image-builder"), "configure", image, "--set", "hostname=kitchen", "--set", "env.LIMIT=1", "--set", "ntp=a.example,b.example").MustPass("image-builder");
        using var built = new LoopDevice(image, ownFile: false);
        Assert.Equal(BootFile(built, "config.yaml"), BootFile(device, "config.yaml"));
    }

    [Theory]
    [InlineData("there is no such key", "--set", "hostnam=x")]
    [InlineData("letters, digits", "--set", "hostname=a b")]
    [InlineData("is not KEY=VALUE", "--set", "hostname")]
    [InlineData("there is no file /nowhere", "--config-json", "/nowhere")]
    [InlineData("there is no file /nowhere", "--compose", "/nowhere")]
    [InlineData("no services", "--compose", "/etc/hostname")]
    public void What_is_wrong_with_a_setting_is_said_before_anything_is_written(string says, params string[] settings)
    {
        using var device = new LoopDevice(64 * MiB);
        Cli.Ends(2, says, ["write", BootImage(), "--to", device.Path, "--yes", .. settings]);
        Assert.All(device.Read(MiB), b => Assert.Equal(0, b));
    }

    [Fact]
    public void An_image_without_a_boot_partition_takes_no_settings()
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "no partition table", "write", Folder.File("a.img", new byte[4 * MiB]), "--to", device.Path, "--yes", "--set", "hostname=x");
    }
}
