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
        var packed = new MemoryStream();
        using (var encoder = Codecs.OpenOneZstdFrame(packed, level: 3))
            for (var at = 0; at < length; at += 1 << 16) encoder.Write(content.AsSpan(at, Math.Min(1 << 16, length - at)));
        var encoded = packed.ToArray();
        Assert.Equal(0xFD2FB528, BinaryPrimitives.ReadUInt32LittleEndian(encoded));
        // RFC 8878 §3.1.1.2: block after block to the last one, then the checksum, and that is the end of the file.
        var end = ZstdFrame.SizeOfHeader(encoded[4]);
        for (var last = false; !last;)
        {
            var header = encoded[end] | encoded[end + 1] << 8 | encoded[end + 2] << 16;
            last = (header & 1) != 0;
            end += 3 + ((header >> 1 & 3) == 1 ? 1 : header >> 3);
        }

        Assert.Equal(encoded.Length, end + 4);
        using var decoded = Codecs.OpenRead(new MemoryStream(encoded), Codec.Zstd);
        var back = new MemoryStream();
        decoded.CopyTo(back);
        Assert.True(back.ToArray().AsSpan().SequenceEqual(content));
    }
}
