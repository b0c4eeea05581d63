using System.Security.Cryptography;

namespace OsBuild.OracleTests.Flasher;

/// <summary>Images behind http addresses: written while they come, taken up where a connection tears, never patched together from two files.</summary>
public sealed class HttpTests
{
    private const int MiB = 1 << 20;

    private static readonly byte[] Image = Folder.Image((6 * MiB) + 333);

    private static byte[] Packed(string tool)
    {
        var raw = Folder.File("a.img", Image);
        Judge.Run("sh", "-c", $"{tool} -c {raw} > {raw}.packed").MustPass(tool);
        return File.ReadAllBytes(raw + ".packed");
    }

    private static string Ends(int exitCode, string says, ImageServer server, LoopDevice device, params string[] more) =>
        Cli.Ends(exitCode, says, ["write", server.Address, "--to", device.Path, "--yes", .. more]);

    private static void Holds(LoopDevice device) => Assert.True(Image.AsSpan().SequenceEqual(device.Read(Image.Length)), "the device does not hold the image");

    private static void HeadIsBlank(LoopDevice device) => Assert.True(device.Read(MiB).AsSpan().IndexOfAnyExcept((byte)0) < 0, "the first MiB must be blank");

    [Theory]
    [InlineData("")]
    [InlineData("gzip")]
    [InlineData("xz")]
    [InlineData("zstd")]
    [InlineData("bzip2")]
    public void An_image_is_written_while_it_comes(string tool)
    {
        using var server = new ImageServer(tool.Length == 0 ? Image : Packed(tool));
        using var device = new LoopDevice(8 * MiB);
        Ends(0, "written and read back", server, device);
        Holds(device);
    }

    [Theory]
    [InlineData("", true, "\"1\"")]
    [InlineData("", false, "\"1\"")]
    [InlineData("", true, null)]
    [InlineData("xz", true, "\"1\"")]
    [InlineData("gzip", false, "\"1\"")]
    public void A_torn_connection_is_taken_up_where_it_tore(string tool, bool ranges, string? tag)
    {
        var content = tool.Length == 0 ? Image : Packed(tool);
        // Without ranges everything is sent again: the tear must come later each time, so only the first request is torn here.
        using var server = ranges ? new ImageServer(content) { TearAfter = content.Length / 4, Tag = tag } : new ImageServer(content) { Ranges = false, Tag = tag, Status = n => n is 3 ? 503 : 0 };
        using var device = new LoopDevice(8 * MiB);
        Ends(0, "written and read back", server, device);
        Holds(device);
        if (ranges) Assert.True(server.Requests >= 5, $"{server.Requests} requests");
    }

    [Fact]
    public void A_file_that_changes_between_two_connections_is_not_patched_together()
    {
        using var server = new ImageServer(Image) { TearAfter = 2 * MiB };
        server.Before = n =>
        {
            if (n != 3) return;
            server.Content = Folder.Image(Image.Length, seed: 9);
            server.Tag = "\"2\"";
        };
        using var device = new LoopDevice(8 * MiB);
        Ends(1, "changed while it was fetched", server, device);
        HeadIsBlank(device);
    }

    [Fact]
    public void A_server_that_fails_for_a_moment_is_asked_again()
    {
        using var server = new ImageServer(Image) { TearAfter = 3 * MiB, Status = n => n is 3 or 4 ? 503 : 0 };
        using var device = new LoopDevice(8 * MiB);
        Ends(0, "written and read back", server, device);
        Holds(device);
    }

    [Fact]
    public void A_server_that_goes_away_in_the_middle_is_given_up()
    {
        using var server = new ImageServer(Image) { TearAfter = 2 * MiB, Status = n => n > 2 ? 500 : 0 };
        using var device = new LoopDevice(8 * MiB);
        Ends(1, "cannot be read on: the server answers 500", server, device);
        HeadIsBlank(device);
    }

    [Fact]
    public void A_server_that_falls_silent_is_given_up()
    {
        using var server = new ImageServer(Image) { SilentAfter = 2 * MiB };
        using var device = new LoopDevice(8 * MiB);
        Ends(1, "does not answer", server, device, "--timeout", "1");
        HeadIsBlank(device);
    }

    [Theory]
    [InlineData(404, "the server answers 404")]
    [InlineData(403, "the server answers 403")]
    [InlineData(500, "the server answers 500")]
    public void What_the_server_does_not_give_is_refused_before_anything_is_written(int status, string says)
    {
        using var server = new ImageServer(Image) { Status = _ => status };
        using var device = new LoopDevice(8 * MiB);
        Ends(2, says, server, device);
        Assert.All(device.Read(2 * MiB), b => Assert.Equal(0, b));
    }

    [Fact]
    public void A_redirection_is_followed()
    {
        using var server = new ImageServer(Image) { Status = n => n == 1 ? 302 : 0 };
        using var device = new LoopDevice(8 * MiB);
        Ends(0, "read back", server, device);
        Holds(device);
    }

    [Theory]
    [InlineData("<!DOCTYPE html><html>log in first</html>", "is a web page")]
    [InlineData("", "is empty")]
    public void What_is_no_image_is_refused(string content, string says)
    {
        using var server = new ImageServer(System.Text.Encoding.ASCII.GetBytes(content));
        using var device = new LoopDevice(8 * MiB);
        Ends(2, says, server, device);
    }

    [Fact]
    public void Nobody_listens_there()
    {
        using var device = new LoopDevice(8 * MiB);
        Cli.Ends(2, "cannot be fetched", "write", "http://127.0.0.1:1/a.img", "--to", device.Path, "--yes");
        Cli.Ends(2, "cannot be fetched", "write", "http://no such host/a.img", "--to", device.Path, "--yes");
    }

    [Fact]
    public void A_digest_is_checked_before_the_head_is_written()
    {
        using var server = new ImageServer(Packed("xz"));
        using var device = new LoopDevice(8 * MiB);
        Ends(1, "is not the expected", server, device, "--sha256", new string('1', 64));
        HeadIsBlank(device);
        Ends(0, "read back", server, device, "--sha256", Convert.ToHexStringLower(SHA256.HashData(server.Content)));
        Holds(device);
    }

    [Fact]
    public void A_server_that_does_not_tell_the_length()
    {
        using var server = new ImageServer(Image) { TellsLength = false };
        using var device = new LoopDevice(8 * MiB);
        Ends(0, "read back", server, device);
        Holds(device);
    }

    [Fact]
    public void An_image_too_large_for_the_card_is_refused_before_it_is_fetched()
    {
        using var server = new ImageServer(Image);
        using var device = new LoopDevice(4 * MiB);
        Ends(2, "larger than", server, device);
    }
}
