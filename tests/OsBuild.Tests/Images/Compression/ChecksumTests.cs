using OsBuild.Images.Compression;

namespace OsBuild.Tests.Images.Compression;

public sealed class ChecksumTests
{
    [Fact]
    public void The_published_check_values_come_out()
    {
        Assert.Equal(0xCBF43926u, Crc32Ieee.Append(0, "123456789"u8));
        Assert.Equal(0x995DC9BBDF1939FAul, Crc64Ecma.Append(0, "123456789"u8));
    }

    [Fact]
    public void Pieces_give_what_the_whole_gives()
    {
        var data = new byte[1000];
        new Random(7).NextBytes(data);
        var crc32 = Crc32Ieee.Append(0, data);
        var crc64 = Crc64Ecma.Append(0, data);
        for (var cut = 0; cut <= data.Length; cut++)
        {
            Assert.Equal(crc32, Crc32Ieee.Append(Crc32Ieee.Append(0, data.AsSpan(0, cut)), data.AsSpan(cut)));
            Assert.Equal(crc64, Crc64Ecma.Append(Crc64Ecma.Append(0, data.AsSpan(0, cut)), data.AsSpan(cut)));
            Assert.Equal(crc32, Crc32Ieee.Combine(Crc32Ieee.Append(0, data.AsSpan(0, cut)), Crc32Ieee.Append(0, data.AsSpan(cut)), data.Length - cut));
        }
    }
}
