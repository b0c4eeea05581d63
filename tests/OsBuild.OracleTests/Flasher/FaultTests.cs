using System.Diagnostics;
using System.IO.Compression;

namespace OsBuild.OracleTests.Flasher;

/// <summary>What goes wrong while writing: each ends in one sentence, the right exit code, and a card that never looks bootable.</summary>
public sealed class FaultTests
{
    private const int MiB = 1 << 20;

    private static void HeadIsBlank(LoopDevice device) => Assert.True(device.Read(MiB).AsSpan().IndexOfAnyExcept((byte)0) < 0, "the first MiB must be blank");

    private static byte[] Packed(byte[] image)
    {
        using var to = new MemoryStream();
        using (var gzip = new GZipStream(to, CompressionLevel.Fastest)) gzip.Write(image);
        return to.ToArray();
    }

    [Theory]
    [InlineData("gzip", "-c")]
    [InlineData("xz", "-c")]
    [InlineData("zstd", "-c -q")]
    [InlineData("bzip2", "-c")]
    public void A_truncated_packed_image(string tool, string options)
    {
        var raw = Folder.File("a.img", Folder.Image(6 * MiB));
        Judge.Run("sh", "-c", $"{tool} {options} {raw} | head -c 3000000 > {raw}.packed").MustPass(tool);
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(1, "does not hold the image", "write", raw + ".packed", "--to", device.Path, "--yes");
        HeadIsBlank(device);
    }

    [Theory]
    [InlineData("gzip", "-c")]
    [InlineData("xz", "-c")]
    [InlineData("zstd", "-c -q --check")]
    [InlineData("bzip2", "-c")]
    public void A_packed_image_with_a_flipped_bit(string tool, string options)
    {
        var raw = Folder.File("a.img", Folder.Image(6 * MiB));
        Judge.Run("sh", "-c", $"{tool} {options} {raw} > {raw}.packed").MustPass(tool);
        var packed = File.ReadAllBytes(raw + ".packed");
        packed[packed.Length / 2] ^= 0x10;
        File.WriteAllBytes(raw + ".packed", packed);
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(1, "does not hold the image", "write", raw + ".packed", "--to", device.Path, "--yes");
        HeadIsBlank(device);
    }

