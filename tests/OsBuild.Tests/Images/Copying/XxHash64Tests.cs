using OsBuild.Images.Copying;

namespace OsBuild.Tests.Images.Copying;

public sealed class XxHash64Tests
{
    // The test vectors of the xxHash specification and its sanity checks.
    [Theory]
    [InlineData("", 0xEF46DB3751D8E999)]
    [InlineData("a", 0xD24EC4F1A98C6E5B)]
    [InlineData("abc", 0x44BC2CF5AD770999)]
    [InlineData("Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1)]
    public void Gives_the_published_digests(string text, ulong digest) => Assert.Equal(digest, XxHash64.Hash(System.Text.Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void Every_length_and_every_bit_counts()
    {
        var bytes = new byte[200];
        new Random(1).NextBytes(bytes);
        HashSet<ulong> seen = [];
        for (var length = 0; length <= bytes.Length; length++) Assert.True(seen.Add(XxHash64.Hash(bytes.AsSpan(0, length))));
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.True(seen.Add(XxHash64.Hash(bytes)));
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }
    }
}
