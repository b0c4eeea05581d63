using System.Buffers.Binary;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Images.Compression;

public sealed class OneZstdFrameTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(9 << 20)]
    [InlineData(40 << 20)]
    public void However_long_it_is_one_frame(int length)
    {
        var content = new byte[length];
        new Random(length).NextBytes(content.AsSpan(0, length / 4));
        var encoded = Codecs.OneZstdFrame(content, level: 3);
        Assert.Equal(0xFD2FB528, BinaryPrimitives.ReadUInt32LittleEndian(encoded));
        Assert.Equal((ulong)length, ZstdFrame.Read(encoded.AsSpan(0, ZstdFrame.SizeOfHeader(encoded[4]))).ContentSize);
        // The one header tells the whole content, and the next frame would begin where the encoding ends.
        using var decoded = Codecs.OpenRead(new MemoryStream(encoded), Codec.Zstd);
        var back = new MemoryStream();
        decoded.CopyTo(back);
        Assert.True(back.ToArray().AsSpan().SequenceEqual(content));
    }
}
