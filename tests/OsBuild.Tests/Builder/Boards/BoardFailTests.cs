using System.Runtime.CompilerServices;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>Every file of Fail/ is a board with mistakes. Its first lines say what must be found, no more and no less: <c># LINE: problem; advice.</c></summary>
public sealed class BoardFailTests
{
    public static TheoryData<string> Files => [.. Directory.EnumerateFiles(Folder(), "*.yaml").Select(Path.GetFileName).OfType<string>().Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void Says_exactly_what_is_wrong(string file)
    {
        var text = File.ReadAllText(Path.Combine(Folder(), file));
        var expected = text.Split('\n').TakeWhile(l => l.StartsWith("# ", StringComparison.Ordinal)).Select(l => l[2..]).ToList();
        var found = Findings(text);
        if (BoardFiles.Update && !expected.SequenceEqual(found))
        {
            // Written for a person to read and judge; numbers move with the lines above them, so it takes two rounds.
            var body = string.Join('\n', text.Split('\n').SkipWhile(l => l.StartsWith("# ", StringComparison.Ordinal)));
            for (var round = 0; round < 3; round++)
            {
                text = string.Concat(found.Select(f => $"# {f}\n")) + body;
                found = Findings(text);
            }

            File.WriteAllText(Path.Combine(Folder(), file), text);
        }

        Assert.NotEmpty(found);
        Assert.Equal(expected, found);
    }

    [Fact]
    public void There_are_at_least_forty() => Assert.True(Files.Count >= 40, $"{Files.Count} files");

    /// <summary>Findings in the file itself as <c>12: problem</c>, in the family with its name before it.</summary>
    private static List<string> Findings(string text)
    {
        var (board, diagnostics) = BoardFile.Read(new StringReader(text), "X");
        if (board is not null) diagnostics = BoardChecks.Check(board);
        return [.. diagnostics.Select(d => d.ToString()).Select(d => d.StartsWith("X:", StringComparison.Ordinal) ? d[2..] : d)];
    }

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Fail");
}
