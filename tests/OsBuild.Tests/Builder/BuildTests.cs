using System.Security.Cryptography;
using System.Text.Json;
using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Bmap;
using OsBuild.Images.Compression;
using OsBuild.Images.Ext4;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Builder;

/// <summary>Whole builds, read back through the library's own readers; the outside judges are in the oracle tests.</summary>
public sealed class BuildTests
{
    private const string Name = $"{DeployFixture.Image}-{DeployFixture.Machine}.img";

    private static string Build(DeployFixture fixture, BuildRequest? request = null, string output = "out")
    {
        var asked = (request ?? fixture.Request) with { Board = DeployFixture.SmallBoard(), Output = Path.Combine(fixture.Home, output) };
        return BuildJob.Run(asked, Progress.Silent, CancellationToken.None).Path;
    }

    private static BuildRequest Small(DeployFixture fixture) => fixture.Request with { Board = DeployFixture.SmallBoard() };

    private static SubStream Partition(Stream image, string name)
    {
        var entry = PartitionTable.Read(image)!.Partitions.Single(p => p.Name == name);
        return new SubStream(image, entry.Offset, entry.Size);
    }

    private static string Text(IFileSystem fileSystem, string path)
    {
        using var reader = new StreamReader(fileSystem.Open(path));
        return reader.ReadToEnd();
    }

    [Fact]
    public void The_five_partitions_hold_what_the_plan_says()
    {
        using var fixture = new DeployFixture();
        using var image = File.OpenRead(Build(fixture));
        Assert.Equal(["boot", "root-a", "root-b", "state", "data"], PartitionTable.Read(image)!.Partitions.Select(p => p.Name));

        var boot = new FatReader(Partition(image, "boot"));
        Assert.Empty(boot.Check());
        Assert.Equal("boot", boot.Label);
        Assert.Contains("initrd /slot-a/initramfs.cpio.zst\n", Text(boot, "loader/entries/slot-a.conf"), StringComparison.Ordinal);
        Assert.Equal(Binaries.BzImage(DeployFixture.Version), Bytes(boot, "slot-a/bzImage"));

        var root = new Ext4Reader(Partition(image, "root-a"));
        Assert.Empty(root.Check());
        Assert.Equal(File.ReadAllBytes(fixture.Supervisor), Bytes(root, "usr/lib/osbuild/supervisor"));
        Assert.Equal(0x1ED, root.Find("usr/lib/osbuild/supervisor")!.Mode);
        Assert.Equal(0x9ED, root.Find("bin/busybox")!.Mode);
        Assert.Equal("/usr/lib/osbuild/supervisor", root.Find("sbin/init")!.LinkTarget);
        Assert.Equal("virtio module", Text(root, $"lib/modules/{DeployFixture.Version}/kernel/drivers/virtio/virtio.ko"));
        Assert.Equal((NodeKind.CharDevice, 1u, 9u), (root.Find("dev/urandom")!.Kind, root.Find("dev/urandom")!.Major, root.Find("dev/urandom")!.Minor));
        foreach (var name in new[] { "state", "data" })
        {
            var empty = new Ext4Reader(Partition(image, name));
            Assert.Empty(empty.Check());
            Assert.Equal(name, empty.Label);
            Assert.Equal(["lost+found"], empty.List("").Select(n => n.Name));
        }
    }

    private static byte[] Bytes(IFileSystem fileSystem, string path)
    {
        using var content = fileSystem.Open(path);
        var bytes = new byte[content.Length];
        content.ReadExactly(bytes);
        return bytes;
    }

