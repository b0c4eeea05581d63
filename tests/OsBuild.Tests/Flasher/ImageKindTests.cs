using System.Text;
using OsBuild.Flasher.Sources;
using OsBuild.Flasher.Writing;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Flasher;

public sealed class ImageKindTests
{
    private static readonly byte[] Gzip = [0x1F, 0x8B, 0x08, 0], Xz = [0xFD, .. "7zXZ\0"u8], Zstd = [0x28, 0xB5, 0x2F, 0xFD], Zip = [.. "PK\x3\x4"u8], Bzip2 = [.. "BZh91AY&SY"u8];

    private static byte[] Head(byte[] start)
    {
        var head = new byte[ImageKind.HeadSize];
        start.CopyTo(head, 0);
        return head;
    }

    private static byte[] BootSector() => [.. Head([0xEB, 0x3C, 0x90])[..510], 0x55, 0xAA];

    private static byte[] Content(string what) => what switch
    {
        "gz" => Head(Gzip),
        "xz" => Head(Xz),
        "zst" => Head(Zstd),
        "zip" => Head(Zip),
        "bz2" => Head(Bzip2),
        "disk" => BootSector(),
        "zeros" => Head([]),
        _ => Head(Encoding.ASCII.GetBytes(what)),
    };

    private static string Refusal(Action act) => Assert.Throws<RefusedException>(act).Message;

    [Theory]
    [InlineData("a.img.gz", "gz", Codec.Gzip)]
    [InlineData("a.IMG.XZ", "xz", Codec.Xz)]
    [InlineData("a.zst", "zst", Codec.Zstd)]
    [InlineData("a.zip", "zip", Codec.Zip)]
    [InlineData("a.bz2", "bz2", Codec.Bzip2)]
    [InlineData("a.img", "disk", Codec.None)]
    [InlineData("a.img", "zeros", Codec.None)]
    [InlineData("a.wic", "some text", Codec.None)]
    [InlineData("gz", "disk", Codec.None)]
    [InlineData("a.img", "xz", Codec.Xz)] // what no name denies is told by the content
    [InlineData("a", "zst", Codec.Zstd)]
    public void The_content_tells_how_it_is_compressed(string name, string content, Codec codec) =>
        Assert.Equal(codec, ImageKind.Require("/there/" + name, name, Content(content)));

    [Theory]
    [InlineData("a.img.gz", "disk", ".gz but is an uncompressed disk image")]
    [InlineData("a.img.xz", "disk", ".xz but is an uncompressed disk image")]
    [InlineData("a.img.zst", "disk", ".zst but is an uncompressed disk image")]
    [InlineData("a.zip", "disk", ".zip but is an uncompressed disk image")]
    [InlineData("a.bz2", "disk", ".bz2 but is an uncompressed disk image")]
    [InlineData("A.XZ", "zeros", ".xz but is zeros at its beginning")]
    [InlineData("a.xz", "nothing known", ".xz but is not compressed in any way known here")]
    [InlineData("a.gz", "xz", ".gz but is xz data")]
    [InlineData("a.xz", "gz", ".xz but is gzip data")]
    [InlineData("a.zst", "zip", ".zst but is a zip archive")]
    [InlineData("a.zip", "zst", ".zip but is Zstandard data")]
    [InlineData("a.gz", "bz2", ".gz but is bzip2 data")]
    public void A_file_that_is_not_what_its_name_says_is_refused(string name, string content, string says)
    {
        var message = Refusal(() => ImageKind.Require("/there/" + name, name, Content(content)));
        Assert.StartsWith($"/there/{name} is named {says}; ", message);
        Assert.EndsWith("give it the right name.", message);
    }

    /// <summary>Their first bytes as the tools of that name write them.</summary>
    public static TheoryData<string, byte[]> Foreigners => new()
    {
        { "a 7-Zip archive", [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C, 0, 4] },
        { "a RAR archive", [.. "Rar!\x1A\x7"u8, 1, 0] },
        { "LZ4 data", [0x04, 0x22, 0x4D, 0x18, 0x64, 0x40] },
        { "lzip data", [.. "LZIP"u8, 1, 0x0C] },
        { "lzop data", [0x89, .. "LZO"u8, 0, 0x0D, 0x0A] },
        { "a disk of QEMU (qcow)", [.. "QFI"u8, 0xFB, 0, 0, 0, 3] },
        { "a disk of VMware (vmdk)", [.. "KDMV"u8, 1, 0, 0, 0] },
        { "a disk of Hyper-V (vhdx)", [.. "vhdxfile"u8] },
        { "an Android sparse image", [0x3A, 0xFF, 0x26, 0xED, 1, 0, 0, 0] },
        { "a git-lfs pointer", [.. "version https://git-lfs.github.com/spec/v1\n"u8] },
        { "a web page", [.. "<!doctype HTML>\n<title>"u8] },
        { "a web page", [.. "\r\n <html lang=en>"u8] },
        { "a tar archive", [.. new byte[257], .. "ustar\0"u8, .. "00"u8] },
    };

    [Theory]
    [MemberData(nameof(Foreigners))]
    public void What_is_no_image_is_named_and_refused_also_when_it_is_packed(string what, byte[] start)
    {
        foreach (var head in new[] { Head(start), start })
        {
            Assert.StartsWith($"/there/a.img is {what}, not an image; ", Refusal(() => ImageKind.Require("/there/a.img", "a.img", head)));
            Assert.StartsWith($"/there/a.img.xz is {what}, not an image; ", Refusal(() => ImageKind.Require("/there/a.img.xz", "a.img.xz", head)));
            Assert.StartsWith($"a.gz holds {what}, not an image; ", Refusal(() => ImageKind.RequireInside("a.gz", head)));
        }
    }

    [Fact]
    public void What_is_empty_or_packed_twice_is_refused()
    {
        Assert.Contains("is empty", Refusal(() => ImageKind.Require("a.img", "a.img", [])));
        Assert.Contains("holds nothing", Refusal(() => ImageKind.RequireInside("a.gz", [])));
        Assert.Contains("holds xz data, which is packed twice", Refusal(() => ImageKind.RequireInside("a.gz", Content("xz"))));
    }

    [Theory]
    [InlineData("disk")]
    [InlineData("zeros")]
    [InlineData("x")]
    public void What_may_be_a_disk_is_taken(string content) => ImageKind.RequireInside("a.gz", Content(content));
}
