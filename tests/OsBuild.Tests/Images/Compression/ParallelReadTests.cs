using OsBuild.Images;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Images.Compression;

/// <summary>Decoding on several threads gives what decoding on one gives, and the same errors.</summary>
public sealed class ParallelReadTests
{
    private const int XzBlock = 1 << 16;

    private static readonly byte[] Content = CodecWriteTests.Content(1_000_000, 77);
    private static readonly byte[] Xz = PackXz(Content);
    private static readonly byte[] Zstd = [.. Content.Chunk(70_000).SelectMany(chunk => Pack(chunk, Codec.Zstd))];

    private static byte[] Pack(byte[] content, Codec codec)
    {
        var target = new MemoryStream();
        using (var writer = Codecs.OpenWrite(target, codec, 1, 1)) writer.Write(content);
        return target.ToArray();
    }

    private static byte[] PackXz(byte[] content)
    {
        var target = new MemoryStream();
        using (var writer = new PieceWriter(target, new XzPieces(1, XzBlock), 1)) writer.Write(content);
        return target.ToArray();
    }

    private static byte[] Decode(byte[] packed, Codec codec, int threads, long memory = 40 << 20)
    {
        using var reader = Codecs.OpenRead(new MemoryStream(packed), codec, threads, memory);
        var all = new MemoryStream();
        reader.CopyTo(all, 50_001);
        return all.ToArray();
    }

    public static TheoryData<Codec> Both => [Codec.Xz, Codec.Zstd];

    private static byte[] Packed(Codec codec) => codec == Codec.Xz ? Xz : Zstd;

    [Theory, MemberData(nameof(Both))]
    public void Gives_the_same_bytes_with_any_threads_and_memory(Codec codec)
    {
        Assert.IsType<ParallelReader>(Codecs.OpenRead(new MemoryStream(Packed(codec)), codec, 2));
        foreach (var threads in (int[])[1, 2, 3, 8])
            foreach (var memory in (long[])[1, 4 << 20, 6 << 20, 40 << 20])
                Assert.True(Content.AsSpan().SequenceEqual(Decode(Packed(codec), codec, threads, memory)), $"{threads} threads, {memory} bytes");
    }

    [Fact]
    public void Several_xz_streams_with_padding_are_found_from_the_end()
    {
        byte[] packed = [.. Xz, .. new byte[8], .. Samples.Packed["xz streams and padding"], .. Xz, .. new byte[4]];
        Assert.IsType<ParallelReader>(Codecs.OpenRead(new MemoryStream(packed), Codec.Xz, 2));
        Assert.Equal([.. Content, .. Samples.Content, .. Content], Decode(packed, Codec.Xz, 2));
    }

    [Theory]
    [InlineData("xz crc32")]
    [InlineData("xz sha256")]
    [InlineData("zstd")]
    [InlineData("gzip")]
    public void What_has_one_piece_is_read_on_one_thread(string sample)
    {
        var codec = Codecs.Detect(Samples.Packed[sample]);
        using var reader = Codecs.OpenRead(new MemoryStream(Samples.Packed[sample]), codec, 4);
        Assert.IsNotType<ParallelReader>(reader);
        var content = new byte[Samples.Content.Length];
        reader.ReadExactly(content);
        Assert.Equal(Samples.Content, content);
    }

    [Theory, MemberData(nameof(Both))]
    public void Torn_or_flipped_input_never_gives_other_content(Codec codec)
    {
        var random = new Random(5);
        var packed = Packed(codec);
        for (var turn = 0; turn < 40 * Fuzz.Times; turn++)
        {
            var bad = turn % 2 == 0 ? packed[..random.Next(1, packed.Length)] : (byte[])packed.Clone();
            if (turn % 2 == 1) bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                var content = Decode(bad, codec, 2);
                // zstd files cut between frames are sound as far as the format can tell.
                Assert.True(turn % 2 == 0 ? codec == Codec.Zstd && Content.AsSpan().StartsWith(content) : Content.AsSpan().SequenceEqual(content), $"turn {turn}");
            }
            catch (ImageException e)
            {
                Assert.Equal(ImageErrorKind.Corrupt, e.Kind == ImageErrorKind.Unsupported ? ImageErrorKind.Corrupt : e.Kind);
            }
        }
    }

    [Theory, MemberData(nameof(Both))]
    public void An_error_comes_behind_all_sound_blocks_before_it(Codec codec)
    {
        var bad = (byte[])Packed(codec).Clone();
        bad[bad.Length / 2] ^= 0x10;
        using var reader = Codecs.OpenRead(new MemoryStream(bad), codec, 3);
        var good = new byte[codec == Codec.Xz ? XzBlock : 70_000];
        reader.ReadExactly(good);
        Assert.True(Content.AsSpan(0, good.Length).SequenceEqual(good));
        Assert.Throws<ImageException>(() => reader.CopyTo(Stream.Null));
        Assert.Throws<ImageException>(() => reader.Read(good));
    }

    [Theory]
    [InlineData(2, 29, 8, 24, 2, 12)]
    [InlineData(8, 29, 8, 24, 2, 12)]
    [InlineData(8, 50, 8, 24, 3, 24.5)]
    [InlineData(8, 29, 1, 3, 8, 17)]
    [InlineData(2, 20, 8, 24, 2, 3)]
    [InlineData(2, 18, 8, 24, 1, 0)]
    [InlineData(4, 100, 64, 192, 1, 0)]
    [InlineData(1, 1000, 8, 24, 1, 0)]
    public void Memory_is_shared_out_so_that_every_thread_has_work(int threads, int memory, int dictionary, int piece, int wanted, double ahead) =>
        Assert.Equal(new ParallelShare(wanted, (long)(ahead * (1 << 20))), ParallelShare.Of(threads, (long)memory << 20, (long)dictionary << 20, (long)piece << 20));

    // xz -T makes blocks of three dictionaries.
    [Theory]
    [InlineData(2, 25, 8, 24, 2, 12)]
    [InlineData(8, 25, 8, 24, 2, 12)]
    [InlineData(8, 50, 8, 24, 3, 16.1666)]
    [InlineData(8, 29, 1, 3, 8, 3)]
    [InlineData(2, 20, 8, 24, 2, 9.5)]
    [InlineData(2, 16, 8, 24, 1, 0)]
    [InlineData(4, 100, 64, 192, 1, 0)]
    [InlineData(1, 1000, 8, 24, 1, 0)]
    public void Windows_are_large_enough_to_keep_every_thread_at_work(int threads, int memory, int dictionary, int piece, int wanted, double window)
    {
        var share = ParallelShare.OfWindows(threads, (long)memory << 20, (long)dictionary << 20, (long)piece << 20);
        Assert.Equal((wanted, window), (share.Threads, Math.Floor(share.Ahead / 1048576.0 * 10000) / 10000));
    }

    [Theory, MemberData(nameof(Both))]
    public void Disposing_in_the_middle_ends_the_threads(Codec codec)
    {
        var source = new MemoryStream(Packed(codec));
        using (var reader = Codecs.OpenRead(source, codec, 3, 5 << 20)) reader.ReadExactly(new byte[100_000]);
        Assert.True(source.CanRead);
    }
}