    [Fact]
    public void The_device_and_the_user_are_told_the_same_ids()
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture);
        using var image = File.OpenRead(path);
        var table = PartitionTable.Read(image)!;
        using var device = JsonDocument.Parse(Text(new FatReader(Partition(image, "boot")), "image.json"));
        var rootA = device.RootElement.GetProperty("slots").GetProperty("a").GetProperty("partuuid").GetString();
        Assert.Equal(table.Partitions.Single(p => p.Name == "root-a").Id, rootA, ignoreCase: true);
        Assert.Contains($"root=PARTUUID={rootA}", Text(new FatReader(Partition(image, "boot")), "loader/entries/slot-a.conf"), StringComparison.Ordinal);

        using var described = JsonDocument.Parse(File.ReadAllText(path + ".json"));
        Assert.Equal(rootA, described.RootElement.GetProperty("partitions")[1].GetProperty("partuuid").GetString());
        Assert.Equal(device.RootElement.GetProperty("build").GetString(), described.RootElement.GetProperty("build").GetString());
    }

    [Fact]
    public void The_description_vouches_for_the_block_map()
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture);
        using var described = JsonDocument.Parse(File.ReadAllText(path + ".json"));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path + ".bmap"))), described.RootElement.GetProperty("bmapSha256").GetString());
        using var xml = File.OpenRead(path + ".bmap");
        Assert.Equal(BlockMap.ReadXml(xml).MappedBytes, described.RootElement.GetProperty("mapped").GetInt64());
    }

    [Fact]
    public void The_description_has_a_digest_of_every_partition_that_holds_something()
    {
        using var fixture = new DeployFixture();
        var first = Digests(Build(fixture));
        Assert.Equal(["boot", "root-a", "state", "data"], first.Keys);
        fixture.WriteText("config.yaml", "hostname: other\n");
        var second = Digests(Build(fixture, fixture.Request with { Config = fixture.At("config.yaml") }));
        Assert.Equal(["boot"], first.Keys.Where(name => first[name] != second[name]));
    }

    private static Dictionary<string, string> Digests(string path)
    {
        using var described = JsonDocument.Parse(File.ReadAllText(path + ".json"));
        return described.RootElement.GetProperty("partitions").EnumerateArray().Where(p => p.TryGetProperty("contentSha256", out _))
            .ToDictionary(p => p.GetProperty("name").GetString()!, p => p.GetProperty("contentSha256").GetString()!);
    }

    [Fact]
    public void What_the_block_map_leaves_out_does_not_matter()
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture);
        using var image = File.OpenRead(path);
        using var xml = File.OpenRead(path + ".bmap");
        var map = BlockMap.ReadXml(xml);
        Assert.True(map.MappedBytes < 48 << 20, $"{map.MappedBytes} bytes are mapped");

        // A card that held something else before: 0xD1 wherever the map says nothing.
        var card = Path.Combine(fixture.Home, "card");
        using (var target = new FileStream(card, FileMode.Create, FileAccess.ReadWrite))
        {
            var dirty = Enumerable.Repeat((byte)0xD1, 1 << 20).ToArray();
            foreach (var (name, _) in new[] { ("boot", 0), ("root-a", 0), ("state", 0), ("data", 0) })
            {
                using var partition = Partition(image, name);
                var entry = PartitionTable.Read(image)!.Partitions.Single(p => p.Name == name);
                for (var at = entry.Offset; at < entry.Offset + Math.Min(entry.Size, 64 << 20); at += dirty.Length)
                {
                    target.Position = at;
                    target.Write(dirty);
                }
            }

            foreach (var range in map.Ranges)
            {
                var bytes = new byte[(int)Math.Min(range.Count * map.BlockSize, image.Length - (range.First * map.BlockSize))];
                image.Position = target.Position = range.First * map.BlockSize;
                image.ReadExactly(bytes);
                Assert.Equal(range.Sha256, Convert.ToHexStringLower(SHA256.HashData(bytes)));
                target.Write(bytes);
            }
        }

        using var written = File.OpenRead(card);
        Assert.Empty(new FatReader(Partition(written, "boot")).Check());
        foreach (var name in new[] { "root-a", "state", "data" }) Assert.Empty(new Ext4Reader(Partition(written, name)).Check());
        var root = new Ext4Reader(Partition(written, "root-a"));
        Assert.Equal(File.ReadAllBytes(fixture.Supervisor), Bytes(root, "usr/lib/osbuild/supervisor"));
    }

    [Fact]
    public void Same_inputs_give_the_same_bytes_wherever_they_lie()
    {
        using var fixture = new DeployFixture();
        var first = Digest(Build(fixture));
        var moved = Path.Combine(fixture.Home, "moved");
        Directory.Move(fixture.Directory, moved);
        foreach (var file in Directory.EnumerateFiles(moved)) File.SetLastWriteTimeUtc(file, new DateTime(2031, 5, 6, 0, 0, 0, DateTimeKind.Utc));
        var supervisor = Path.Combine(fixture.Home, "another-name");
        File.Move(fixture.Supervisor, supervisor);
        Assert.Equal(first, Digest(Build(fixture, fixture.Request with { Deploy = moved, Supervisor = supervisor }, "elsewhere")));
    }

    private static string Digest(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file)) + File.ReadAllText(path + ".bmap") + File.ReadAllText(path + ".json");
    }

    [Theory]
    [InlineData(Codec.Zstd, ".zst")]
    [InlineData(Codec.Gzip, ".gz")]
    [InlineData(Codec.Xz, ".xz")]
    public void A_compressed_image_is_the_same_image(Codec codec, string ending)
    {
        using var fixture = new DeployFixture();
        var plain = Build(fixture);
        var compressed = Build(fixture, fixture.Request with { Compress = codec }, "compressed");
        Assert.Equal(Name + ending, Path.GetFileName(compressed));
        Assert.Equal(
            new[] { $".{Name}.job", Name + ".bmap", Name + ".cdx.json", Name + ".json", Name + ending }.Order(StringComparer.Ordinal),
            Directory.EnumerateFiles(Path.GetDirectoryName(compressed)!).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
        using var file = File.OpenRead(compressed);
        using var decoded = Codecs.OpenRead(file, codec);
        using var original = File.OpenRead(plain);
        Assert.Equal(SHA256.HashData(original), SHA256.HashData(decoded));
        Assert.Equal(File.ReadAllText(plain + ".bmap"), File.ReadAllText(Path.Combine(Path.GetDirectoryName(compressed)!, Name + ".bmap")));
    }

    [Fact]
    public void A_build_that_is_stopped_leaves_nothing_and_spoils_nothing()
    {
        using var fixture = new DeployFixture();
        var path = Build(fixture);
        var before = Digest(path);
        fixture.Write(DeployFixture.Rootfs, DeployFixture.SmallRoot().File("etc/motd", "new").Zstd());
        foreach (var phase in new[] { "root", "boot", "compress" })
        {
            using var stop = new CancellationTokenSource();
            var progress = new Progress(TimeProvider.System, (now, _, _, _) =>
            {
                if (now == phase) stop.Cancel();
            });
            Assert.ThrowsAny<OperationCanceledException>(() => BuildJob.Run(Small(fixture) with { Compress = Codec.Gzip }, progress, stop.Token));
            Assert.Equal([$".{Name}.job", Name, Name + ".bmap", Name + ".cdx.json", Name + ".json"], Directory.EnumerateFiles(fixture.Output).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.Equal(before, Digest(path));
        }
    }

    [Fact]
    public void A_root_file_system_given_as_ext4_makes_the_same_root()
    {
        using var fixture = new DeployFixture();
        var tar = Build(fixture);
        var ext4 = fixture.At($"{DeployFixture.Image}-{DeployFixture.Machine}.rootfs.ext4");
        using (var image = File.OpenRead(tar))
        using (var root = Partition(image, "root-a"))
        using (var file = File.Create(ext4))
            root.CopyTo(file);
        fixture.Delete(DeployFixture.Rootfs, DeployFixture.RootfsLink);
        using var again = File.OpenRead(Build(fixture, output: "again"));
        using var first = File.OpenRead(tar);
        var (a, b) = (new Ext4Reader(Partition(first, "root-a")), new Ext4Reader(Partition(again, "root-a")));
        Assert.Empty(b.Check());
        Assert.Equal(FileSystemTree.Read(a).Select(e => (e.Node.Path, e.Node.Kind, e.Node.Mode, e.Node.Size)).Order(), FileSystemTree.Read(b).Select(e => (e.Node.Path, e.Node.Kind, e.Node.Mode, e.Node.Size)).Order());
    }

    [Fact]
    public void The_bill_of_materials_names_every_package()
    {
        using var fixture = new DeployFixture();
        using var json = JsonDocument.Parse(File.ReadAllText(Build(fixture) + ".cdx.json"));
        Assert.Equal("CycloneDX", json.RootElement.GetProperty("bomFormat").GetString());
        Assert.Equal(
            ["base-files 3.0.14", "busybox 1.36.1", "osbuild-supervisor test", "linux 6.6.23-yocto-standard", "systemd-bootx64.efi "],
            json.RootElement.GetProperty("components").EnumerateArray().Select(c => $"{c.GetProperty("name").GetString()} {(c.TryGetProperty("version", out var v) ? v.GetString() : "")}"));
    }

    [Fact]
    public void The_image_is_sparse()
    {
        using var fixture = new DeployFixture();
        var plan = Preparation.Plan(Small(fixture), Progress.Silent, CancellationToken.None);
        using var outputs = new Outputs(fixture.Output);
        using var file = outputs.Create("sparse.img");
        using var store = new FileStore(file.SafeFileHandle, plan.Disk.Size);
        using var image = new ImageFile(store, plan.Disk.Size);
        new ImageAssembler(plan, image, Progress.Silent, CancellationToken.None).Run();
        Assert.True(image.BytesWritten < 4 << 20, $"{image.BytesWritten} bytes were written");
    }
}
