using System.Text;
using OsBuild.Images;
using OsBuild.Images.Bmap;
using OsBuild.Images.Configuration;
using OsBuild.Images.Copying;
using OsBuild.Images.Fat;
using OsBuild.Images.Partitions;
using OsBuild.Images.Streams;
using OsBuild.Tests.Images.Copying;
using OsBuild.Tests.Images.Fat;
using OsBuild.Tests.Images.Partitions;

namespace OsBuild.Tests.Images.Configuration;

/// <summary>Settings written into the boot partition while the image passes by.</summary>
public sealed class BootConfigurationTests
{
    private const int MiB = 1 << 20;
    private const string Compose = "services:\n  web:\n    image: nginx\n";

    /// <summary>An image with a boot partition of FAT and one of something else.</summary>
    private static SparseStream Image(TableKind table, FatKind fat = FatKind.Fat16, string name = "boot")
    {
        var plan = DiskPlan.For(new DiskSpec { Table = table, DiskId = Disks.DiskId, SectorSize = 512, Partitions = [Disks.Part(name, fat == FatKind.Fat32 ? 40 * MiB : 8 * MiB, 0x0c), Disks.Part("data", 4 * MiB)] });
        var disk = Disks.Written(plan);
        var volume = Volumes.Written(Volumes.Options(fat, plan.Partitions[0].Size, label: name), Volumes.Tree());
        var bytes = volume.ReadAt(0, (int)plan.Partitions[0].Size);
        disk.Apply(plan.Partitions[0].Offset, bytes);
        return disk;
    }

    private static byte[] All(SparseStream disk) => disk.ReadAt(0, (int)disk.Length);

    private static Dictionary<string, byte[]> BootFiles(Stream disk)
    {
        var boot = PartitionTable.Read(disk)!.Partitions[0];
        return Volumes.ReadAll(new SubStream(disk, boot.Offset, boot.Size));
    }

    private static SparseStream Edited(byte[] image, IReadOnlyList<ImageEdit> edits)
    {
        var edited = new SparseStream(image.Length);
        edited.Apply(0, image);
        foreach (var edit in edits) edited.Apply(edit.Offset, edit.Bytes.Span);
        return edited;
    }

    private static readonly BootConfiguration Kitchen = new()
    {
        Settings = [new("hostname", "kitchen"), new("network.eth0.address", "10.0.0.2/24"), new("wifi.ssid", "home"), new("wifi.psk", "12345678"), new("fleet", "{\"uuid\":\"1\"}")],
        Compose = Compose,
    };

    /// <summary>A stream that only goes forward and counts how much was read.</summary>
    private sealed class Forward(byte[] bytes, Action<int> read) : MemoryStream(bytes, writable: false)
    {
        public override bool CanSeek => false;

        public override long Position
        {
            get => base.Position;
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            var got = base.Read(buffer);
            read(got);
            return got;
        }
    }

    [Theory]
    [InlineData(TableKind.Gpt, FatKind.Fat16)]
    [InlineData(TableKind.Mbr, FatKind.Fat16)]
    [InlineData(TableKind.Gpt, FatKind.Fat32)]
    public void Everything_is_in_the_boot_partition_and_nothing_else_changed(TableKind table, FatKind fat)
    {
        var image = All(Image(table, fat));
        var edits = Kitchen.EditsFor(() => new MemoryStream(image, writable: false), image.Length, Volumes.Time);
        using var disk = Edited(image, edits);
        var files = BootFiles(disk);
        Assert.Equal("hostname: kitchen\nnetwork:\n  eth0:\n    address: 10.0.0.2/24\nwifi:\n  ssid: \"home\"\n  psk: \"12345678\"\n", Encoding.UTF8.GetString(files["config.yaml"]));
        Assert.Equal("{\"uuid\":\"1\"}\n", Encoding.UTF8.GetString(files["config.json"]));
        Assert.Equal(Compose, Encoding.UTF8.GetString(files["compose.yaml"]));
        foreach (var (path, content) in Volumes.Tree().Where(f => f.Key != "config.yaml")) Assert.Equal(content, files[path]);
        var boot = PartitionTable.Read(disk)!.Partitions[0];
        Assert.Empty(new FatReader(new SubStream(disk, boot.Offset, boot.Size)).Check());
        Assert.All(edits, e => Assert.InRange(e.Offset, boot.Offset, boot.Offset + boot.Size - e.Bytes.Length));
        Assert.True(edits.Sum(e => e.Bytes.Length) < 100_000, "only what changed is an edit");
    }

    [Fact]
    public void A_packed_image_is_read_forward_and_not_to_its_end()
    {
        var image = All(Image(TableKind.Gpt));
        long read = 0;
        var opened = 0;
        var forward = Kitchen.EditsFor(() => { opened++; return new Forward(image, got => read += got); }, null, Volumes.Time);
        var direct = Kitchen.EditsFor(() => new MemoryStream(image, writable: false), image.Length, Volumes.Time);
        Assert.Equal(direct.Select(e => (e.Offset, Convert.ToHexString(e.Bytes.Span))), forward.Select(e => (e.Offset, Convert.ToHexString(e.Bytes.Span))));
        Assert.True(opened <= 3 && read < image.Length, $"opened {opened} times, {read} of {image.Length} bytes read");
    }

