using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Planning;
using OsBuild.Images.Trees;
using OsBuild.OracleTests.Images;
using OsBuild.OracleTests.Images.Ext4;
using OsBuild.OracleTests.Images.Trees;
using OsBuild.Tests.Builder;

namespace OsBuild.OracleTests.Builder;

/// <summary>Whole images before the outside judges: the partition tools, the checkers of both file systems, bmaptool, the kernel, and GNU tar.</summary>
public sealed class BuiltImageTests
{
    private const long LastSecond = (3L << 32) + int.MaxValue;

    /// <summary>A GPT board and the reference deploy directory, which is made of genuine programs, kernels and loaders.</summary>
    [Fact]
    public void A_GPT_image_of_the_reference_deploy_directory()
    {
        using var folder = new TempFolder();
        var deploy = Checkout.Needed(Path.Combine(Checkout.Work, "deploy/qemux86-64"));
        File.WriteAllText(folder["compose.yaml"], "services: {}\n");
        string[] arguments = ["qemux86-64", "--deploy", deploy, "--supervisor", "/usr/bin/true", "--compose", folder["compose.yaml"]];
        var image = BuiltImage.Build(folder["first"], arguments);
        TwoBuildsAreOne(image, BuiltImage.Build(folder["second"], arguments));
        Judge.Run("sgdisk", "-v", image.Path).MustPass("sgdisk -v");
        Assert.Contains("No problems found", Judge.Run("sgdisk", "-v", image.Path).Output, StringComparison.Ordinal);
        TableIsAsDescribed(image);
        image.FileSystemsMustPass(folder);
        BmaptoolMakesTheSame(image, folder);

        Same(Path.Combine(deploy, "bzImage"), image.BootFile("slot-a/bzImage", folder));
        Same(Path.Combine(deploy, "systemd-bootx64.efi"), image.BootFile("EFI/BOOT/BOOTX64.EFI", folder));
        Same(folder["compose.yaml"], image.BootFile("compose.yaml", folder));

        var expected = Unpack(Directory.EnumerateFiles(deploy, "*.rootfs.tar.zst").First(), folder["root"]);
        Judge.Run("tar", "-xpf", Path.Combine(deploy, "modules-qemux86-64.tgz"), "-C", folder["root"] + "/usr").MustPass("tar of the modules"); // lib is a link to usr/lib
        using var root = image.Mount("root-a");
        Assert.Equal(
            [.. DeviceNodes.Static.Select(d => "/dev/" + d.Name).Order(StringComparer.Ordinal), "/usr/bin/supervisor", "/usr/lib/osbuild", "/usr/sbin/init"],
            UnpackedTree.MustContain(expected, root.Directory, new HashSet<string> { "/usr", "/usr/lib" })); // tar changed their times when it unpacked the modules
        Assert.Equal((0x2000 | 0x1B6, 1u, 9u), (Kernel.Stat(root.Directory + "/dev/urandom").Mode, Kernel.Stat(root.Directory + "/dev/urandom").Major, Kernel.Stat(root.Directory + "/dev/urandom").Minor));
        Judge.Run(root.Directory + "/usr/bin/busybox", "true").MustPass("a program of the image");
    }

    /// <summary>An MBR board with a raw blob, and a root file system with everything that tar can hold.</summary>
    [Fact]
    public void An_MBR_image_of_everything_that_a_tar_can_hold()
    {
        using var folder = new TempFolder();
        using var fixture = new BoardFixture(BoardCatalog.Find("pine64-plus").Board!);
        var deploy = fixture.Request.Deploy;
        var tar = Directory.EnumerateFiles(deploy, "*.rootfs.tar.zst").Single();
        PackRandomTree(tar);
        string[] arguments = ["pine64-plus", "--deploy", deploy, "--supervisor", fixture.Supervisor];
        var image = BuiltImage.Build(folder["first"], arguments);
        TwoBuildsAreOne(image, BuiltImage.Build(folder["second"], arguments));
        Judge.Run("sfdisk", "--verify", image.Path).MustPass("sfdisk --verify");
        TableIsAsDescribed(image);
        image.FileSystemsMustPass(folder);
        BmaptoolMakesTheSame(image, folder);
        var blob = File.ReadAllBytes(Path.Combine(deploy, "u-boot-sunxi-with-spl.bin"));
        Assert.Equal(blob, image.Bytes(8192, blob.Length));

        Same(Path.Combine(deploy, "Image"), image.BootFile("slot-a/Image", folder));
        using var root = image.Mount("root-a");
        var more = UnpackedTree.MustContain(Unpack(tar, folder["root"]), root.Directory);
        Assert.Contains("/usr", more);
        Assert.Contains("/dev", more);
    }

