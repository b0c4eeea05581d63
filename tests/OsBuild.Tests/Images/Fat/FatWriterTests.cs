using OsBuild.Images;
using OsBuild.Images.Fat;

namespace OsBuild.Tests.Images.Fat;

public sealed class FatWriterTests
{
    public static TheoryData<FatKind> Kinds => [FatKind.Fat12, FatKind.Fat16, FatKind.Fat32];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Reads_back_what_it_wrote_and_finds_nothing_wrong(FatKind kind)
    {
        var volume = Volumes.Written(Volumes.Options(kind, Volumes.SmallSize(kind)), Volumes.Tree());
        var reader = new FatReader(volume);
        Assert.Empty(reader.Check());
        Assert.Equal($"fat{(int)kind}", reader.Format);
        Assert.Equal("boot", reader.Label);
        Volumes.AssertSame(Volumes.Tree(), Volumes.ReadAll(volume));
        Assert.Equal(Volumes.Time, reader.Find("config.yaml")!.ModifiedAt);
        Assert.Equal("slot-a/README.TXT", reader.Find("SLOT-A/readme.txt")!.Path[..17].Replace("SLOT-A", "slot-a"));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_same_input_gives_the_same_bytes_and_zeros_are_not_written(FatKind kind)
    {
        var options = Volumes.Options(kind, Volumes.SmallSize(kind));
        var (a, b) = (Volumes.Written(options, Volumes.Tree()), Volumes.Written(options, Volumes.Tree()));
        Assert.Equal(a.ReadAt(0, (int)options.Size), b.ReadAt(0, (int)options.Size));
        // 75 KB of content that is not zero, plus the tables.
        Assert.InRange(a.Allocated, 75_000, 75_000 + (40 * 4096));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fills_the_volume_to_the_last_cluster_and_says_by_how_much_more_is_too_much(FatKind kind)
    {
        var options = Volumes.Options(kind, Volumes.SmallSize(kind), label: "");
        var layout = FatLayout.For(options);
        var room = (layout.Clusters - (kind == FatKind.Fat32 ? 1 : 0)) * layout.ClusterSize;
        Volumes.AssertSame(new Dictionary<string, byte[]> { ["A"] = Volumes.Bytes(1, (int)room) },
            Volumes.ReadAll(Volumes.Written(options, new Dictionary<string, byte[]> { ["A"] = Volumes.Bytes(1, (int)room) })));
        var e = Assert.Throws<ImageException>(() => Volumes.Written(options, new Dictionary<string, byte[]> { ["A"] = new byte[room + 1] }));
        Assert.Equal(ImageErrorKind.TooLarge, e.Kind);
        Assert.Contains($"short by {layout.ClusterSize} bytes", e.Message);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Holds_directories_of_many_clusters(FatKind kind)
    {
        var files = Enumerable.Range(0, 400).ToDictionary(i => $"d/a rather long file name that needs pieces {i}.txt", i => new[] { (byte)i });
        if (kind == FatKind.Fat32)
            for (var i = 0; i < 700; i++) files[$"in the root {i}"] = [];
        var volume = Volumes.Written(Volumes.Options(kind, kind == FatKind.Fat12 ? 4 * Volumes.MiB : Volumes.SmallSize(kind)), files);
        Assert.Empty(new FatReader(volume).Check());
        Volumes.AssertSame(files, Volumes.ReadAll(volume));
    }

    [Theory]
    [InlineData("a:b")]
    [InlineData("a/what?")]
    [InlineData("trailing.")]
    [InlineData("dir /x")]
    [InlineData("tab\tname")]
    [InlineData("..")]
    [InlineData("")]
    public void Refuses_names_that_FAT_cannot_hold(string path) =>
        Assert.Throws<ImageException>(() => Volumes.Written(Volumes.Options(FatKind.Fat12, Volumes.MiB), new Dictionary<string, byte[]> { [path] = [] }));

    [Fact]
    public void Refuses_names_that_are_not_Unicode() => Assert.Throws<ImageException>(() => FatNames.Check("a\uDC80"));

    [Fact]
    public void Refuses_two_names_that_differ_only_in_case() =>
        Assert.Contains("upper from lower", Assert.Throws<ImageException>(() => Volumes.Written(Volumes.Options(FatKind.Fat12, Volumes.MiB),
            new Dictionary<string, byte[]> { ["dir/File"] = [], ["DIR/file"] = [] })).Message);

    [Fact]
    public void Refuses_a_file_where_a_directory_is_needed() =>
        Assert.Throws<ImageException>(() => Volumes.Written(Volumes.Options(FatKind.Fat12, Volumes.MiB), new Dictionary<string, byte[]> { ["a"] = [], ["a/b"] = [] }));

    [Fact]
    public void Refuses_content_that_is_shorter_than_promised()
    {
        var writer = new FatWriter(new SparseStream(Volumes.MiB), FatLayout.For(Volumes.Options(FatKind.Fat12, Volumes.MiB)));
        Assert.Contains("ended 5 bytes before", Assert.Throws<ImageException>(() => writer.AddFile("a", 10, new MemoryStream(new byte[5]))).Message);
    }

    [Fact]
    public void Refuses_a_full_root_directory_of_FAT16()
    {
        var files = Enumerable.Range(0, 513).ToDictionary(i => $"FILE{i}", _ => Array.Empty<byte>());
        Assert.Contains("512", Assert.Throws<ImageException>(() => Volumes.Written(Volumes.Options(FatKind.Fat16, 16 * Volumes.MiB), files)).Message);
    }

    [Theory]
    [InlineData("README.TXT", "README  TXT", false)]
    [InlineData("readme.txt", "README  TXT", true)]
    [InlineData("archive.tar.gz", "ARCHIV~1GZ ", true)]
    [InlineData(".profile", "PROFIL~1   ", true)]
    [InlineData("a b", "AB~1       ", true)]
    [InlineData("long-extension.jpeg", "LONG-E~1JPE", true)]
    [InlineData("日本", "__~1       ", true)]
    [InlineData("Image", "IMAGE      ", true)]
    [InlineData("EIGHTCHR.EXT", "EIGHTCHREXT", false)]
    public void Makes_short_names_as_the_specification_says(string name, string shortName, bool needsLong) =>
        Assert.Equal((shortName, needsLong), FatNames.ShortNameOf(name, _ => false));

    [Fact]
    public void Numbers_short_names_that_collide()
    {
        var taken = new HashSet<string>();
        var numbers = new Dictionary<string, int>();
        for (var i = 1; i <= 1200; i++) Assert.True(taken.Add(FatNames.ShortNameOf($"collision {i}", taken.Contains, i % 3 == 0 ? null : numbers).Short));
        Assert.Contains("COLLIS~1   ", taken);
        Assert.Contains("COL~1200   ", taken);
    }

    [Theory]
    [InlineData(0, 0x21, 0)]
    [InlineData(315532800, 0x21, 0)]
    [InlineData(1302044400, 0x3E85, 0xB800)]
    [InlineData(long.MaxValue / 2, 0xFF9F, 0xBF7D)]
    public void Stamps_times_from_1980_to_2107(long unix, int date, int time) =>
        Assert.Equal(new FatTime((ushort)date, (ushort)time), FatTime.Of(Math.Min(unix, 253402300799)));
}