    [Fact]
    public void The_card_is_held_to_the_edited_image_and_the_digest_to_the_original()
    {
        var image = All(Image(TableKind.Gpt));
        var map = BlockMapScan.Scan(new MemoryStream(image), Used(image));
        var edits = Kitchen.EditsFor(() => new MemoryStream(image, writable: false), image.Length, Volumes.Time);
        var source = new CopySource
        {
            Name = "image", Open = () => new MemoryStream(image, writable: false), Length = image.Length, Edits = edits, Map = map,
            Sha256 = System.Security.Cryptography.SHA256.HashData(image),
        };
        var flipped = 0;
        var medium = new MemoryMedium((int)image.Length)
        {
            // The first time the edited directory comes by, one of its bits goes wrong: verification must find it and repair from the edited image.
            Keep = (offset, bytes) =>
            {
                var at = edits[^1].Offset;
                if (offset <= at && at < offset + bytes.Length && Interlocked.Increment(ref flipped) == 1) bytes[at - offset] ^= 1;
                return bytes;
            },
        };
        var outcome = Assert.Single(ImageCopier.Copy(source, [medium], new CopyOptions { ChunkSize = 64 << 10, Chunks = 4 }, TimeProvider.System, _ => { }, default));
        Assert.True(outcome.Result == CopyResult.Done, outcome.Message);
        Assert.Equal(edits[^1].Offset, outcome.FirstBadOffset);
        using var card = new SparseStream(image.Length);
        card.Apply(0, medium.Bytes);
        Assert.Equal("{\"uuid\":\"1\"}\n", Encoding.UTF8.GetString(BootFiles(card)["config.json"]));
        using var expected = Edited(image, edits);
        Assert.True(All(expected).AsSpan().SequenceEqual(medium.Bytes));
        Assert.Equal(CopyResult.Done, ImageComparer.Compare(source, medium, 0, TimeProvider.System, _ => { }, default).Result);
        Assert.Equal(CopyResult.VerifyFailed, ImageComparer.Compare(source with { Edits = [] }, medium, 0, TimeProvider.System, _ => { }, default).Result);
    }

    private static IEnumerable<(long Offset, long Length)> Used(byte[] image) =>
        from at in Enumerable.Range(0, image.Length / 4096) where image.AsSpan(at * 4096, 4096).ContainsAnyExcept((byte)0) select (at * 4096L, 4096L);

    [Theory]
    [InlineData("firmware", "no FAT partition called boot")]
    [InlineData("", "no partition table")]
    public void An_image_without_a_boot_partition_cannot_be_configured(string name, string says)
    {
        var image = name.Length > 0 ? All(Image(TableKind.Gpt, name: name)) : new byte[2 * MiB];
        var e = Assert.Throws<ImageException>(() => Kitchen.EditsFor(() => new MemoryStream(image), image.Length, 0));
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        var image = All(Image(TableKind.Gpt));
        var huge = new BootConfiguration { Compose = Compose + "#" + new string('x', 9 * MiB) };
        Assert.Contains("does not fit", Assert.Throws<ImageException>(() => huge.EditsFor(() => new MemoryStream(image), image.Length, 0)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("services:\n  a:\n    image: b\n", null)]
    [InlineData("services: [", "not YAML (line")]
    [InlineData("version: 3\n", "no services")]
    [InlineData("services: {}\n", "no services")]
    [InlineData("", "no services")]
    public void A_compose_file_is_looked_at_before_anything_is_written(string text, string? says)
    {
        var wrong = BootConfiguration.WrongCompose(text);
        if (says is null) Assert.Null(wrong);
        else Assert.Contains(says, wrong, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hostname=kitchen-2", null)]
    [InlineData("hostname=@name", null)]
    [InlineData("hostname=", null)]
    [InlineData("env.A_1=x=y", null)]
    [InlineData("hostname", "is not KEY=VALUE")]
    [InlineData("=x", "is not KEY=VALUE")]
    [InlineData("hostnam=x", "there is no such key; the keys are hostname, ntp")]
    [InlineData("nothing=", "there is no such key")]
    [InlineData("hostname=a b", "letters, digits and hyphens")]
    [InlineData("hostname=@nowhere", "there is no file nowhere")]
    [InlineData("network.eth0.address=10.0.0.300/24", "IPv4 address with its prefix")]
    [InlineData("wifi.psk=short", "8 to 63")]
    [InlineData("proxy=http://me:secret@10.0.0.1:3128", null)]
    [InlineData("no-proxy=10.0.0.0/8,.example.com", null)]
    [InlineData("proxy=10.0.0.1:3128", "such as http://10.0.0.1:3128")]
    [InlineData("proxy=http://10.0.0.1/path", "such as http://10.0.0.1:3128")]
    [InlineData("host=registry.example.com:5000/kitchen-host:7", null)]
    [InlineData("supervisor=supervisor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", null)]
    [InlineData("host=my host", "the name of a container image")]
    [InlineData("supervisor=https://x y", "the name of a container image")]
    [InlineData("host=x:", "the name of a container image")]
    [InlineData("host-not-before=2026-11-01", null)]
    [InlineData("host-not-before=yesterday", "it is a day, such as 2026-11-01")]
    [InlineData("ssh.authorized_keys=hello", "a public key")]
    [InlineData("fleet=[]", "config.json of a fleet")]
    public void Settings_are_read_and_checked(string text, string? says)
    {
        var setting = ConfigKeys.Parse(text, f => f == "name" ? "pantry\n" : null, out var problem);
        if (says is null) Assert.True(setting is not null && problem is null, problem);
        else Assert.Contains(says, problem, StringComparison.Ordinal);
        if (text.EndsWith("@name", StringComparison.Ordinal)) Assert.Equal("pantry", setting!.Value.Value);
    }
}
