using System.Text.Json;
using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Commands;

namespace OsBuild.Tests.Builder.Boards;

public sealed class BoardCommandTests : IDisposable
{
    private readonly StringWriter output = new(), errors = new();

    [Fact]
    public void Lists_every_board_as_one_json_object_a_line()
    {
        Assert.Equal(0, BoardsCommand.Run(null, json: true, output, errors));
        var lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(BoardCatalog.Names, lines.Select(l => JsonDocument.Parse(l).RootElement.GetProperty("name").GetString()));
        Assert.All(lines, l =>
        {
            var board = JsonDocument.Parse(l).RootElement;
            Assert.NotEmpty(board.GetProperty("title").GetString()!);
            Assert.Contains(board.GetProperty("arch").GetString(), new[] { "aarch64", "x86_64" });
            Assert.NotEqual(0, board.GetProperty("machines").GetArrayLength());
            Assert.Contains(board.GetProperty("status").GetString(), new[] { "layout-only", "proven-qemu", "proven-hardware" });
        });
    }

    [Fact]
    public void Lists_every_board_as_a_table()
    {
        Assert.Equal(0, BoardsCommand.Run(null, json: false, output, errors));
        Assert.All(BoardCatalog.All, b => Assert.Contains(b.Title, output.ToString()));
        Assert.Contains($"{BoardCatalog.All.Count} boards", output.ToString());
    }

    [Fact]
    public void Shows_one_board_with_its_layout()
    {
        Assert.Equal(0, BoardsCommand.Run("rock-pi-4b", json: false, output, errors));
        Assert.Contains("idbloader.img", output.ToString());
        Assert.Contains("u-boot-bootcount, 3 tries", output.ToString());
    }

    [Fact]
    public void Shows_one_board_as_json_with_the_places_of_its_partitions()
    {
        Assert.Equal(0, BoardsCommand.Run("raspberrypi4", json: true, output, errors));
        var board = JsonDocument.Parse(output.ToString()).RootElement;
        Assert.Equal([1, 2, 3, 5, 6], board.GetProperty("partitions").EnumerateArray().Select(p => p.GetProperty("number").GetInt32()));
        Assert.Equal(4 << 20, board.GetProperty("partitions")[0].GetProperty("offset").GetInt64());
    }

    [Fact]
    public void Refuses_an_unknown_board_with_a_suggestion()
    {
        Assert.Equal(2, BoardsCommand.Run("rasberrypi4", json: false, output, errors));
        Assert.Contains("perhaps `raspberrypi4` was meant", errors.ToString());
    }

    [Fact]
    public void A_yocto_machine_leads_to_its_boards()
    {
        Assert.Equal(2, BoardsCommand.Run("raspberrypi3-64", json: false, output, errors));
        Assert.Contains("raspberrypi3", errors.ToString());
        Assert.Contains("MACHINE", errors.ToString());
    }

    [Fact]
    public void Checks_a_file_with_a_family_of_its_own()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(Path.Combine(folder.Path, "families"));
        File.WriteAllText(Path.Combine(folder.Path, "families", "mine.yaml"), File.ReadAllText(Path.Combine(BoardFiles.Configs, "families", "uefi.yaml")));
        var file = Path.Combine(folder.Path, "my-board.yaml");
        File.WriteAllText(file, File.ReadAllText(Path.Combine(BoardFiles.Configs, "genericx86-64.yaml")).Replace("extends: uefi", "extends: mine"));
        Assert.Equal(0, CheckBoardCommand.Run(file, json: false, output, errors));
        Assert.Contains("genericx86-64 is sound", output.ToString());
        Assert.Equal(0, BoardsCommand.Run(file, json: false, output, errors));
    }

    [Fact]
    public void Tells_every_mistake_of_a_file_with_its_line()
    {
        var file = Path.Combine(BoardFiles.Here(), "Fail", "form-many-at-once.yaml");
        Assert.Equal(2, CheckBoardCommand.Run(file, json: false, output, errors));
        Assert.Equal(4, errors.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("4 mistakes", output.ToString());
    }

    [Fact]
    public void Tells_every_mistake_as_json()
    {
        var file = Path.Combine(BoardFiles.Here(), "Fail", "form-many-at-once.yaml");
        Assert.Equal(2, CheckBoardCommand.Run(file, json: true, output, errors));
        var lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(5, lines.Count);
        Assert.All(lines[..^1], l => Assert.True(l.GetProperty("line").GetInt32() > 0));
        Assert.Equal("refused", lines[^1].GetProperty("result").GetString());
    }

    [Fact]
    public void A_file_that_is_not_there_is_bad_usage()
    {
        Assert.Equal(2, CheckBoardCommand.Run("no/such/file.yaml", json: false, output, errors));
        Assert.Equal("There is no file no/such/file.yaml: give the path of a board file." + Environment.NewLine, errors.ToString());
    }

    public void Dispose()
    {
        output.Dispose();
        errors.Dispose();
    }

    private sealed class TempFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("boards").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
