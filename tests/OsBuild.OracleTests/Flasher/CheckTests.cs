using System.Diagnostics;
using System.Text.Json;

namespace OsBuild.OracleTests.Flasher;

/// <summary><c>flasher check</c>: the image alone, without a drive.</summary>
public sealed class CheckTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData("")]
    [InlineData("gzip")]
    [InlineData("xz -T2 --block-size=1MiB")]
    [InlineData("zstd -q")]
    [InlineData("bzip2")]
    public void A_sound_image(string tool)
    {
        var image = Folder.File("a.img", Folder.Image(6 * MiB));
        if (tool.Length > 0) Judge.Run("sh", "-c", $"{tool} -c {image} > {image}.packed").MustPass(tool);
        Cli.Ends(0, "is sound: 6 MiB.", "check", tool.Length > 0 ? image + ".packed" : image);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("xz")]
    [InlineData("zstd -q")]
    [InlineData("bzip2")]
    public void A_torn_one(string tool)
    {
        var image = Folder.File("a.img", Folder.Image(6 * MiB));
        Judge.Run("sh", "-c", $"{tool} -c {image} | head -c 3000000 > {image}.packed").MustPass(tool);
        Assert.Contains(image, Cli.Ends(2, "", "check", image + ".packed"), StringComparison.Ordinal);
    }

    [Fact]
    public void One_with_its_map_and_digest()
    {
        var image = Folder.File("a.img", Folder.Image(6 * MiB));
        Judge.Run("bmaptool", "create", "-o", image + ".bmap", image).MustPass("bmaptool");
        var digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(image)));
        Cli.Ends(0, "as its block map says", "check", image, "--sha256", digest);
        Cli.Ends(2, "is not the expected", "check", image, "--sha256", new string('2', 64));
        using (var file = File.OpenWrite(image)) file.Write("damage"u8);
        Cli.Ends(2, "does not match its block map", "check", image);
    }

    [Fact]
    public void Json_ends_with_a_result()
    {
        var image = Folder.File("a.img", Folder.Image(6 * MiB));
        Assert.Equal("ok", JsonDocument.Parse(Cli.Ends(0, "", "check", image, "--json").TrimEnd().Split('\n')[^1]).RootElement.GetProperty("result").GetString());
        File.WriteAllText(image + ".sha256", new string('3', 64));
        Assert.Equal("refused", JsonDocument.Parse(Cli.Ends(2, "", "check", image, "--json").TrimEnd().Split('\n')[^1]).RootElement.GetProperty("result").GetString());
    }

    [Theory]
    [InlineData("/nowhere/a.img", "There is no image")]
    [InlineData("http://127.0.0.1:9/a.img", "download the file")]
    [InlineData("/", "is a folder")]
    [InlineData("/dev/null", "not an ordinary file")]
    public void What_is_no_image_file(string image, string says) => Cli.Ends(2, says, "check", image);

    [Fact]
    public void An_interrupt_ends_it()
    {
        var image = Path.Combine(Path.GetDirectoryName(Folder.File("a.img", [1]))!, "b.img");
        using (var file = File.Create(image)) file.SetLength(1L << 40);
        using var check = Process.Start(new ProcessStartInfo(Cli.Program, ["check", image, "--json"]) { RedirectStandardOutput = true })!;
        // A TiB of nothing: it reports how far it is, and would for minutes.
        Assert.Equal("check", JsonDocument.Parse(check.StandardOutput.ReadLine()!).RootElement.GetProperty("phase").GetString());
        Judge.Run("kill", "-INT", check.Id.ToString()).MustPass("kill");
        var rest = check.StandardOutput.ReadToEnd();
        Assert.True(check.WaitForExit(20_000), "it goes on");
        Assert.Equal(1, check.ExitCode);
        Assert.Contains("Stopped. Nothing was written.", rest, StringComparison.Ordinal);
    }
}
