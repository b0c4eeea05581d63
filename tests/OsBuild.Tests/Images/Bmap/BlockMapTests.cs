using System.Security.Cryptography;
using System.Text;
using OsBuild.Images;
using OsBuild.Images.Bmap;

namespace OsBuild.Tests.Images.Bmap;

public sealed class BlockMapTests
{
    [Fact]
    public void Maps_the_blocks_that_were_written_with_their_digests()
    {
        var map = Map();
        Assert.Equal([(0L, 0L), (3L, 4L), (9L, 9L)], map.Ranges.Select(r => (r.First, r.Last)));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Image().ReadAt(3 * 4096, 8192))), map.Ranges[1].Sha256);
        // The last block is cut short by the end of the image.
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Image().ReadAt(9 * 4096, 100))), map.Ranges[2].Sha256);
        Assert.Equal((10L, 4L, (3 * 4096) + 100L), (map.BlockCount, map.MappedCount, map.MappedBytes));
    }

    [Fact]
    public void Zeros_that_were_written_are_mapped_too()
    {
        var map = BlockMapScan.Scan(Image(), [(6 * 4096, 4096)]);
        Assert.Equal((6L, 6L), (Assert.Single(map.Ranges).First, map.Ranges[0].Last));
    }

    [Fact]
    public void Extents_that_touch_or_overlap_make_one_range_and_empty_ones_none()
    {
        var map = BlockMapScan.Scan(Image(), [(100, 0), (3 * 4096, 4096), ((3 * 4096) + 5, 1), (4 * 4096, 10), (9 * 4096, 1 << 20)]);
        Assert.Equal([(3L, 4L), (9L, 9L)], map.Ranges.Select(r => (r.First, r.Last)));
    }

    [Fact]
    public void Reads_back_what_it_wrote()
    {
        var map = Map();
        var read = BlockMap.ReadXml(Xml(map));
        Assert.Equal(map.Ranges, read.Ranges);
        Assert.Equal((map.ImageSize, map.BlockSize), (read.ImageSize, read.BlockSize));
    }

    [Theory]
    [InlineData("1.2", "", "<Range> 0-1 </Range><Range> 5 </Range>")]
    [InlineData("1.3", "<BmapFileSHA1> SUM </BmapFileSHA1>", "<Range sha1=\"94789636db14cdb8929133e7b8d3a158837e2e5a\"> 0-1 </Range><Range> 5 </Range>")]
    [InlineData("1.4", "<ChecksumType> sha1 </ChecksumType><BmapFileChecksum> SUM </BmapFileChecksum>", "<Range chksum=\"94789636db14cdb8929133e7b8d3a158837e2e5a\"> 0-1 </Range><Range> 5 </Range>")]
    public void Reads_older_versions(string version, string fields, string ranges)
    {
        var text = $"<?xml version=\"1.0\" ?><!-- c --><bmap version=\"{version}\"><ImageSize> 24000 </ImageSize><BlockSize> 4096 </BlockSize>" +
            $"<BlocksCount> 6 </BlocksCount><MappedBlocksCount> 3    </MappedBlocksCount>{fields}<BlockMap>{ranges}</BlockMap></bmap>";
        var zeros = text.Replace("SUM", new string('0', 40));
#pragma warning disable CA5350 // The old format's own digest.
        var sum = Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(zeros)));
#pragma warning restore CA5350
        var map = BlockMap.ReadXml(new MemoryStream(Encoding.UTF8.GetBytes(text.Replace("SUM", sum))));
        Assert.Equal([new BlockRange(0, 1, null), new BlockRange(5, 5, null)], map.Ranges);
        if (fields.Length > 0)
            Assert.Contains("checksum does not match", Assert.Throws<ImageException>(() => BlockMap.ReadXml(new MemoryStream(Encoding.UTF8.GetBytes(text.Replace("SUM", sum[..39] + "x"))))).Message);
    }

    [Theory]
    [InlineData("version=\"2.0\"", "version=\"3.0\"")]
    [InlineData("> 3-4 <", "> 4-3 <")]
    [InlineData("> 3-4 <", "> 3-400 <")]
    [InlineData("> 3-4 <", "> x <")]
    [InlineData("<BlocksCount> 10", "<BlocksCount> 11")]
    [InlineData("<MappedBlocksCount> 4", "<MappedBlocksCount> 5")]
    [InlineData("</bmap>", "")]
    [InlineData("<bmap version=\"2.0\">", "<!DOCTYPE bmap [<!ENTITY a \"b\">]><bmap version=\"2.0\">")]
    [InlineData("<ImageSize> 36964", "<ImageSize> -1")]
    [InlineData("sha256", "crc7")]
    public void Refuses_maps_that_are_damaged(string from, string to)
    {
        var text = Encoding.UTF8.GetString(Xml(Map()).ToArray());
        Assert.Contains(from, text);
        Assert.Throws<ImageException>(() => BlockMap.ReadXml(new MemoryStream(Encoding.UTF8.GetBytes(text.Replace(from, to)))));
    }

    [Fact]
    public void Damage_anywhere_is_found()
    {
        var good = Xml(Map()).ToArray();
        var random = new Random(2);
        for (var turn = 0; turn < 500 * Fuzz.Times; turn++)
        {
            var bytes = good.ToArray();
            bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(7));
            if (turn % 5 == 0) bytes = bytes[..random.Next(bytes.Length)];
            // The one thing that may change without harm is the case of the checksum's own digits.
            var error = Record.Exception(() => Assert.Equal(Map().Ranges, BlockMap.ReadXml(new MemoryStream(bytes)).Ranges));
            Assert.True(error is ImageException || (error is null && Same(good, bytes)), error?.ToString() ?? "the damage was not seen");
        }

        static bool Same(byte[] a, byte[] b) => Encoding.ASCII.GetString(a).Equals(Encoding.ASCII.GetString(b), StringComparison.OrdinalIgnoreCase);
    }

    private static BlockMap Map() => BlockMapScan.Scan(Image(), [(0, 6), (3 * 4096, 8192), (9 * 4096, 100)]);

    private static SparseStream Image()
    {
        var image = new SparseStream((9 * 4096) + 100);
        image.Apply(5, [1]);
        image.Apply((3 * 4096) + 4000, Fat.Volumes.Bytes(1, 2000));
        image.Apply((9 * 4096) + 99, [9]);
        return image;
    }

    private static MemoryStream Xml(BlockMap map)
    {
        var xml = new MemoryStream();
        map.WriteXml(xml);
        xml.Position = 0;
        return xml;
    }
}
