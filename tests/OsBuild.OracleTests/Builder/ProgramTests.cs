using System.Diagnostics;
using System.Text.Json;
using OsBuild.OracleTests.Images;

namespace OsBuild.OracleTests.Builder;

/// <summary>The program as it is run: stopped in the middle, watched by another program, pointed at a card.</summary>
public sealed class ProgramTests
{
    private static string[] Build(string output, params string[] more) =>
        ["build", "qemux86-64", "--deploy", Checkout.Needed(Path.Combine(Checkout.Work, "deploy/qemux86-64")), "--supervisor", "/usr/bin/true", "--output", output, .. more];

    /// <summary>xz takes long enough for a signal to come in the middle.</summary>
    [Theory]
    [InlineData("INT", false)]
    [InlineData("TERM", false)]
    [InlineData("INT", true)]
    public void A_signal_in_the_middle_leaves_nothing_behind(string signal, bool folderIsThere)
    {
        using var folder = new TempFolder();
        if (folderIsThere)
        {
            Directory.CreateDirectory(folder["out"]);
            File.WriteAllText(Path.Combine(folder["out"], "mine.txt"), "stays");
        }

        using var program = Process.Start(new ProcessStartInfo(BuiltImage.Program, Build(folder["out"], "--compress", "xz")) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Assert.StartsWith("root: ", program.StandardError.ReadLine(), StringComparison.Ordinal);
        Judge.Run("sh", "-c", $"kill -{signal} {program.Id}").MustPass("kill");
        Assert.EndsWith("error: Stopped; nothing was left behind.\n", program.StandardError.ReadToEnd(), StringComparison.Ordinal);
        program.WaitForExit();
        Assert.Equal(1, program.ExitCode);
        Assert.Equal("", program.StandardOutput.ReadToEnd());
        string[] left = Directory.Exists(folder["out"]) ? [.. Directory.EnumerateFileSystemEntries(folder["out"]).Select(e => Path.GetFileName(e))] : [];
        Assert.Equal(folderIsThere ? ["mine.txt"] : [], left);
        Assert.Equal(folderIsThere, Directory.Exists(folder["out"]));
    }

    [Fact]
    public void In_a_log_every_phase_is_one_line_and_with_json_every_line_is_an_object()
    {
        using var folder = new TempFolder();
        var plain = Judge.Run("sh", "-c", $"{string.Join(' ', Build(folder["a"]).Prepend(BuiltImage.Program).Select(w => $"'{w}'"))} 2>&1 >{folder["result"]}").MustPass("build").Output;
        Assert.Matches(@"\Aroot: [\d.]+ MiB\nboot: [\d.]+ MiB\n\z", plain);
        Assert.Matches(@"\A\S+\.img: [\d.]+ GiB, [\d.]+ MiB of it hold something, in [\d.]+ s\n\z", File.ReadAllText(folder["result"]));

        var lines = Judge.Run(BuiltImage.Program, Build(folder["b"], "--json")).MustPass("build --json").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal("ok", lines[^1].GetProperty("result").GetString());
        Assert.Equal(["root", "boot"], lines[..^1].Select(l => l.GetProperty("phase").GetString()).Distinct());
        foreach (var phase in lines[..^1].GroupBy(l => l.GetProperty("phase").GetString()))
        {
            var done = phase.Select(l => l.GetProperty("done").GetInt64()).ToList();
            Assert.Equal(done.Order(), done);
            Assert.Equal(phase.Last().GetProperty("total").GetInt64(), done[^1]);
        }
    }

    /// <summary>A written card, which a loop device is as good as, is configured in place.</summary>
    [Fact]
    public void A_card_is_configured_in_place()
    {
        using var folder = new TempFolder();
        var image = BuiltImage.Build(folder["out"], Build(folder["out"])[1..^2]);
        using var card = new Flasher.LoopDevice(image.Path, false);
        Judge.Run(BuiltImage.Program, "configure", card.Path, "--set", "hostname=kitchen", "--set", "wifi.ssid=Home", "--set", "wifi.psk=correct horse").MustPass("configure");
        Judge.Run("sync", card.Path).MustPass("sync");
        var config = File.ReadAllText(image.BootFile("config.yaml", folder));
        Assert.Contains("hostname: kitchen\n", config, StringComparison.Ordinal);
        Assert.Contains("correct horse", config, StringComparison.Ordinal);
        image.FileSystemsMustPass(folder);
        Assert.Contains("says so already", Judge.Run(BuiltImage.Program, "configure", card.Path, "--set", "hostname=kitchen").MustPass("configure again").Output, StringComparison.Ordinal);
        Assert.Contains("hostname: kitchen", Judge.Run(BuiltImage.Program, "cat", card.Path, "boot", "config.yaml").MustPass("cat").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_mounted_disk_is_not_configured()
    {
        using var folder = new TempFolder();
        using var disk = new Flasher.LoopDevice(8 << 20);
        Judge.Run("mke2fs", "-q", "-F", "-t", "ext4", disk.Path).MustPass("mke2fs");
        Directory.CreateDirectory(folder["mounted"]);
        Judge.Run("mount", "-o", "ro", disk.Path, folder["mounted"]).MustPass("mount");
        try
        {
            var refused = Judge.Run(BuiltImage.Program, "configure", disk.Path, "--set", "hostname=attic");
            Assert.Equal((2, $"error: {disk.Path} is mounted at {folder["mounted"]}; unmount it first, then configure it again."), (refused.ExitCode, refused.Output.TrimEnd()));
        }
        finally
        {
            Judge.Run("umount", folder["mounted"]).MustPass("umount");
        }
    }
}