    private static void TwoBuildsAreOne(BuiltImage one, BuiltImage other)
    {
        foreach (var ending in new[] { "", ".bmap", ".json" }) Judge.Run("cmp", one.Path + ending, other.Path + ending).MustPass($"a second build{ending}");
    }

    private static void TableIsAsDescribed(BuiltImage image) => Assert.Equal(image.Partitions.Select(p => (p.Number, p.Offset, p.Size)), image.BySfdisk());

    /// <summary>bmaptool writes the image to a loop device by our map, checking our digests; the device then is the image.</summary>
    private static void BmaptoolMakesTheSame(BuiltImage image, TempFolder folder)
    {
        using (var card = File.Create(folder["card"])) card.SetLength(image.Size);
        using (var loop = new LoopDevice(folder["card"])) Judge.Run("bmaptool", "copy", "--bmap", image.Path + ".bmap", image.Path, loop.Device).MustPass("bmaptool copy");
        Judge.Run("cmp", image.Path, folder["card"]).MustPass("bmaptool's copy");
        File.Delete(folder["card"]);
    }

    private static void Same(string one, string other) => Judge.Run("cmp", one, other).MustPass($"{other} of the image");

    private static string Unpack(string tar, string into)
    {
        Directory.CreateDirectory(into);
        Judge.Run("tar", "--zstd", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", tar, "-C", into).MustPass("tar");
        return into;
    }

    /// <summary>A random tree, and in it what the fixture's supervisor needs of a root file system.</summary>
    private static void PackRandomTree(string tar)
    {
        List<TreeItem> tree = [.. RandomTree.Make(7, 600).Where(i => i.Node.Kind != NodeKind.Socket).Select(i => i with { Node = AsTarUnpacks(i.Node) })]; // GNU tar leaves sockets out
        tree.Add(new(new Node { Path = "lib", Kind = NodeKind.Directory, Mode = 0x1ED }, new Content(0)));
        var elf = Binaries.Elf(Binaries.Aarch64);
        foreach (var name in new[] { "lib/ld-linux-aarch64.so.1", "lib/libc.so.6" }) tree.Add(new(new Node { Path = name, Kind = NodeKind.File, Mode = 0x1ED, Size = elf.Length }, new Content(elf.Length, (0, elf))));
        using var scratch = new ScratchImage(256L << 20);
        Ext4TreeTests.Write(scratch.Stream, Ext4TreeTests.Layout(256L << 20), WithTargets(tree));
        using var mount = new LoopMount(scratch.Path);
        Judge.Run("tar", "--zstd", "--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--exclude=./lost+found", "--sort=name", "-C", mount.Directory, "-cf", tar, ".").MustPass("tar");
    }

    /// <summary>The kernel sets no nanoseconds at the first and the last second that ext4 knows, and makes mode and access list agree.</summary>
    private static Node AsTarUnpacks(Node node) => node with
    {
        ModifiedNanoseconds = node.ModifiedAt is int.MinValue or LastSecond ? 0 : node.ModifiedNanoseconds,
        Xattrs = [.. node.Xattrs.Where(x => !x.Name.StartsWith("system.posix_acl", StringComparison.Ordinal))],
    };

    /// <summary>Without links to what was left out.</summary>
    private static List<TreeItem> WithTargets(List<TreeItem> tree)
    {
        var paths = tree.Select(i => i.Node.Path).ToHashSet();
        return [.. tree.Where(i => i.Node.LinkTarget is null || i.Node.Kind != NodeKind.HardLink || paths.Contains(i.Node.LinkTarget))];
    }
}
