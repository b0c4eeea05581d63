using System.Text;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>Whatever is done to a board file, the reader answers with a board or with sentences, never with an exception.</summary>
public sealed class BoardFuzzTests
{
    private static readonly string[] Shards = ["{", "}", "[", "]", ":", "- ", "#", "\"", "'", "&a ", "*a", "!!x ", "|", ">", "\t", "\n", "0x", "-1", "99999999999999999999", "null", "~", "---\n", "\u0000", "\u00e9", "? ", "%YAML 9\n", "<<: "];

    private static int Rounds => 600 * int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1");

    [Fact]
    public void A_damaged_file_gets_an_answer()
    {
        var texts = BoardCatalog.Names.Where((_, i) => i % 6 == 0).Select(n =>
        {
            using var reader = BoardCatalog.OpenBoard(n).Text;
            return reader.ReadToEnd();
        }).Append(BoardFiles.Text("Everything.yaml")).ToList();
        for (var seed = 0; seed < Rounds; seed++)
        {
            var random = new Random(seed);
            var text = new StringBuilder(texts[random.Next(texts.Count)]);
            for (var cuts = random.Next(1, 5); cuts > 0; cuts--) Damage(text, random);
            AssertAnswered(text.ToString(), seed);
        }
    }

    private static void AssertAnswered(string text, int seed)
    {
        try
        {
            var (board, diagnostics) = BoardFile.Read(new StringReader(text), "X");
            Assert.Equal(board is null, diagnostics.Count > 0);
            if (board is not null) _ = BoardChecks.Check(board);
            Assert.All(diagnostics, d => Assert.InRange(d.Place.Line, 1, int.MaxValue));
        }
        catch (Exception e)
        {
            Assert.Fail($"seed {seed}: {e.GetType().Name} {e.Message}\n{e.StackTrace}\n---\n{text}");
        }
    }

    private static void Damage(StringBuilder text, Random random)
    {
        if (text.Length == 0) return;
        var at = random.Next(text.Length);
        switch (random.Next(5))
        {
            case 0:
                text.Remove(at, Math.Min(random.Next(1, 30), text.Length - at));
                return;
            case 1:
                text.Insert(at, Shards[random.Next(Shards.Length)]);
                return;
            case 2:
                text[at] = (char)random.Next(32, 127);
                return;
            case 3:
                text.Length = at;
                return;
            default:
                var lines = text.ToString().Split('\n').ToList();
                var (from, to) = (random.Next(lines.Count), random.Next(lines.Count));
                lines.Insert(to, lines[from]);
                text.Clear().Append(string.Join('\n', lines));
                return;
        }
    }
}
