using System.Diagnostics;
using System.Text.Json;

namespace OsBuild.OracleTests.Flasher;

public sealed class WritingTests
{
    private const int MiB = 1 << 20;

    private static void Holds(LoopDevice device, byte[] image) => Assert.True(image.AsSpan().SequenceEqual(device.Read(image.Length)), "the device does not hold the image");

    [Theory]
    [InlineData(12 * MiB, "512")]
    [InlineData((12 * MiB) + 1, "512")]
    [InlineData((12 * MiB) - 513, "4096")]
    [InlineData(777, "512")]
    [InlineData(777, "4096")]
    public void A_raw_image_of_any_length(int length, string sector)
    {
        var image = Folder.Image(length);
        using var device = new LoopDevice(16 * MiB, "--sector-size", sector);
        Cli.Ends(0, "written and read back", "write", Folder.File("a.img", image), "--to", device.Path, "--yes");
        Holds(device, image);
    }

    [Theory]
    [InlineData("gz", "gzip", "-c")]
    [InlineData("xz", "xz", "-c")]
    [InlineData("xz", "xz", "-c --block-size=1MiB -T2")]
    [InlineData("bz2", "bzip2", "-c")]
    [InlineData("zst", "zstd", "-c -q")]
    [InlineData("zip", "zip", "-q -j -")]
    public void A_packed_image(string extension, string tool, string options)
    {
        var image = Folder.Image(9 * MiB + 5);
        var raw = Folder.File("a.img", image);
        Judge.Run("sh", "-c", $"{tool} {options} {raw} > {raw}.{extension} && rm {raw}").MustPass(tool);
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(0, "written and read back", "write", raw + "." + extension, "--to", device.Path, "--yes");
        Holds(device, image);
        Cli.Ends(0, "every byte", "verify", raw + "." + extension, "--to", device.Path);
    }

    [Fact]
    public void Several_devices_at_once()
    {
        var image = Folder.Image(10 * MiB + 100);
        using var a = new LoopDevice(16 * MiB);
        using var b = new LoopDevice(12 * MiB, "--sector-size", "4096");
        using var c = new LoopDevice(11 * MiB);
        Cli.Ends(0, "read back", "write", Folder.File("a.img", image), "--to", a.Path, b.Path, "--to", c.Path, "--yes");
        Holds(a, image);
        Holds(b, image);
        Holds(c, image);
    }

    [Fact]
    public void With_the_map_of_bmaptool_only_mapped_blocks_are_written_and_stale_bytes_become_zero()
    {
        var image = new byte[16 * MiB];
        new Random(4).NextBytes(image.AsSpan(0, 2 * MiB));
        new Random(5).NextBytes(image.AsSpan(9 * MiB, 3 * MiB));
        var file = Folder.File("a.img", image);
        Judge.Run("fallocate", "-d", file).MustPass("fallocate");
        Judge.Run("bmaptool", "create", "-o", file + ".bmap", file).MustPass("bmaptool");
        using var device = new LoopDevice(16 * MiB);
        File.WriteAllBytes(device.File, Enumerable.Repeat((byte)0xd1, 16 * MiB).ToArray());
        var said = Cli.Ends(0, "\"ok\"", "write", file, "--to", device.Path, "--yes", "--json");
        Holds(device, image);
        var target = JsonDocument.Parse(said.Split('\n').Single(l => l.Contains("\"skipped\""))).RootElement;
        Assert.True(target.GetProperty("skipped").GetInt64() >= 10 * MiB, said);
    }

    [Fact]
    public void Json_lines_have_the_promised_shape()
    {
        using var device = new LoopDevice(16 * MiB);
        var said = Cli.Ends(0, "", "write", Folder.File("a.img", Folder.Image(8 * MiB)), "--to", device.Path, "--yes", "--json");
        var lines = said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Contains(lines, l => l.TryGetProperty("phase", out var phase) && phase.GetString() == "write" && l.TryGetProperty("done", out _) && l.TryGetProperty("total", out _) && l.TryGetProperty("bytesPerSecond", out _));
        Assert.Contains(lines, l => l.TryGetProperty("phase", out var phase) && phase.GetString() == "verify");
        Assert.Equal("ok", lines[^1].GetProperty("result").GetString());
        Assert.NotEmpty(lines[^1].GetProperty("message").GetString()!);
    }

