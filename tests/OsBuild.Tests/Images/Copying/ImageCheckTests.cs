using System.Security.Cryptography;
using OsBuild.Images;
using OsBuild.Images.Bmap;
using OsBuild.Images.Copying;

namespace OsBuild.Tests.Images.Copying;

public sealed class ImageCheckTests
{
    private const int Block = 4096;

    private static BlockMap MapOf(byte[] image)
    {
        List<BlockRange> ranges = [];
        var blocks = (image.Length + Block - 1) / Block;
        for (long first = 0; first < blocks; first += 10)
        {
            var last = Math.Min(first + 6, blocks - 1);
            var bytes = image.AsSpan((int)(first * Block), (int)(Math.Min((last + 1) * Block, image.Length) - (first * Block)));
            ranges.Add(new BlockRange(first, last, Convert.ToHexStringLower(SHA256.HashData(bytes))));
        }

        return new BlockMap { ImageSize = image.Length, Ranges = ranges };
    }

    [Theory]
    [InlineData(1)]
    [InlineData(Block)]
    [InlineData((1 << 20) - 1)]
    [InlineData(1 << 20)]
    [InlineData((3 << 20) + 77)]
    public void A_sound_image_is_read_to_its_end(int length)
    {
        var image = ImageCopierTests.Image(length);
        List<long> at = [];
        var source = ImageCopierTests.Source(image) with { Map = MapOf(image), Sha256 = SHA256.HashData(image) };
        Assert.Equal(length, ImageCheck.Run(source, at.Add));
        Assert.Equal((length + (1 << 20) - 1) >> 20, at.Count);
        Assert.Equal(length, at[^1]);
        Assert.Equal(at.Order(), at);
    }

    [Fact]
    public void The_length_is_found_when_nobody_knows_it() =>
        Assert.Equal(123_457, ImageCheck.Run(ImageCopierTests.Source(ImageCopierTests.Image(123_457), known: false), _ => { }));

    [Fact]
    public void What_is_changed_on_the_way_does_not_count()
    {
        var image = ImageCopierTests.Image(2 << 20);
        var source = ImageCopierTests.Source(image) with { Sha256 = SHA256.HashData(image), Edits = [new ImageEdit(1 << 20, new byte[512])] };
        Assert.Equal(2 << 20, ImageCheck.Run(source, _ => { }));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(70_000)]
    [InlineData((2 << 20) - 1)]
    public void A_changed_byte_is_found_by_the_digest_and_by_the_map(int at)
    {
        var image = ImageCopierTests.Image(2 << 20);
        var (map, digest) = (MapOf(image), SHA256.HashData(image));
        image[at] ^= 1;
        var byDigest = Assert.Throws<ImageException>(() => ImageCheck.Run(ImageCopierTests.Source(image) with { Sha256 = digest }, _ => { }));
        Assert.Contains("SHA-256 of image", byDigest.Message, StringComparison.Ordinal);
        if (!map.Ranges.Any(r => r.First * Block <= at && at < (r.Last + 1) * Block)) return;
        var byMap = Assert.Throws<ImageException>(() => ImageCheck.Run(ImageCopierTests.Source(image) with { Map = map }, _ => { }));
        Assert.Contains("does not match its block map", byMap.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1, "truncated")]
    [InlineData(1, "holds more than")]
    public void A_wrong_length_is_found(int wrong, string says)
    {
        var image = ImageCopierTests.Image(100_000);
        var source = ImageCopierTests.Source(image) with { Length = image.Length - wrong };
        Assert.Contains(says, Assert.Throws<ImageException>(() => ImageCheck.Run(source, _ => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_no_image() => Assert.Throws<ImageException>(() => ImageCheck.Run(ImageCopierTests.Source([], known: false), _ => { }));

    [Fact]
    public void It_stops_when_it_is_told()
    {
        var told = 0;
        Assert.Throws<OperationCanceledException>(() => ImageCheck.Run(ImageCopierTests.Source(ImageCopierTests.Image(4 << 20)), _ =>
        {
            if (++told == 2) throw new OperationCanceledException();
        }));
        Assert.Equal(2, told);
    }
}
