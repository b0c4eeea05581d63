using System.CommandLine;
using OsBuild.ImageBuilder.Boards;

namespace OsBuild.ImageBuilder.Commands;

/// <summary><c>image-builder check-board FILE</c>: every mistake of a board file, with its line.</summary>
internal static class CheckBoardCommand
{
    public static Command Create(Option<bool> json, TextWriter output, TextWriter errors)
    {
        var file = new Argument<string>("FILE") { Description = "A board file; its family is looked for in families/ beside it, then among those built in." };
        var command = new Command("check-board", "Check a board file: form, overlaps, and the traps that break real boards.") { file };
        command.SetAction(parsed => Run(parsed.GetValue(file)!, parsed.GetValue(json), output, errors));
        return command;
    }

    /// <summary>Exit code 0, or 2 when something is wrong with the file.</summary>
    internal static int Run(string file, bool json, TextWriter output, TextWriter errors)
    {
        if (!File.Exists(file))
        {
            errors.WriteLine($"There is no file {file}: give the path of a board file.");
            return 2;
        }

        var (board, diagnostics) = BoardSource.Check(file);
        foreach (var d in diagnostics)
        {
            if (!json) errors.WriteLine(d);
            else output.WriteLine(BoardsCommand.Object(w =>
            {
                w.WriteString("file", d.Place.File);
                w.WriteNumber("line", d.Place.Line);
                w.WriteString("problem", d.Problem);
                w.WriteString("advice", d.Advice);
            }));
        }

        var sentence = diagnostics.Count == 0
            ? $"{file}: {board!.Name} is sound; `image-builder boards {file}` shows its layout."
            : $"{file}: {diagnostics.Count} mistake{(diagnostics.Count == 1 ? "" : "s")}.";
        if (json) output.WriteLine(BoardsCommand.Object(w =>
        {
            w.WriteString("result", diagnostics.Count == 0 ? "ok" : "refused");
            w.WriteString("message", sentence);
        }));
        else output.WriteLine(sentence);
        return diagnostics.Count == 0 ? 0 : 2;
    }
}
