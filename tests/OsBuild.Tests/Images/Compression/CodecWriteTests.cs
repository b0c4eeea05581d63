using CsCheck;
using OsBuild.Images;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Images.Compression;

public sealed class CodecWriteTests
{
    public static TheoryData<Codec> Writable => [Codec.None, Codec.Gzip, Codec.Zstd, Codec.Xz];

    private static byte[] Encode(Codec codec, byte[] content, int level, int threads, Random? cuts = null)
    {
        var target = new MemoryStream();
        using (var writer = Codecs.OpenWrite(target, codec, level, threads))
        {
            for (var at = 0; at < content.Length;)
            {
                var some = cuts is null ? content.Length - at : Math.Min(content.Length - at, cuts.Next(1, 300_000));
                writer.Write(content, at, some);
                writer.Flush();
                at += some;
            }
        }

        Assert.True(target.CanWrite);
        return target.ToArray();
    }

    private static byte[] Decode(byte[] packed, Codec codec)
    {
        using var reader = Codecs.OpenRead(new MemoryStream(packed), codec);
        var all = new MemoryStream();
        reader.CopyTo(all);
        return all.ToArray();
    }

    [Theory, MemberData(nameof(Writable))]
    public void What_is_written_is_read_back_and_does_not_depend_on_threads_or_cuts(Codec codec) =>
        Gen.Select(Gen.Int[0, 2_500_000], Gen.Int).Sample(
            (length, seed) =>
            {
                var content = Content(length, seed);
                var alone = Encode(codec, content, 1, 1);
                Assert.Equal(content, Decode(alone, codec));
                Assert.True(alone.AsSpan().SequenceEqual(Encode(codec, content, 1, 3, new Random(seed))));
            },
            iter: 4 * Sweep.Factor);

    [Theory, MemberData(nameof(Writable))]
    public void Sizes_at_the_borders_of_blocks_are_read_back(Codec codec)
    {
        foreach (var size in (int[])[0, 1, 2, 3, 4, 5, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1])
        {
            // Noise costs the xz encoder most; its large blocks are left empty.
            var content = codec == Codec.Xz && size > 1 << 20 ? new byte[size] : Content(size, size);
            Assert.True(content.AsSpan().SequenceEqual(Decode(Encode(codec, content, 1, 2), codec)), $"{size} bytes");
        }
    }

    [Theory, MemberData(nameof(Writable))]
    public void Every_level_works(Codec codec)
    {
        var content = Content(100_000, 1);
        for (var level = 1; level <= (codec == Codec.Zstd ? 22 : 9); level++) Assert.Equal(content, Decode(Encode(codec, content, level, 2), codec));
    }

    [Fact]
    public void Small_xz_blocks_are_read_back_and_do_not_depend_on_threads()
    {
        for (var seed = 0; seed < 10 * Sweep.Factor; seed++)
        {
            var content = Content(300_000, seed);
            byte[][] packed = [.. new[] { 1, 3 }.Select(threads =>
            {
                var target = new MemoryStream();
                using (var writer = new PieceWriter(target, new XzPieces(seed % 10, 1 << 16), threads)) writer.Write(content);
                return target.ToArray();
            })];
            Assert.Equal(packed[0], packed[1]);
            Assert.True(content.AsSpan().SequenceEqual(Decode(packed[0], Codec.Xz)));
        }
    }

    [Fact]
    public void A_gzip_of_ours_that_is_cut_off_anywhere_is_an_error()
    {
        var packed = Encode(Codec.Gzip, new byte[(2 << 20) + 1], 6, 2);
        for (var length = 0; length < packed.Length; length += 53)
            Assert.Throws<ImageException>(() => Decode(packed[..length], Codec.Gzip));
    }

    [Fact]
    public void Bzip2_and_zip_are_not_written()
    {
        Assert.Throws<ImageException>(() => Codecs.OpenWrite(new MemoryStream(), Codec.Bzip2, 9, 1));
        Assert.Throws<ImageException>(() => Codecs.OpenWrite(new MemoryStream(), Codec.Zip, 9, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Codecs.OpenWrite(new MemoryStream(), Codec.Gzip, 10, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => Codecs.OpenWrite(new MemoryStream(), Codec.Gzip, 1, 0));
    }

    [Theory, MemberData(nameof(Writable))]
    public void A_full_target_ends_the_encoding_without_a_sound_ending(Codec codec)
    {
        var target = new FullStream(300_000);
        Assert.Throws<IOException>(() =>
        {
            using var writer = Codecs.OpenWrite(target, codec, 1, 2);
            var noise = new byte[1 << 20];
            new Random(1).NextBytes(noise);
            for (var i = 0; i < 6; i++) writer.Write(noise);
        });
        Assert.True(target.Length <= 300_000);
    }

    /// <summary>Runs, noise and repeats, as images have them.</summary>
    internal static byte[] Content(int length, int seed)
    {
        var random = new Random(seed);
        var content = new byte[length];
        for (var at = 0; at < length;)
        {
            var piece = content.AsSpan(at, Math.Min(length - at, random.Next(1, 100_000)));
            switch (random.Next(4))
            {
                case 0:
                    random.NextBytes(piece);
                    break;
                case 1:
                    for (var i = 0; i < piece.Length; i++) piece[i] = (byte)"the quick brown fox "[(int)((uint)(i * i) / 7 % 20)];
                    break;
                case 2 when at > 0:
                    var from = random.Next(at);
                    for (var i = 0; i < piece.Length; i++) piece[i] = content[from + i];
                    break;
            }

            at += piece.Length;
        }

        return content;
    }

    private sealed class FullStream(long room) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length + count > room) throw new IOException("The disk is full.");
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer) => Write(buffer.ToArray(), 0, buffer.Length);
    }
}
