using System.Formats.Tar;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.Tests.Images.Trees;

public sealed class UstarHeaderTests
{
    private static byte[] Header(string path, long size = 0, long time = 1711929600)
    {
        var bytes = new byte[UstarHeader.Size];
        UstarHeader.Write(bytes, path, size, time);
        return bytes;
    }

    private static string Long(params int[] lengths) => string.Join('/', lengths.Select((l, i) => new string((char)('a' + i), l)));

    public static TheoryData<string> Paths => ["f", "slot/bzImage", "slot/", Long(100), Long(155, 100), Long(99, 1, 99), Long(40, 40, 40, 40), Long(154, 99) + "/", "slot/äöü-日本.dtb"];

    [Theory]
    [MemberData(nameof(Paths))]
    public void Another_reader_reads_what_was_written(string path)
    {
        Assert.True(UstarHeader.Fits(path));
        using var reader = new System.Formats.Tar.TarReader(new MemoryStream([.. Header(path), .. new byte[1024]]));
        var entry = reader.GetNextEntry()!;
        var directory = path.EndsWith('/');
        Assert.Equal((path, directory ? TarEntryType.Directory : TarEntryType.RegularFile, directory ? 0x1ED : 0x1A4), (entry.Name, entry.EntryType, (int)entry.Mode));
        Assert.Equal((0, 0, 1711929600L), (entry.Uid, entry.Gid, entry.ModificationTime.ToUnixTimeSeconds()));
        var own = TarTree.Read(new MemoryStream([.. Header(path), .. new byte[1024]])).Single().Node;
        Assert.Equal((path.TrimEnd('/'), directory ? NodeKind.Directory : NodeKind.File), (own.Path, own.Kind));
    }

    [Theory]
    [InlineData(0L)]
    [InlineData(1L)]
    [InlineData((1L << 33) - 1)]
    [InlineData(1L << 33)]
    [InlineData(3L << 40)]
    public void A_size_of_8_GiB_and_more_is_told_too(long size) => Assert.Equal(size, new TarHeader(Header("root.img", size), 0).ContentSize);

    [Theory]
    [InlineData(0L, 512L)]
    [InlineData(1L, 1024L)]
    [InlineData(512L, 1024L)]
    [InlineData(513L, 1536L)]
    public void Contents_are_filled_up(long content, long entry) => Assert.Equal(entry, UstarHeader.EntrySize(content));

    [Fact]
    public void A_path_that_cannot_be_told_is_refused()
    {
        foreach (var path in (string[])["", Long(101), Long(156, 100), Long(100, 101), Long(60, 101)])
        {
            Assert.False(UstarHeader.Fits(path));
            Assert.Equal($"{path} is too long a path for a tar archive; give the file a shorter name.", Assert.Throws<ImageException>(() => Header(path)).Message);
        }
    }
}