    [Fact]
    public void The_list_shows_a_free_loop_device_as_ok_with_all_fields()
    {
        using var device = new LoopDevice(16 * MiB);
        var line = JsonDocument.Parse(Cli.Ends(0, device.Path, "list", "--json").Split('\n').Single(l => l.Contains($"\"{device.Path}\""))).RootElement;
        Assert.Equal("ok", line.GetProperty("verdict").GetString());
        Assert.Equal(16 * MiB, line.GetProperty("size").GetInt64());
        Assert.Equal(0, line.GetProperty("reasons").GetArrayLength());
        Assert.True(line.TryGetProperty("model", out _) && line.TryGetProperty("serial", out _));
    }

    [Fact]
    public void A_drive_that_other_programs_only_look_at_is_not_refused()
    {
        using var device = new LoopDevice(16 * MiB);
        // Opens and closes all the time, so that a descriptor is often gone between two looks at it.
        using var looker = Process.Start("sh", ["-c", $"while :; do : < {device.Path}; done"]);
        try
        {
            for (var i = 0; i < 40; i++)
            {
                var line = Cli.Ends(0, device.Path, "list", "--json").Split('\n').Single(l => l.Contains($"\"{device.Path}\""));
                Assert.True(line.Contains("\"verdict\":\"ok\"", StringComparison.Ordinal), line);
            }
        }
        finally
        {
            looker.Kill();
            looker.WaitForExit();
        }
    }

    [Fact]
    public async Task Flashers_that_look_at_the_same_time_do_not_take_each_other_for_owners()
    {
        using var device = new LoopDevice(16 * MiB);
        var lists = Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, 15).Select(_ => Cli.Run("list", "--json").Output).ToList()));
        foreach (var said in (await Task.WhenAll(lists)).SelectMany(l => l))
        {
            var line = said.Split('\n').Single(l => l.Contains($"\"{device.Path}\""));
            Assert.True(line.Contains("\"verdict\":\"ok\"", StringComparison.Ordinal), line);
        }
    }

    [Fact]
    public void The_disk_of_this_machines_root_is_refused()
    {
        var root = File.ReadAllLines("/proc/self/mountinfo").First(l => l.Split(' ')[4] == "/").Split(' ')[2];
        var block = Path.GetFileName(File.ResolveLinkTarget($"/sys/dev/block/{root}", true)?.FullName);
        Assert.SkipWhen(block is null, "the root is on no block device");
        var lines = Cli.Run("list", "--json").Output.Split('\n').Where(l => l.Contains("mounted at /\""));
        Assert.Contains(lines, l => JsonDocument.Parse(l).RootElement.GetProperty("verdict").GetString() == "refused");
    }

    [Fact]
    public void A_right_digest_beside_the_image_or_typed_is_accepted()
    {
        var image = Folder.Image(3 * MiB);
        var digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(image));
        var file = Folder.File("a.img", image);
        File.WriteAllText(file + ".sha256", $"{digest}  a.img\n");
        Judge.Run("gzip", "-k", file).MustPass("gzip");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(0, "", "write", file, "--to", device.Path, "--yes");
        Cli.Ends(0, "", "write", file, "--to", device.Path, "--yes", "--sha256", digest);
        Cli.Ends(0, "", "write", file + ".gz", "--to", device.Path, "--yes", "--sha256", digest.ToUpperInvariant());
        Holds(device, image);
    }

    [Fact]
    public void A_file_is_a_target_too()
    {
        var image = Folder.Image(3 * MiB + 7);
        var target = LoopDevice.NewFile(8 * MiB);
        Cli.Ends(0, "read back", "write", Folder.File("a.img", image), "--to", target, "--yes");
        Assert.True(File.ReadAllBytes(target).AsSpan(0, image.Length).SequenceEqual(image));
        var empty = LoopDevice.NewFile(0);
        Cli.Ends(0, "read back", "write", Folder.File("a.img", image), "--to", empty, "--yes");
        Assert.True(File.ReadAllBytes(empty).AsSpan(0, image.Length).SequenceEqual(image));
    }

    [Fact]
    public void A_link_to_a_device_names_it()
    {
        var image = Folder.Image(3 * MiB);
        using var device = new LoopDevice(8 * MiB);
        var link = Path.Combine(Folder.Path, Guid.NewGuid().ToString("N"));
        File.CreateSymbolicLink(link, device.Path);
        Cli.Ends(0, device.Path, "write", Folder.File("a.img", image), "--to", link, "--yes");
        Holds(device, image);
    }

    [Fact]
    public void Without_verification_it_says_so()
    {
        using var device = new LoopDevice(8 * MiB);
        Cli.Ends(0, "not read back", "write", Folder.File("a.img", Folder.Image(3 * MiB)), "--to", device.Path, "--yes", "--no-verify");
    }
}
