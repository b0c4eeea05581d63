using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>The description in a host image comes from somewhere: it is believed only as far as it makes sense.</summary>
public sealed class HostReleaseTests
{
    private const string Digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private static readonly string Good = $$"""
        { "board": "qemux86-64", "machine": "m", "image": "i", "version": "2.1", "build": "b", "time": 1700000000, "builder": "x", "kernel": "6.1", "scheme": "grub-grubenv",
          "root": { "fileSystem": "squashfs", "size": 8192, "sha256": "{{Digest}}" },
          "files": [ { "path": "slot/bzImage", "size": 100, "sha256": "{{Digest}}", "text": false }, { "path": "slot/dtbs/a_b,c.dtb", "size": 0, "sha256": "{{Digest}}" },
                     { "path": "slot/grub.cfg", "size": 10, "sha256": "{{Digest}}", "text": true } ] }
        """;

    private static readonly DeviceBoot Device = new("qemux86-64", DeviceBoot.Grub, "grub/grubenv", 3, new Dictionary<string, SlotPlace>());

    private static HostRelease Parse(string json) => HostRelease.Parse(Encoding.UTF8.GetBytes(json));

    [Fact]
    public void Reads_what_the_builder_writes()
    {
        var release = Parse(Good);
        Assert.Equal(("qemux86-64", "2.1", 1700000000, DeviceBoot.Grub), (release.Board, release.Version, release.Time, release.Scheme));
        Assert.Equal(new SlotRoot("squashfs", 8192, Digest), release.Root);
        Assert.Equal([false, false, true], release.Files.Select(f => f.Text));
        Assert.Null(release.Fault(Device, 8192, 110, 0));
    }

    [Theory]
    [InlineData("nonsense", "cannot be read")]
    [InlineData("null", "is empty")]
    [InlineData("[]", "cannot be read")]
    [InlineData("{}", "no board")]
    public void What_is_none_is_refused(string json, string why) => Assert.Contains(why, Assert.Throws<NoHostException>(() => Parse(json)).Message);

    [Theory]
    [InlineData("board", "\"\"", "no board")]
    [InlineData("scheme", "null", "no scheme")]
    [InlineData("root", "null", "no root")]
    [InlineData("root", "{ \"fileSystem\": \"squashfs\", \"size\": 8192, \"sha256\": \"xyz\" }", "no root with a digest")]
    [InlineData("root", "{ \"fileSystem\": \"squashfs\", \"size\": 8191, \"sha256\": \"" + Digest + "\" }", "a root of 8191 bytes")]
    [InlineData("root", "{ \"fileSystem\": \"squashfs\", \"size\": -4096, \"sha256\": \"" + Digest + "\" }", "a root of -4096 bytes")]
    [InlineData("files", "[]", "no list of files")]
    [InlineData("files", "null", "no list of files")]
    [InlineData("files", "[null]", "cannot be taken")]
    public void What_makes_no_sense_is_refused_by_name(string key, string value, string why)
    {
        var json = JsonNode.Parse(Good)!.AsObject();
        json[key] = JsonNode.Parse(value);
        Assert.Contains(why, Assert.Throws<NoHostException>(() => Parse(json.ToJsonString())).Message);
    }

    [Theory]
    [InlineData("../config.yaml")]
    [InlineData("slot/../../config.txt")]
    [InlineData("slot/./x")]
    [InlineData("/slot/x")]
    [InlineData("slot")]
    [InlineData("slot/")]
    [InlineData("slot//x")]
    [InlineData("slot/.hidden")]
    [InlineData("other/x")]
    [InlineData("slot/a\\b")]
    [InlineData("slot/a\nb")]
    [InlineData("SLOT/BZIMAGE")]
    public void A_path_leads_nowhere_else(string path)
    {
        var json = JsonNode.Parse(Good)!.AsObject();
        json["files"]![0]!["path"] = path;
        Assert.Contains("cannot be taken", Assert.Throws<NoHostException>(() => Parse(json.ToJsonString())).Message);
    }

    [Fact]
    public void Two_files_that_FAT_cannot_tell_apart_are_refused()
    {
        var json = JsonNode.Parse(Good)!.AsObject();
        json["files"]![1]!["path"] = "slot/BZIMAGE";
        Assert.Contains("twice", Assert.Throws<NoHostException>(() => Parse(json.ToJsonString())).Message);
    }

    [Fact]
    public void S86_One_for_another_board_or_loader_one_that_does_not_fit_or_is_too_old_is_refused_by_name()
    {
        var release = Parse(Good);
        Assert.Equal("it was built for board qemux86-64, and this is raspberrypi4", release.Fault(Device with { Board = "raspberrypi4" }, 8192, 110, 0));
        Assert.Contains("such a change needs a new image", release.Fault(Device with { Scheme = DeviceBoot.UBoot }, 8192, 110, 0));
        Assert.Contains("and the slot", release.Fault(Device, 4096, 110, 0));
        Assert.Contains("free there", release.Fault(Device, 8192, 109, 0));
        Assert.Equal("it was built on 2023-11-14, and this device takes nothing from before 2026-11-01 (host-not-before in config.yaml)", release.Fault(Device, 8192, 110, new DateTimeOffset(2026, 11, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds()));
        Assert.Contains("it has no slot/grub.cfg", (release with { Files = release.Files[..1] }).Fault(Device, 8192, 110, 0));
        Assert.NotNull((release with { Time = long.MinValue }).Fault(Device, 8192, 110, 1));
    }

    [Fact]
    public void Any_damage_is_refused_or_makes_sense()
    {
        var random = new Random(86);
        var whole = Encoding.UTF8.GetBytes(Good);
        for (var run = 0; run < 5000; run++)
        {
            var bytes = whole.ToArray();
            for (var i = random.Next(1, 4); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                var release = HostRelease.Parse(bytes);
                Assert.All(release.Files, f => Assert.DoesNotContain("..", f.Path));
                release.Fault(Device, 8192, 110, 0);
            }
            catch (NoHostException)
            {
            }
        }
    }

    [Fact]
    public void What_only_the_device_knows_is_filled_in()
    {
        Assert.Equal("sort-key osbuild-0042\noptions root=PARTUUID=1234-03 osbuild.slot=b init=/slot-b/x\n",
            SlotText.Fill("sort-key osbuild-@SORT@\noptions root=PARTUUID=@ROOT@ osbuild.slot=@SLOT@ init=/slot-@SLOT@/x\n", "b", "1234-03", 42));
        Assert.Equal("nothing", SlotText.Fill("nothing", "b", "x", 1));
    }
}
