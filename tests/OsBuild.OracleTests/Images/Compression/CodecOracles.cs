using System.Diagnostics;
using OsBuild.Images.Compression;

namespace OsBuild.OracleTests.Images.Compression;

/// <summary>The real tools and ours, both ways.</summary>
public sealed class CodecOracles : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-codecs-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string InFolder(string name) => Path.Combine(_folder, name);

    /// <summary>Tool, arguments, codec: the packed bytes come on stdout.</summary>
    public static TheoryData<string, string, Codec> Packers => new()
    {
        { "gzip", "-1nc", Codec.Gzip },
        { "gzip", "-9c", Codec.Gzip },
        { "pigz", "-6c", Codec.Gzip },
        { "pigz", "-ic", Codec.Gzip },
        { "bzip2", "-1c", Codec.Bzip2 },
        { "bzip2", "-9c", Codec.Bzip2 },
        { "xz", "-0c", Codec.Xz },
        { "xz", "-6c --check=sha256", Codec.Xz },
        { "xz", "-1c -T2 --block-size=1000000 --check=crc32", Codec.Xz },
        { "xz", "-c --lzma2=preset=1,lc=0,lp=4,pb=4,dict=64KiB", Codec.Xz },
        { "xz", "-c --lzma2=preset=6,lc=4,lp=0,pb=0,dict=4KiB --check=none", Codec.Xz },
        { "zstd", "-1c", Codec.Zstd },
        { "zstd", "-19c --long=27", Codec.Zstd },
        { "zstd", "-3c -T2 --no-check", Codec.Zstd },
        { "zip", "-q - -j", Codec.Zip },
        { "zip", "-0q - -j", Codec.Zip },
        { "zip", "-Z bzip2 -q - -j", Codec.Zip },
    };

    [Theory, MemberData(nameof(Packers))]
    public void What_the_tools_pack_we_read(string tool, string arguments, Codec codec)
    {
        foreach (var (content, i) in Contents().Select((c, i) => (c, i)))
        {
            var plain = InFolder($"disk{i}.img");
            File.WriteAllBytes(plain, content);
            var packed = plain + ".packed";
            Judge.Run("sh", "-c", $"{tool} {arguments} {plain} > {packed}").MustPass(tool);
            Judge.Require(tool);
            Assert.Equal(codec, Codecs.Detect(File.ReadAllBytes(packed).Take(Codecs.HeaderSize).ToArray()));
            using var reader = Codecs.OpenRead(File.OpenRead(packed), codec);
            AssertGives(content, reader, new Random(i));
        }
    }

    /// <summary>Blocks far larger than the windows that hold them, read slower and faster than they are decoded: what is lent must not be
    /// overwritten before it was read.</summary>
    [Theory]
    [InlineData(2, 5.0)]
    [InlineData(2, 7.5)]
    [InlineData(3, 10.0)]
    public void Large_blocks_are_decoded_in_parallel_through_small_windows(int threads, double memory)
    {
        var content = Mixed(40_000_000, 9);
        File.WriteAllBytes(InFolder("a.img"), content);
        Judge.Run("xz", "-1k", "--lzma2=preset=1,dict=1MiB", "--block-size=9MiB", InFolder("a.img")).MustPass("xz");
        using var packed = File.OpenRead(InFolder("a.img.xz"));
        using var reader = Codecs.OpenRead(packed, Codec.Xz, threads, (long)(memory * (1 << 20)));
        Assert.IsType<ParallelReader>(reader);
        AssertGives(content, reader, new Random(1));
    }

    public static TheoryData<Codec, int, string> Writers
    {
        get
        {
            var all = new TheoryData<Codec, int, string>();
            foreach (var level in (int[])[1, 6, 9])
            {
                all.Add(Codec.Gzip, level, "gzip");
                all.Add(Codec.Xz, level, "xz");
                all.Add(Codec.Zstd, level, "zstd");
            }

            all.Add(Codec.Gzip, 6, "pigz");
            all.Add(Codec.Zstd, 19, "zstd");
            return all;
        }
    }

    [Theory, MemberData(nameof(Writers))]
    public void What_we_pack_the_tools_read(Codec codec, int level, string tool)
    {
        Judge.Require(tool);
        foreach (var content in Contents())
        {
            var packed = InFolder($"ours.{tool}");
            using (var file = File.Create(packed))
            using (var writer = Codecs.OpenWrite(file, codec, level, 2))
                Write(content, writer, new Random(level));
            Judge.Run("sh", "-c", $"{tool} -tv < {packed} && {tool} -dc < {packed} > {packed}.plain").MustPass($"{tool} on {content.Length} bytes of ours");
            Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(packed + ".plain")), $"{content.Length} bytes");
        }
    }

    [Fact]
    public void Xz_lists_our_blocks_with_their_sizes()
    {
        var packed = InFolder("blocks.xz");
        using (var file = File.Create(packed))
        using (var writer = Codecs.OpenWrite(file, Codec.Xz, 1, 2))
            writer.Write(new byte[(9 << 20) + 5]);
        var list = Judge.Run("xz", "--list", "--robot", "-vv", packed).MustPass("xz --list").Output;
        Assert.Contains($"totals\t1\t3\t", list);
        Assert.Contains("CRC64", list);
    }

    /// <summary>Streams of a few gigabytes that pack to almost nothing, through pipes, in bounded memory.</summary>
    [Theory]
    [InlineData("gzip -1c", Codec.Gzip)]
    [InlineData("xz -0c", Codec.Xz)]
    [InlineData("zstd -c", Codec.Zstd)]
    [InlineData("bzip2 -1c", Codec.Bzip2)]
    public void Gigabytes_of_zeros_need_little_memory(string tool, Codec codec)
    {
        Judge.Require(tool.Split(' ')[0]);
        const long length = (1L << 29) + 1;
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", $"head -c {length} /dev/zero | {tool}"]) { RedirectStandardOutput = true })!;
        using var reader = Codecs.OpenRead(process.StandardOutput.BaseStream, codec);
        var buffer = new byte[1 << 18];
        var before = GC.GetAllocatedBytesForCurrentThread();
        long total = 0;
        int got;
        while ((got = reader.Read(buffer)) > 0)
        {
            Assert.False(buffer.AsSpan(0, got).ContainsAnyExcept((byte)0));
            total += got;
        }

        Assert.Equal(length, total);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 24 << 20);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Theory]
    [InlineData("gzip", Codec.Gzip)]
    [InlineData("xz", Codec.Xz)]
    [InlineData("zstd", Codec.Zstd)]
    public void Gigabytes_of_ours_are_read_by_the_tools(string tool, Codec codec)
    {
        Judge.Require(tool);
        const long length = 5L << 28;
        var info = new ProcessStartInfo("sh", ["-c", $"{tool} -dc | wc -c"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        using var process = Process.Start(info)!;
        using (var input = process.StandardInput.BaseStream)
        using (var writer = Codecs.OpenWrite(input, codec, 1, 2))
        {
            var zeros = new byte[1 << 20];
            for (long done = 0; done < length; done += zeros.Length) writer.Write(zeros);
        }

        Assert.Equal(length, long.Parse(process.StandardOutput.ReadToEnd()));
        process.WaitForExit();
    }

    private static IEnumerable<byte[]> Contents()
    {
        yield return [];
        yield return [42];
        yield return Mixed(100_000, 1);
        yield return Mixed(5_000_003, 2);
        var noise = new byte[300_000];
        new Random(3).NextBytes(noise);
        yield return noise;
        yield return File.ReadAllBytes(typeof(Codecs).Assembly.Location);
    }

    private static byte[] Mixed(int length, int seed)
    {
        var random = new Random(seed);
        var content = new byte[length];
        for (var at = 0; at < length;)
        {
            var piece = content.AsSpan(at, Math.Min(length - at, random.Next(1, 200_000)));
            if (random.Next(3) == 0) random.NextBytes(piece);
            else if (at > 0 && random.Next(2) == 0)
                for (int i = 0, from = random.Next(at); i < piece.Length; i++) piece[i] = content[from + i];
            at += piece.Length;
        }

        return content;
    }

    private static void Write(byte[] content, Stream to, Random cuts)
    {
        for (var at = 0; at < content.Length;)
        {
            var some = Math.Min(content.Length - at, cuts.Next(1, 1_000_000));
            to.Write(content, at, some);
            at += some;
        }
    }

    private static void AssertGives(byte[] content, Stream reader, Random cuts)
    {
        var at = 0;
        var buffer = new byte[300_000];
        int got;
        while ((got = reader.Read(buffer, 0, cuts.Next(1, buffer.Length))) > 0)
        {
            Assert.True(at + got <= content.Length && content.AsSpan(at, got).SequenceEqual(buffer.AsSpan(0, got)), $"different at {at}");
            at += got;
        }

        Assert.Equal(content.Length, at);
    }
}
