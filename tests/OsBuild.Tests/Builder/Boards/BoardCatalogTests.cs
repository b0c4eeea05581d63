using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Builder.Boards;

public sealed class BoardCatalogTests
{
    public static TheoryData<string> Names => [.. BoardCatalog.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_built_in_board_reads_without_a_mistake(string name)
    {
        var (text, file) = BoardCatalog.OpenBoard(name);
        var (board, diagnostics) = BoardFile.Read(text, file);
        Assert.Empty(diagnostics);
        Assert.Equal(name, board!.Name);
        Assert.Empty(BoardChecks.Check(board));
    }

    [Fact]
    public void A_mistyped_name_gets_a_suggestion()
    {
        var (board, problem) = BoardCatalog.Find("qemuarm46");
        Assert.Null(board);
        Assert.Equal("There is no board `qemuarm46`: perhaps `qemuarm64` was meant.", problem);
    }

    [Fact]
    public void A_name_like_no_other_is_told_where_the_list_is()
    {
        var (board, problem) = BoardCatalog.Find("commodore");
        Assert.Null(board);
        Assert.Contains("`image-builder boards` lists", problem);
    }

    [Fact]
    public void A_family_gives_what_the_board_does_not_say()
    {
        var board = BoardCatalog.Find("qemux86-64").Board!;
        Assert.Equal(["boot", "root-a", "root-b", "state", "data"], board.Partitions.Select(p => p.Name));
        Assert.Equal(512L << 20, board.Partition(PartitionRole.RootB)!.Size);
        Assert.Equal(new Guid("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), board.Partitions[0].GptType);
        Assert.Contains("virtio_blk", board.InitramfsModules);
        Assert.EndsWith("families/uefi.yaml", board.Places["partitions[0]"].File);
        Assert.EndsWith("qemux86-64.yaml", board.Places["boot.flow"].File);
    }
}
