using OsBuild.Images;
using OsBuild.Images.Compression;

namespace OsBuild.Tests.Images.Compression;

/// <summary>What every decoder must do with sound, torn and damaged input.</summary>
public sealed class CodecReadTests
{
    public static TheoryData<string> All => [.. Samples.Packed.Keys];

    private static Codec CodecOf(string sample) => sample.Split(' ')[0] switch
    {
        "gzip" => Codec.Gzip,
        "bzip2" => Codec.Bzip2,
        "xz" => Codec.Xz,
        "zstd" => Codec.Zstd,
        _ => Codec.Zip,
    };

    private static byte[] Decode(Stream packed, Codec codec, int readSize = 4096)
    {
        using var reader = Codecs.OpenRead(packed, codec);
        var all = new MemoryStream();
        var buffer = new byte[readSize];
        int got;
        while ((got = reader.Read(buffer)) > 0) all.Write(buffer, 0, got);
        Assert.Equal(0, reader.Read(buffer));
        return all.ToArray();
    }

    [Theory, MemberData(nameof(All))]
    public void The_codec_is_told_from_the_first_bytes(string sample) =>
        Assert.Equal(CodecOf(sample), Codecs.Detect(Samples.Packed[sample].AsSpan(0, Math.Min(Codecs.HeaderSize, Samples.Packed[sample].Length))));

