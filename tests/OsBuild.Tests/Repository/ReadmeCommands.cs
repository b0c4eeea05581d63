using System.Text.RegularExpressions;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Repository;

/// <summary>What the README tells a newcomer to type.</summary>
public sealed partial class ReadmeCommands
{
    [Fact]
    public void Every_board_they_build_is_a_board()
    {
        var pages = new[] { "README.md", "image-builder/README.md", "board-configs/README.md" }.Select(p => File.ReadAllText(Path.Combine(RepositoryTree.Root, p)));
        var boards = pages.SelectMany(p => Build().Matches(p)).Select(m => m.Groups[1].Value).Distinct().ToList();
        Assert.Contains("raspberrypi4", boards);
        Assert.All(boards, b => Assert.Null(BoardCatalog.Find(b).Problem));
    }

    [Theory]
    [InlineData("raspberrypi4-64", "There is no board `raspberrypi4-64`, but raspberrypi-cm4, raspberrypi4, raspberrypi400 take the Yocto MACHINE of that name: name the board.")]
    public void A_machine_of_several_boards_names_them(string machine, string sentence) => Assert.Equal(sentence, BoardCatalog.Find(machine).Problem);

    // A word in capitals, or a path, stands for the reader's own.
    [GeneratedRegex(@"^\$? *(?:\S*/)?image-builder build ([a-z][a-z0-9-]*) ", RegexOptions.Multiline)]
    private static partial Regex Build();
}