    [Fact]
    public void A_decompression_bomb_stops_at_the_end_of_the_card()
    {
        var raw = Path.Combine(Folder.Path, Guid.NewGuid().ToString("N") + ".gz");
        Judge.Run("sh", "-c", $"head -c 1G /dev/zero | gzip -1 > {raw}").MustPass("gzip");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(1, "larger than", "write", raw, "--to", device.Path, "--yes");
        HeadIsBlank(device);
    }

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000  a.img\n", "is not the expected")]
    [InlineData("not a digest\n", "holds no SHA-256")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000  b.img\nx  c.img\n", "has no line for a.img")]
    public void A_wrong_digest_beside_the_image(string content, string says)
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".sha256", content);
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, says, "write", image, "--to", device.Path, "--yes");
        Assert.All(device.Read(4 * MiB), b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData("1111111111111111111111111111111111111111111111111111111111111111", "is not the expected")]
    [InlineData("12", "holds no SHA-256")]
    public void A_wrong_digest_typed(string digest, string says)
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, says, "write", Folder.File("a.img", Folder.Image(4 * MiB)), "--to", device.Path, "--yes", "--sha256", digest);
        Cli.Ends(2, says, "write", Folder.File("a.img.gz", Packed(Folder.Image(4 * MiB))), "--to", device.Path, "--yes", "--sha256", digest);
        Assert.All(device.Read(4 * MiB), b => Assert.Equal(0, b));
    }

    /// <summary>A card that holds something: a refusal must leave every byte of it.</summary>
    private static void RefusedUntouched(string image, string says)
    {
        using var device = new LoopDevice(16 * MiB);
        var before = Enumerable.Repeat((byte)0xd1, 16 * MiB).ToArray();
        File.WriteAllBytes(device.File, before);
        Cli.Ends(2, says, "write", image, "--to", device.Path, "--yes");
        Assert.True(before.AsSpan().SequenceEqual(File.ReadAllBytes(device.File)), "the card was written to");
        Cli.Ends(2, says, "check", image);
    }

    [Fact]
    public void A_description_with_another_digest_is_refused_before_the_first_byte()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".json", "{\"size\":4194304,\"sha256\":\"" + new string('0', 64) + "\"}");
        RefusedUntouched(image, "SHA-256");
    }

    [Fact]
    public void A_description_of_an_image_of_another_size()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".json", "{\"size\":4194303}");
        RefusedUntouched(image, "speaks of 4194303");
    }

    /// <summary>An image with its map, and a description that names the map: what image-builder leaves.</summary>
    private static string Described()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        Judge.Run("bmaptool", "create", "-o", image + ".bmap", image).MustPass("bmaptool");
        var digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(image + ".bmap")));
        File.WriteAllText(image + ".json", "{\"board\":\"x\",\"size\":4194304,\"bmapSha256\":\"" + digest + "\"}");
        return image;
    }

    [Fact]
    public void A_description_that_names_another_map()
    {
        var image = Described();
        File.WriteAllText(image + ".json", "{\"size\":4194304,\"bmapSha256\":\"" + new string('1', 64) + "\"}");
        RefusedUntouched(image, "is not the one that");
    }

    [Theory]
    [InlineData("")]
    [InlineData("gzip")]
    [InlineData("xz")]
    [InlineData("zstd -q")]
    public void A_described_image_that_was_damaged_is_refused_before_the_first_byte(string tool)
    {
        var image = Described();
        using (var device = new LoopDevice(16 * MiB)) Cli.Ends(0, "read back", "write", image, "--to", device.Path, "--yes");
        using (var file = File.OpenWrite(image))
        {
            file.Position = 3 * MiB;
            file.Write("damage"u8);
        }

        if (tool.Length > 0)
        {
            Judge.Run("sh", "-c", $"{tool} -c {image} > {image}.packed && rm {image}").MustPass(tool);
            image += ".packed";
        }

        RefusedUntouched(image, "does not match its block map");
    }

    [Fact]
    public void A_torn_description()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".json", "{\"size\":41");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "cannot be read as JSON", "write", image, "--to", device.Path, "--yes");
    }

    [Fact]
    public void A_map_of_another_image()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        var other = Folder.File("b.img", Folder.Image(5 * MiB, 2));
        Judge.Run("bmaptool", "create", "-o", image + ".bmap", other).MustPass("bmaptool");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "block map", "write", image, "--to", device.Path, "--yes");
        Cli.Ends(0, "read back", "write", image, "--to", device.Path, "--yes", "--no-map");
    }

    [Fact]
    public void A_map_of_an_older_image_of_the_same_size()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        var older = Folder.File("b.img", Folder.Image(4 * MiB, 2));
        Judge.Run("bmaptool", "create", "-o", image + ".bmap", older).MustPass("bmaptool");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(1, "does not match its block map", "write", image, "--to", device.Path, "--yes");
        HeadIsBlank(device);
    }

    [Fact]
    public void A_torn_map()
    {
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        File.WriteAllText(image + ".bmap", "<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\"><ImageSize>");
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "block map", "write", image, "--to", device.Path, "--yes");
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n", "git-lfs pointer")]
    public void What_is_no_image(string content, string says)
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, says, "write", Folder.File("a.img", System.Text.Encoding.ASCII.GetBytes(content)), "--to", device.Path, "--yes");
    }

    [Theory]
    [InlineData("cp {0} {0}.xz", ".xz", "is named .xz but is an uncompressed disk image")]
    [InlineData("gzip -c {0} > {0}.zst", ".zst", "is named .zst but is gzip data")]
    [InlineData("xz -c {0} > {0}.zip", ".zip", "is named .zip but is xz data")]
    [InlineData("tar -C $(dirname {0}) -cf {0}.tar $(basename {0})", ".tar", "is a tar archive")]
    [InlineData("tar -C $(dirname {0}) -czf {0}.tgz $(basename {0})", ".tgz", "holds a tar archive")]
    [InlineData("gzip -c {0} | xz > {0}.gz.xz", ".gz.xz", "packed twice")]
    [InlineData("(printf '7z\\274\\257\\047\\034'; cat {0}) | gzip > {0}.gz", ".gz", "holds a 7-Zip archive")]
    [InlineData("zip -jq {0}.zip {0} /etc/hostname", ".zip", "holds 2 files")]
    [InlineData("xz -c {0} | head -c 30 > {0}.xz", ".xz", "was cut off")]
    [InlineData("zstd -c -q < /dev/null > {0}.zst", ".zst", "holds nothing")]
    public void What_is_not_what_its_name_says_or_no_image(string make, string ending, string says)
    {
        var image = new byte[2 * MiB];
        (image[510], image[511]) = (0x55, 0xAA);
        var raw = Folder.File("a.img", image);
        Judge.Run("sh", "-c", make.Replace("{0}", raw, StringComparison.Ordinal)).MustPass("sh");
        using var device = new LoopDevice(16 * MiB);
        var before = new byte[16 * MiB];
        Array.Fill(before, (byte)7);
        File.WriteAllBytes(device.File, before);
        Cli.Ends(2, says, "write", raw + ending, "--to", device.Path, "--yes");
        Assert.True(before.AsSpan().SequenceEqual(device.Read(16 * MiB)), "something was written");
    }

    [Fact]
    public void An_image_that_is_not_there_or_a_folder()
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "There is no image", "write", "/nowhere/a.img", "--to", device.Path, "--yes");
        Cli.Ends(2, "is a folder", "write", Folder.Path, "--to", device.Path, "--yes");
    }

    [Fact]
    public void An_image_that_is_a_drive_is_refused_and_the_target_stays_as_it_was()
    {
        using var source = new LoopDevice(4 * MiB);
        var target = Folder.File("target", Folder.Image(8 * MiB));
        Cli.Ends(2, "flasher clone copies a drive", "write", source.Path, "--to", target, "--yes");
        Cli.Ends(2, "is not an ordinary file", "verify", "/dev/zero", "--to", target);
        Assert.True(Folder.Image(8 * MiB).AsSpan().SequenceEqual(File.ReadAllBytes(target)), "the target was changed");
    }

    [Theory]
    [InlineData("", "write <image>")]
    [InlineData("write", "argument 'image' missing")]
    [InlineData("write {image} --to /dev/nope --yes", "There is no drive /dev/nope")]
    [InlineData("write {image} --to {folder} --yes", "is a folder; name a drive")]
    [InlineData("write {image} --to /dev/null --yes", "neither a drive nor an ordinary file")]
    [InlineData("write {image} --to {image} --yes", "is the image itself")]
    [InlineData("write {image} --to {device} {device} --yes", "is named twice")]
    [InlineData("write {image} --to {device}", "Nobody is there to confirm")]
    [InlineData("write {image} --yes", "Name a drive with --to")]
    [InlineData("write {image} --to {device} --yes --timeout soon", "--timeout is a number of seconds")]
    [InlineData("write {image} --to {device} --yes --set colour=red", "there is no such key")]
    [InlineData("clone {image} --to {device} --yes", "There is no drive")]
    [InlineData("ui --port 99999", "--port is a number up to 65535")]
    [InlineData("ui --port http", "--port is a number up to 65535")]
    [InlineData("wirte", "'wirte'")]
    public void What_was_typed_wrongly_ends_in_a_sentence(string typed, string says)
    {
        using var device = new LoopDevice(8 * MiB);
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        string Filled(string word) => word.Replace("{image}", image).Replace("{folder}", Folder.Path).Replace("{device}", device.Path);
        Cli.Ends(2, says, [.. typed.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Filled)]);
        Assert.All(device.Read(8 * MiB), b => Assert.Equal(0, b));
    }

    [Fact]
    public void The_medium_fails_in_the_middle()
    {
        // A sparse file on a full file system: the loop device answers with an I/O error where no block can be had.
        var small = Path.Combine(Folder.Path, Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(small);
        Judge.Run("mount", "-t", "tmpfs", "-o", "size=8m", "none", small).MustPass("mount");
        try
        {
            var file = Path.Combine(small, "disk");
            using (var stream = File.Create(file)) stream.SetLength(32 * MiB);
            using var device = new LoopDevice(file, ownFile: false);
            var image = new byte[24 * MiB];
            new Random(9).NextBytes(image);
            var said = Cli.Ends(1, "failed at offset", "write", Folder.File("a.img", image), "--to", device.Path, "--yes");
            Assert.DoesNotContain("pulled out or lost", said);
            HeadIsBlank(device);
        }
        finally
        {
            Judge.Run("umount", small);
        }
    }

    [Theory]
    [InlineData(0, "offset 0")]
    [InlineData(1234567, "offset 1234567")]
    [InlineData((5 * MiB) - 1, "offset 5242879")]
    public void Verify_names_the_first_wrong_byte(int offset, string says)
    {
        var image = Folder.Image(5 * MiB);
        using var device = new LoopDevice(8 * MiB);
        var file = Folder.File("a.img", image);
        Cli.Ends(0, "", "write", file, "--to", device.Path, "--yes");
        image[offset] ^= 1;
        File.WriteAllBytes(file, image);
        Cli.Ends(3, says, "verify", file, "--to", device.Path);
    }

    [Fact]
    public void Verify_of_a_smaller_card()
    {
        using var device = new LoopDevice(4 * MiB);
        Cli.Ends(3, "is smaller than the image", "verify", Folder.File("a.img", Folder.Image(5 * MiB)), "--to", device.Path);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    [InlineData("HUP")]
    public void A_signal_in_the_middle_stops_it_cleanly(string signal)
    {
        using var run = SlowRun.Start();
        Judge.Run("kill", $"-{signal}", run.Process.Id.ToString()).MustPass("kill");
        Assert.True(run.Process.WaitForExit(30_000), "it must end soon");
        var said = run.Process.StandardError.ReadToEnd();
        Assert.True(run.Process.ExitCode == 1, said);
        Assert.Contains("Stopped.", said);
        Assert.Contains("first MiB is blank", said);
        HeadIsBlank(run.Device);
    }

    [Fact]
    public void Killed_in_the_middle_the_card_does_not_look_bootable()
    {
        using var run = SlowRun.Start();
        run.Process.Kill();
        run.Process.WaitForExit();
        HeadIsBlank(run.Device);
    }

    [Fact]
    public void Killed_in_the_middle_the_next_run_goes_on_from_there()
    {
        var image = new byte[160 * MiB];
        new Random(1).NextBytes(image);
        var file = Folder.File("a.img", image);
        using var device = new LoopDevice(176 * MiB);
        using (var run = new SlowRun(device, file, 48 * MiB, until: 120 * MiB))
        {
            run.Process.Kill();
            run.Process.WaitForExit();
        }

        HeadIsBlankButForTheNote(device);
        var said = Cli.Ends(0, "\"ok\"", "write", file, "--to", device.Path, "--yes", "--json", "--no-probe");
        var target = System.Text.Json.JsonDocument.Parse(said.Split('\n').Single(l => l.Contains("\"skipped\""))).RootElement;
        Assert.True(target.GetProperty("skipped").GetInt64() >= 32 * MiB && target.GetProperty("verified").GetInt64() >= 159 * MiB, said);
        Assert.True(image.AsSpan().SequenceEqual(device.Read(image.Length)));
    }

    private static void HeadIsBlankButForTheNote(LoopDevice device) => Assert.True(device.Read(4096).AsSpan().IndexOfAnyExcept((byte)0) < 0, "no boot record");

    [Fact]
    public void The_chosen_disk_is_another_one_when_writing_begins()
    {
        // The device goes and comes back under the same name while the flasher waits for the word.
        var image = Folder.File("a.img", Folder.Image(4 * MiB));
        string path;
        using var process = new Process { StartInfo = new ProcessStartInfo("script", ["-qefc", $"{Cli.Program} write {image} --to {Again(out path)}", "/dev/null"]) { RedirectStandardInput = true, RedirectStandardOutput = true } };
        Judge.Require("script");
        process.Start();
        var said = new System.Text.StringBuilder();
        while (!said.ToString().Contains("to go on", StringComparison.Ordinal) && process.StandardOutput.Read() is >= 0 and var letter) said.Append((char)letter);
        Judge.Run("losetup", "-d", path).MustPass("losetup");
        var other = LoopDevice.NewFile(16 * MiB);
        Judge.Run("losetup", path, other).MustPass("losetup");
        try
        {
            process.StandardInput.Write(path["/dev/".Length..] + "\n");
            process.StandardInput.Flush();
            Assert.Contains("swapped", process.StandardOutput.ReadToEnd(), StringComparison.Ordinal);
            process.WaitForExit();
            Assert.Equal(2, process.ExitCode);
            Assert.All(File.ReadAllBytes(other), b => Assert.Equal(0, b));
        }
        finally
        {
            Judge.Run("losetup", "-d", path);
        }
    }

    private static string Again(out string path) => path = Judge.Run("losetup", "-f", "--show", LoopDevice.NewFile(16 * MiB)).MustPass("losetup").Output.Trim();

    /// <summary>A write onto a device that the kernel throttles, waited for until it is in the middle.</summary>
    private sealed class SlowRun : IDisposable
    {
        private readonly LoopDevice? _own;
        private readonly Throttle _throttle;

        private SlowRun(LoopDevice own)
            : this(own, Folder.File("a.img", Random48()), 8 * MiB, 4 * MiB) => _own = own;

        public SlowRun(LoopDevice device, string image, int bytesPerSecond, int until)
        {
            Device = device;
            _throttle = new Throttle(device, bytesPerSecond);
            Process = Process.Start(new ProcessStartInfo(Cli.Program, ["write", image, "--to", Device.Path, "--yes", "--no-probe"]) { RedirectStandardError = true })!;
            var limit = Stopwatch.StartNew();
            // A byte each: reading all of it would take longer than the rest of the write.
            while (Device.Read(1, until - 1)[0] == 0 && Device.Read(1, until - MiB - 1)[0] == 0 && limit.Elapsed < TimeSpan.FromSeconds(40)) Thread.Sleep(20);
        }

        public LoopDevice Device { get; }

        public Process Process { get; }

        public static SlowRun Start() => new(new LoopDevice(64 * MiB));

        private static byte[] Random48()
        {
            var image = new byte[48 * MiB];
            new Random(1).NextBytes(image);
            return image;
        }

        public void Dispose()
        {
            if (!Process.HasExited) Process.Kill();
            Process.WaitForExit();
            Process.Dispose();
            _throttle.Dispose();
            _own?.Dispose();
        }
    }
}
