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

    /// <summary>Bit by bit, as the definitions have it, over every length around the steps of the fast ways and at every alignment.</summary>
    [Fact]
    public void Every_length_gives_what_the_definition_gives()
    {
        var data = new byte[700];
        new Random(8).NextBytes(data);
        for (var length = 0; length < data.Length - 16; length++)
        {
            var some = data.AsSpan(length % 16, length);
            Assert.Equal(~(uint)BitByBit(0xEDB88320, uint.MaxValue, some), Crc32Ieee.Append(0, some));
            Assert.Equal(~BitByBit(0xC96C5795D7870F42, ulong.MaxValue, some), Crc64Ecma.Append(0, some));
        }
    }

    [Theory]
    [InlineData(0x00)]
    [InlineData(0xFF)]
    public void A_large_piece_of_one_byte_gives_what_the_definition_gives(byte value)
    {
        var data = new byte[(1 << 18) + 77];
        Array.Fill(data, value);
        Assert.Equal(~(uint)BitByBit(0xEDB88320, uint.MaxValue, data), Crc32Ieee.Append(0, data));
        Assert.Equal(~BitByBit(0xC96C5795D7870F42, ulong.MaxValue, data), Crc64Ecma.Append(0, data));
    }

    private static ulong BitByBit(ulong polynomial, ulong register, ReadOnlySpan<byte> data)
    {
        foreach (var x in data)
        {
            register ^= x;
            for (var bit = 0; bit < 8; bit++) register = (register >> 1) ^ ((register & 1) * polynomial);
        }

        return register;
    }
}