    [Fact]
    public void Other_bytes_are_no_codec()
    {
        Assert.Equal(Codec.None, Codecs.Detect([]));
        Assert.Equal(Codec.None, Codecs.Detect("BZh9 is not enough"u8));
        Assert.Equal(Codec.None, Codecs.Detect(new byte[16]));
        Assert.Equal(Codec.None, Codecs.Detect([0x1F, 0x8B, 0x07]));
        Assert.Equal(Codec.None, Codecs.Detect([0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z']));
    }

    [Theory, MemberData(nameof(All))]
    public void What_the_tools_packed_is_read_back_whatever_the_pieces(string sample)
    {
        var packed = Samples.Packed[sample];
        var codec = CodecOf(sample);
        foreach (var readSize in (int[])[1, 2, 7, 100, 4096, 1 << 20])
        {
            Assert.Equal(Samples.Content, Decode(new MemoryStream(packed), codec, readSize));
            if (codec != Codec.Zip) Assert.Equal(Samples.Content, Decode(new DrippingStream(packed, readSize), codec));
        }
    }

    [Fact]
    public void Content_longer_than_windows_and_blocks_is_read_back()
    {
        foreach (var (sample, packed) in Samples.LongPacked)
            foreach (var readSize in (int[])[333, 4096, 100_000, 1 << 20])
                Assert.True(Samples.LongContent.AsSpan().SequenceEqual(Decode(new MemoryStream(packed), CodecOf(sample), readSize)), sample);
    }

    [Theory, MemberData(nameof(All))]
    public void Input_cut_off_anywhere_is_an_error(string sample)
    {
        var packed = Samples.Packed[sample];
        for (var length = 0; length < packed.Length; length += packed.Length > 1000 && !Sweep.IsLong ? 5 : 1)
        {
            // A file that is cut between two members or streams is sound as far as these formats can tell.
            if (IsSoundPrefix(sample, packed, length)) continue;
            var error = Record.Exception(() => Decode(new MemoryStream(packed, 0, length), CodecOf(sample)));
            Assert.True(error is ImageException { Kind: ImageErrorKind.Corrupt }, $"{sample} cut to {length} of {packed.Length} bytes: {error}");
        }
    }

    private static bool IsSoundPrefix(string sample, byte[] packed, int length)
    {
        byte[] start = sample.Split(' ')[0] switch
        {
            "gzip" => [0x1F, 0x8B, 8],
            "bzip2" => [.. "BZh"u8],
            "xz" => [0xFD, (byte)'7', (byte)'z'],
            "zstd" => sample.Contains("skippable") ? [] : [0x28, 0xB5, 0x2F, 0xFD],
            _ => [1, 2, 3, 4, 5, 6, 7, 8],
        };
        if (length == 0) return false;
        if (sample.Contains("padding"))
        {
            // Behind a footer ("YZ") and any zeros in fours.
            var end = packed.AsSpan(0, length).LastIndexOf("YZ"u8) + 2;
            return end > 2 && (length - end) % 4 == 0 && !packed.AsSpan(end, length - end).ContainsAnyExcept((byte)0);
        }

        if (sample.Contains("skippable"))
            return packed.AsSpan(length).StartsWith(new byte[] { 0x28, 0xB5, 0x2F, 0xFD }) || packed.AsSpan(length).StartsWith(new byte[] { 0x53, 0x2A, 0x4D, 0x18 });
        return packed.AsSpan(length).StartsWith(start);
    }

    [Theory, MemberData(nameof(All))]
    public void A_flipped_bit_never_gives_other_content(string sample)
    {
        var packed = (byte[])Samples.Packed[sample].Clone();
        var unnoticed = 0;
        // Every bit in the long run, every twenty-ninth here: it has no common factor with eight, so all bits of a byte come up.
        for (var bit = 0; bit < packed.Length * 8; bit += Sweep.IsLong ? 1 : 29)
        {
            packed[bit / 8] ^= (byte)(1 << (bit % 8));
            try
            {
                // Time stamps, names and the like may change without harm; the content may not.
                Assert.True(Samples.Content.AsSpan().SequenceEqual(Decode(new MemoryStream(packed), CodecOf(sample))) || !HasChecksum(sample), $"{sample}: bit {bit}");
                unnoticed++;
            }
            catch (ImageException)
            {
            }

            packed[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        // Without a checksum most flips change the content: nothing could tell. With one, only bytes that mean nothing may change.
        if (HasChecksum(sample) && !sample.StartsWith("zip")) Assert.True(unnoticed < 64 * 8, $"{sample}: {unnoticed} flips were not noticed");
    }

    private static bool HasChecksum(string sample) => sample is not ("xz none" or "zstd no checksum");

    [Theory, MemberData(nameof(All))]
    public void Bytes_behind_the_end_are_an_error(string sample)
    {
        foreach (var tail in (byte[][])[[1], [0x1F], [.. "garbage behind"u8], [.. new byte[5]], [0x28, 0xB5], [0xFD, (byte)'7']])
        {
            byte[] packed = [.. Samples.Packed[sample], .. tail];
            var error = Record.Exception(() => Decode(new MemoryStream(packed), CodecOf(sample)));
            Assert.True(error is ImageException { Kind: ImageErrorKind.Corrupt }, $"{sample} with {Convert.ToHexString(tail)} behind: {error}");
        }
    }

    [Theory, MemberData(nameof(All))]
    public void Random_bytes_behind_a_sound_beginning_end_in_an_error(string sample)
    {
        var random = new Random(sample.Length);
        for (var i = 0; i < 60 * Sweep.Factor; i++)
        {
            var packed = (byte[])Samples.Packed[sample].Clone();
            var from = random.Next(4, packed.Length - 8);
            random.NextBytes(packed.AsSpan(from, random.Next(1, packed.Length - from)));
            var error = Record.Exception(() => Decode(new MemoryStream(packed), CodecOf(sample)));
            Assert.True(error is null or ImageException, $"{sample}: {error}");
        }
    }

    [Fact]
    public void An_error_stays_an_error()
    {
        using var reader = Codecs.OpenRead(new MemoryStream(Samples.Packed["gzip"], 0, 100), Codec.Gzip);
        var buffer = new byte[1 << 16];
        Assert.Throws<ImageException>(() => reader.ReadExactly(buffer));
        Assert.Throws<ImageException>(() => reader.Read(buffer));
    }

    [Fact]
    public void A_zip_of_several_files_is_refused_by_their_names()
    {
        var error = Assert.Throws<ImageException>(() => Codecs.OpenRead(new MemoryStream(Samples.ZipOfSeveral), Codec.Zip));
        Assert.Equal("The zip archive holds 3 files (a.img, b.img, c.txt); unpack it and choose one.", error.Message);
        Assert.Equal(ImageErrorKind.Unsupported, error.Kind);
    }

    [Fact]
    public void A_zip_of_nothing_or_of_an_unknown_method_is_refused()
    {
        Assert.Contains("holds no file", Assert.Throws<ImageException>(() => Codecs.OpenRead(new MemoryStream(Samples.ZipOfNothing), Codec.Zip)).Message);
        Assert.Contains("LZMA", Assert.Throws<ImageException>(() => Codecs.OpenRead(new MemoryStream(Samples.ZipOfLzma), Codec.Zip)).Message);
    }

    [Fact]
    public void A_zip_that_cannot_be_searched_is_refused()
    {
        var error = Assert.Throws<ImageException>(() => Codecs.OpenRead(new DrippingStream(Samples.Packed["zip stored"], 10), Codec.Zip));
        Assert.Equal(ImageErrorKind.Unsupported, error.Kind);
    }

    [Fact]
    public void A_zstd_frame_that_asks_for_too_much_memory_is_refused()
    {
        // Window descriptor 0xFF: 3.75 TiB.
        var error = Assert.Throws<ImageException>(() => Decode(new MemoryStream([0x28, 0xB5, 0x2F, 0xFD, 0x00, 0xFF, 0x01, 0x00, 0x00]), Codec.Zstd));
        Assert.Equal(ImageErrorKind.Unsupported, error.Kind);
    }

    [Fact]
    public void The_source_stays_open()
    {
        foreach (var (sample, packed) in Samples.Packed)
        {
            var source = new MemoryStream(packed);
            Decode(source, CodecOf(sample));
            Assert.True(source.CanRead);
        }
    }

    /// <summary>Gives at most so many bytes a read, and cannot seek.</summary>
    private sealed class DrippingStream(byte[] bytes, int most) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, most));

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, most)]);
    }
}
