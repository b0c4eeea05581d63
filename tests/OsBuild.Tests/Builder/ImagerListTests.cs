using System.Security.Cryptography;
using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Building;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Builder;

/// <summary>The entry for Raspberry Pi Imager, against what its schema (doc/json-schema/os-list-schema.json) requires.</summary>
public sealed class ImagerListTests
{
    // "required" of an operating system entry, and the types of its properties.
    private static readonly (string Name, JsonValueKind Kind)[] Required =
    [
        ("name", JsonValueKind.String), ("description", JsonValueKind.String), ("icon", JsonValueKind.String), ("url", JsonValueKind.String),
        ("extract_size", JsonValueKind.Number), ("extract_sha256", JsonValueKind.String), ("image_download_size", JsonValueKind.Number),
        ("release_date", JsonValueKind.String), ("devices", JsonValueKind.Array),
    ];

    [Theory]
    [InlineData(Codec.None, "")]
    [InlineData(Codec.Xz, ".xz")]
    public void The_entry_has_what_the_schema_requires_and_is_true(Codec codec, string ending)
    {
        using var fixture = new DeployFixture();
        var path = BuildJob.Run(fixture.Request with { Board = DeployFixture.SmallBoard(), Compress = codec, OsList = "https://example.com/images/" }, Progress.Silent, CancellationToken.None).Path;
        var image = ending.Length == 0 ? path : path[..^ending.Length];
        using var json = JsonDocument.Parse(File.ReadAllText(image + ".os_list.json"));
        Assert.Equal(["os_list"], json.RootElement.EnumerateObject().Select(p => p.Name));
        var entry = Assert.Single(json.RootElement.GetProperty("os_list").EnumerateArray());
        foreach (var (name, kind) in Required) Assert.Equal(kind, entry.GetProperty(name).ValueKind);

        Assert.Equal("https://example.com/images/" + Path.GetFileName(path), entry.GetProperty("url").GetString());
        Assert.Equal(new FileInfo(path).Length, entry.GetProperty("image_download_size").GetInt64());
        Assert.Equal(Digest(File.OpenRead(path)), entry.GetProperty("image_download_sha256").GetString());
        using var file = File.OpenRead(path);
        var whole = new MemoryStream();
        Codecs.OpenRead(file, codec).CopyTo(whole);
        Assert.Equal(whole.Length, entry.GetProperty("extract_size").GetInt64());
        whole.Position = 0;
        Assert.Equal(Digest(whole), entry.GetProperty("extract_sha256").GetString());
        Assert.Equal("2024-04-01", entry.GetProperty("release_date").GetString());
        Assert.Contains(entry.GetProperty("init_format").GetString(), new[] { "", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed", "none" });
    }

    private static string Digest(Stream stream)
    {
        using (stream) return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    [Theory]
    [InlineData("raspberrypi3", "pi3-64bit")]
    [InlineData("raspberrypi400", "pi4-64bit")]
    [InlineData("raspberrypi-cm5", "pi5-64bit")]
    [InlineData("raspberrypi-armv8", "pi3-64bit pi4-64bit pi5-64bit")]
    [InlineData("rockpro64", "rockpro64")]
    public void Devices_are_named_as_Imager_names_them(string board, string tags) =>
        Assert.Equal(tags, string.Join(' ', ImagerList.Tags(BoardCatalog.Find(board).Board!)));

    [Fact]
    public void Without_being_asked_there_is_no_entry()
    {
        using var fixture = new DeployFixture();
        var path = BuildJob.Run(fixture.Request with { Board = DeployFixture.SmallBoard() }, Progress.Silent, CancellationToken.None).Path;
        Assert.False(File.Exists(path + ".os_list.json"));
    }
}
