namespace OsBuild.ImageBuilder.Boards;

/// <summary>The one place that opens board files: a built-in board by name, or a file by path with the families beside it.</summary>
internal static class BoardSource
{
    /// <summary>Finds, reads and checks a board.</summary>
    /// <returns>The board without a finding, or null and every sentence there is to say.</returns>
    public static (Board? Board, IReadOnlyList<string> Problems) Open(string nameOrPath)
    {
        if (!IsPath(nameOrPath))
        {
            var (board, problem) = BoardCatalog.Find(nameOrPath);
            return (board, problem is null ? [] : [problem]);
        }

        if (!File.Exists(nameOrPath)) return (null, [$"There is no board file {nameOrPath}: give a path, or a name of `image-builder boards`."]);
        var (read, diagnostics) = Check(nameOrPath);
        return diagnostics.Count == 0 ? (read, []) : (null, [.. diagnostics.Select(d => d.ToString())]);
    }

    /// <summary>Reads a file that is there, and checks it.</summary>
    public static (Board? Board, IReadOnlyList<Diagnostic> Diagnostics) Check(string path)
    {
        using var text = File.OpenText(path);
        var (board, diagnostics) = BoardFile.Read(text, path, name => OpenFamily(path, name));
        return board is null ? (null, diagnostics) : (board, BoardChecks.Check(board));
    }

    private static bool IsPath(string nameOrPath) =>
        nameOrPath.Contains('/') || nameOrPath.Contains(Path.DirectorySeparatorChar) || nameOrPath.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase);

    private static (TextReader Text, string FileName)? OpenFamily(string boardPath, string name)
    {
        var beside = Path.Combine(Path.GetDirectoryName(boardPath) ?? "", "families", name + ".yaml");
        return File.Exists(beside) ? (File.OpenText(beside), beside) : BoardCatalog.OpenFamily(name);
    }
}
