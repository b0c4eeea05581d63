using System.Text;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.ImageBuilder.Commands;
using OsBuild.ImageBuilder.Inspecting;
using OsBuild.Images;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;

namespace OsBuild.Tests.Builder;

/// <summary>Host images of small built images, from the command line to the archive.</summary>
public sealed class HostImageTests
{
    private static (int Code, string Output, string Errors) Run(params string[] arguments) => Run(CancellationToken.None, arguments);

    private static (int Code, string Output, string Errors) Run(CancellationToken cancel, params string[] arguments)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var errors = new StringWriter { NewLine = "\n" };
        var code = new CommandTree("test", Stream.Null, output, errors, false, 1711929600, cancel).Run(arguments);
        return (code, output.ToString(), errors.ToString());
    }

    private static string Build(DeployFixture fixture, Board? board = null) =>
        BuildJob.Run(fixture.Request with { Board = board ?? DeployFixture.SmallBoard() }, Progress.Silent, CancellationToken.None).Path;

    private static HostArchiveView Make(string image)
    {
        Assert.Equal((0, ""), Run("host-image", image, "--tag", "host:12") is var (code, _, errors) ? (code, errors.StartsWith("error", StringComparison.Ordinal) ? errors : "") : default);
        return new(Path.ChangeExtension(image, ".host.tar"));
    }

    private static byte[] Partition(string image, string name)
    {
        using var open = OpenImage.Open(image);
        var content = open.Partition(name).Content;
        var bytes = new byte[content.Length];
        content.Position = 0;
        content.ReadExactly(bytes);
        return bytes;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_layer_has_the_description_first_and_the_root_last(bool squashfs)
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture, DeployFixture.SmallBoard().WithRoot(squashfs ? FileSystemKind.Squashfs : FileSystemKind.Ext4));
        var host = Make(image);
        Assert.Equal(["host.json", "loader/", "slot/", "loader/entry.conf", "slot/bzImage", "slot/initramfs.cpio.zst", "root.img"], host.Layer.Select(l => l.Name));
        var (root, partition) = (host["root.img"], Partition(image, "root-a"));
        Assert.Equal(partition[..root.Length], root);
        // An ext4 is there whole; of a squashfs what it says that it uses, in whole blocks.
        if (!squashfs) Assert.Equal(partition.Length, root.Length);
        else Assert.Equal((BitConverter.ToInt64(root, 40) + 4095) / 4096 * 4096, root.Length);
        using var open = OpenImage.Open(image);
        using var kernel = open.FileSystem("boot").Open("slot-a/bzImage");
        Assert.Equal(kernel.Length, host["slot/bzImage"].Length);
        Assert.Equal(File.ReadAllBytes(fixture.At("bzImage")), host["slot/bzImage"]);
        Assert.Matches(@"(?s)\nsort-key osbuild-@SORT@\nlinux /slot-@SLOT@/bzImage\ninitrd /slot-@SLOT@/initramfs.cpio.zst\noptions root=PARTUUID=@ROOT@ .*osbuild\.slot=@SLOT@ ", host.Text("loader/entry.conf"));
        Assert.Equal(squashfs, host.Text("loader/entry.conf").Contains(" rootfstype=squashfs ", StringComparison.Ordinal));
    }

    [Fact]
    public void The_description_tells_what_is_in_the_layer_and_its_digests()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var host = Make(image);
        using var open = OpenImage.Open(image);
        var record = DeviceRecord.Find(open)!.Value.Record;
        string Word(string field) => host.Host.GetProperty(field).GetString()!;
        Assert.Equal(("qemux86-64", "qemux86-64", "core-image-minimal", "5.0.7", record.Build, "test", DeployFixture.Version, "systemd-boot-counter"),
            (Word("board"), Word("machine"), Word("image"), Word("version"), Word("build"), Word("builder"), Word("kernel"), Word("scheme")));
        Assert.Equal(1711929600, host.Host.GetProperty("time").GetInt64());
        var root = host.Host.GetProperty("root");
        Assert.Equal(("ext4", host["root.img"].Length, HostArchiveView.Sha256(host["root.img"])), (root.GetProperty("fileSystem").GetString(), root.GetProperty("size").GetInt32(), root.GetProperty("sha256").GetString()));
        var files = host.Host.GetProperty("files").EnumerateArray().ToList();
        Assert.Equal([("loader/entry.conf", true), ("slot/bzImage", false), ("slot/initramfs.cpio.zst", false)], files.Select(f => (f.GetProperty("path").GetString()!, f.GetProperty("text").GetBoolean())));
        Assert.All(files, f =>
        {
            var bytes = host[f.GetProperty("path").GetString()!];
            Assert.Equal((bytes.Length, HostArchiveView.Sha256(bytes)), (f.GetProperty("size").GetInt32(), f.GetProperty("sha256").GetString()));
        });
    }

    [Fact]
    public void The_archive_is_a_container_image_of_one_layer()
    {
        using var fixture = new DeployFixture();
        var host = Make(Build(fixture));
        var configuration = host.Manifest.GetProperty("Config").GetString()!;
        Assert.Equal(["layer.tar", configuration, "manifest.json"], host.Outer.Keys);
        Assert.Equal(configuration, HostArchiveView.Sha256(host.Outer[configuration]) + ".json");
        Assert.Equal("host:12", host.Manifest.GetProperty("RepoTags").EnumerateArray().Single().GetString());
        Assert.Equal(("amd64", "linux", "2024-04-01T00:00:00Z"), (host.Configuration.GetProperty("architecture").GetString(), host.Configuration.GetProperty("os").GetString(), host.Configuration.GetProperty("created").GetString()));
        Assert.Equal("sha256:" + HostArchiveView.Sha256(host.LayerBytes), host.Configuration.GetProperty("rootfs").GetProperty("diff_ids").EnumerateArray().Single().GetString());
        Assert.Equal([("io.osbuild.board", "qemux86-64"), ("io.osbuild.version", "5.0.7"), ("org.opencontainers.image.version", "5.0.7")],
            host.Configuration.GetProperty("config").GetProperty("Labels").EnumerateObject().Select(l => (l.Name, l.Value.GetString()!)));
    }

    [Fact]
    public void The_same_image_gives_the_same_bytes_and_its_configuration_makes_no_difference()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var (one, other) = (Path.Combine(fixture.Home, "new", "one.tar"), Path.Combine(fixture.Home, "other.tar"));
        var (code, output, errors) = Run("host-image", image, "--tag", "shop/host:12", "--output", one);
        Assert.Equal((0, $"{one}: shop/host:12, board qemux86-64, version 5.0.7, a root of 8 MiB (ext4); `docker load -i` takes it\n"), (code, output));
        Assert.Matches(@"\Adigests: 8 MiB\nlayer: 8 MiB\n\z", errors);
        Assert.Equal(0, Run("configure", image, "--set", "hostname=kitchen").Code);
        Assert.Equal(0, Run("host-image", image, "--tag", "shop/host:12", "--output", other).Code);
        Assert.Equal(File.ReadAllBytes(one), File.ReadAllBytes(other));
        Assert.Equal(0, Run("host-image", image, "--tag", "shop/host:13", "--output", other).Code); // what was there is replaced
        Assert.NotEqual(File.ReadAllBytes(one), File.ReadAllBytes(other));
    }

    public static TheoryData<string, string, string> Loaders => new()
    {
        { "genericx86-64-bios", "slot/grub.cfg", "amd64" }, { "up-board", "slot/grub.cfg", "amd64" }, { "rockpro64", "slot/boot.env", "arm64" },
        { "raspberrypi3-u-boot", "slot/boot.env", "arm64" }, { "raspberrypi3", "loader/config.txt slot/cmdline.txt", "arm64" }, { "qemuarm64", "loader/entry.conf", "arm64" },
    };

    [Theory]
    [MemberData(nameof(Loaders))]
    public void Every_loader_gets_the_texts_it_reads(string name, string texts, string architecture)
    {
        using var fixture = new BoardFixture(BoardCatalog.Find(name).Board!);
        var host = Make(BuildJob.Run(fixture.Request, Progress.Silent, CancellationToken.None).Path);
        Assert.Equal(texts.Split(' '), host.Host.GetProperty("files").EnumerateArray().Where(f => f.GetProperty("text").GetBoolean()).Select(f => f.GetProperty("path").GetString()));
        Assert.Equal(architecture, host.Configuration.GetProperty("architecture").GetString());
        Assert.Contains(texts.Split(' '), t => host.Text(t).Contains("root=PARTUUID=@ROOT@ ", StringComparison.Ordinal));
        Assert.DoesNotContain("slot-a", string.Concat(texts.Split(' ').Select(host.Text)), StringComparison.Ordinal);
    }

    /// <summary>Each board can be told of its slots, or says why not.</summary>
    [Theory]
    [MemberData(nameof(BoardBuildTests.Boards), MemberType = typeof(BoardBuildTests))]
    public void Every_board_of_the_catalog_names_its_slot_where_it_is_looked_for(string name)
    {
        using var fixture = new BoardFixture(BoardCatalog.Find(name).Board!);
        var plan = Preparation.Plan(fixture.Request, Progress.Silent, CancellationToken.None);
        var problems = new ImageBuilder.Facts.Problems();
        var named = new ImageBuilder.Planning.SlotNames(ImageBuilder.Planning.BootText.PartUuid(plan.Disk, plan.Disk.Partitions.Single(p => p.Spec.Name == "root-a")), "root-a", "root-b");
        var made = 0;
        foreach (var (from, to) in HostSlot.TextsOf(Words.Scheme.Of(fixture.Board.Slots.Scheme))!)
        {
            var text = Encoding.UTF8.GetString(((ImageBuilder.Planning.Source.Made)plan.Boot.Single(b => b.Path == from).Source).Bytes.Span);
            if (ImageBuilder.Planning.SlotText.Template(to, text, named, problems) is not null) made++;
        }

        Assert.Empty(problems.Sentences);
        Assert.NotEqual(0, made);
    }

    [Fact]
    public void A_root_that_is_found_by_name_is_found_by_name()
    {
        using var fixture = new DeployFixture();
        var board = DeployFixture.SmallBoard();
        var host = Make(Build(fixture, board with { Boot = board.Boot with { RootBy = RootBy.PartLabel } }));
        Assert.Contains("options root=PARTLABEL=root-@SLOT@ ro ", host.Text("loader/entry.conf"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("host")]
    [InlineData("Host:12")]
    [InlineData("host:")]
    [InlineData(":12")]
    [InlineData("host:12:13")]
    [InlineData("host 2:12")]
    [InlineData("shop//host:1")]
    [InlineData("-host:1")]
    [InlineData("host:-1")]
    [InlineData("host@sha256:12")]
    [InlineData("registry.example.com:port/host:1")]
    public void A_word_that_is_no_name_with_a_tag_is_refused(string tag)
    {
        Assert.False(HostImageCommand.IsTag(tag));
        Assert.Equal((2, "", $"error: --tag {tag} is no name of a container image; give NAME:TAG, such as registry.example.com/host:12, the name in lower-case letters.\n"), Run("host-image", "none.img", "--tag", tag));
    }

    [Theory]
    [InlineData("host:12")]
    [InlineData("localhost:5000/shop/host:v1.2_3-rc.4")]
    [InlineData("Registry.Example.com/a/b-c__d.e:Latest")]
    public void A_name_with_a_tag_is_taken(string tag) => Assert.True(HostImageCommand.IsTag(tag));

    [Fact]
    public void A_name_and_a_tag_have_an_end()
    {
        Assert.True(HostImageCommand.IsTag($"{new string('n', 255)}:{new string('t', 128)}"));
        Assert.False(HostImageCommand.IsTag($"{new string('n', 256)}:1"));
        Assert.False(HostImageCommand.IsTag($"n:{new string('t', 129)}"));
    }

    [Fact]
    public void Images_without_a_slot_for_others_are_refused_in_one_sentence_each()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        string Refusal(params string[] more)
        {
            var before = Directory.EnumerateFileSystemEntries(fixture.Output).Order().ToList();
            var (code, output, errors) = Run(["host-image", image, "--tag", "host:12", .. more]);
            Assert.Equal((2, ""), (code, output));
            Assert.Equal(before, Directory.EnumerateFileSystemEntries(fixture.Output).Order());
            return errors.Replace(image, "IMAGE", StringComparison.Ordinal).Replace(fixture.Home, "HOME", StringComparison.Ordinal);
        }

        Assert.Equal("error: --output HOME is a folder; give the name of a file.\n", Refusal("--output", fixture.Home));
        Assert.Equal("error: --output IMAGE is the image itself; give the name of another file.\n", Refusal("--output", image));
        Assert.Equal("error: There is no image HOME/none.img.\n", Run("host-image", $"{fixture.Home}/none.img", "--tag", "host:12").Errors.Replace(fixture.Home, "HOME", StringComparison.Ordinal));

        var sound = File.ReadAllBytes(image);
        void Break(Action<FatEditor, OpenImage> change)
        {
            File.WriteAllBytes(image, sound);
            using var open = OpenImage.Open(image, write: true);
            change(new FatEditor(open.Partition("boot").Content), open);
        }

        void Edit(string file, string from, string to) => Break((boot, open) => boot.WriteFile(file, Encoding.UTF8.GetBytes(Paths.Text(open.FileSystem("boot"), file)!.Replace(from, to, StringComparison.Ordinal)), 0));

        Edit("image.json", "{", "[");
        Assert.Equal("error: IMAGE has no boot partition with an image.json; it is not an image of this builder.\n", Refusal());
        Edit("image.json", "\"boot\"", "\"boat\"");
        Assert.Equal("error: IMAGE was made by image-builder test, which did not tell the device how its loader chooses a slot; build it again.\n", Refusal());
        Edit("image.json", "systemd-boot-counter", "none");
        Assert.Equal("error: Board qemux86-64 has no way back from a bad update that a device can use (its slots are \"none\"), so its host is not updated in place; write the image onto its disk.\n", Refusal());
        // What U-Boot's extlinux would be: slots that count, and a loader that does not.
        Edit("image.json", "systemd-boot-counter", "u-boot-bootcount");
        Assert.Equal("error: IMAGE has no slot-a/boot.env, without which the loader of board qemux86-64 cannot choose this slot; build the image again.\n", Refusal());
        Edit("loader/entries/slot-a.conf", "root=", "toor=");
        Assert.StartsWith("error: loader/entry.conf of slot a has toor=PARTUUID=", Refusal(), StringComparison.Ordinal);
        Break((_, open) =>
        {
            open.Partition("root-a").Content.Position = 0;
            open.Partition("root-a").Content.Write(new byte[8 << 20]);
        });
        Assert.Equal("error: Partition root-a of IMAGE is empty; build the image again.\n", Refusal());
    }

    [Fact]
    public void A_table_that_lost_its_root_is_refused()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        using (var open = OpenImage.Open(image, write: true))
        {
            var boot = new FatEditor(open.Partition("boot").Content);
            var id = DeviceRecord.Find(open)!.Value.Record.RootA.PartUuid;
            boot.WriteFile("image.json", Encoding.UTF8.GetBytes(Paths.Text(open.FileSystem("boot"), "image.json")!.Replace(id, "11111111-2222-8333-8444-555555555555", StringComparison.Ordinal)), 0);
        }

        Assert.StartsWith($"error: {image} has no partition root-a with the id 11111111-2222-8333-8444-555555555555 that its image.json names; build it again.\n", Run("host-image", image, "--tag", "host:12").Errors, StringComparison.Ordinal);
    }

    [Fact]
    public void A_job_that_is_stopped_leaves_nothing()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture);
        var before = Directory.EnumerateFileSystemEntries(fixture.Output).Order().ToList();
        using var cancel = new CancellationTokenSource();
        cancel.Cancel();
        Assert.Equal((1, ""), Run(cancel.Token, "host-image", image, "--tag", "host:12") is var (code, output, errors) && errors.EndsWith("error: Stopped; nothing was left behind.\n", StringComparison.Ordinal) ? (code, output) : (-1, errors));
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(fixture.Output).Order());
    }

    /// <summary>A damaged image is refused, or fails in one sentence, or is read; nothing half is left.</summary>
    [Fact]
    public void Damaged_images_are_refused_or_read()
    {
        using var fixture = new DeployFixture();
        var image = Build(fixture, DeployFixture.SmallBoard().WithRoot(FileSystemKind.Squashfs));
        var sound = File.ReadAllBytes(image);
        using var file = new FileStream(image, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        var table = PartitionTable.Read(file)!;
        var random = new Random(11);
        var target = Path.ChangeExtension(image, ".host.tar");
        var codes = new List<int>();
        for (var turn = 0; turn < 60; turn++)
        {
            // Where tables, directories and superblocks are.
            var partition = table.Partitions[turn % 2];
            var at = partition.Offset + random.Next(turn % 3 == 0 ? 96 : 1 << 17);
            for (var i = 0; i < 1 + turn % 8; i++) RandomAccess.Write(file.SafeFileHandle, [(byte)random.Next(256)], at + i);
            var (code, _, errors) = Run("host-image", image, "--tag", "host:12");
            codes.Add(code);
            if (code != 0) Assert.Contains("error: ", errors, StringComparison.Ordinal);
            Assert.Equal(code == 0, File.Exists(target));
            File.Delete(target);
            RandomAccess.Write(file.SafeFileHandle, sound.AsSpan((int)at, 8), at);
        }

        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(fixture.Output), e => e.EndsWith(".tmp", StringComparison.Ordinal));
        Assert.Contains(0, codes);
        Assert.Contains(codes, c => c != 0);
    }
}
