namespace OsBuild.ImageBuilder.Boards;

/// <summary>
/// Holds a board against what breaks real boards: overlapping blobs, tables in the wrong place, counters that cannot count. Pure. The traps are those of
/// U-Boot's board pages, the Yocto layers and the field reports that the board files name as their sources.
/// </summary>
internal static class BoardChecks
{
    /// <summary>All findings, in the order of the file.</summary>
    public static IReadOnlyList<Diagnostic> Check(Board board)
    {
        var findings = new Findings(board);
        BoardLayoutChecks.Check(board, findings);
        BoardFirmwareChecks.Check(board, findings);
        BoardBootChecks.Check(board, findings);
        BoardPathChecks.Check(board, findings);
        CheckHonesty(board, findings);
        return findings.InOrder();
    }

    private static void CheckHonesty(Board board, Findings findings)
    {
        if (board.Status == BoardStatus.ProvenQemu && board.Qemu is null)
            findings.Add("status", "`status` says proven-qemu, but there is no `qemu`", "say how QEMU runs it, or make the status layout-only");
        if (board.Status == BoardStatus.LayoutOnly && board.Unproven.Count == 0)
            findings.Add("status", "`status` says layout-only, but `unproven` says nothing", "add a sentence for each thing that nobody has tried");
    }
}

/// <summary>Findings about a board, each at the line it is about.</summary>
internal sealed class Findings(Board board)
{
    private readonly List<Diagnostic> found = [];

    /// <summary>Notes a finding at the line of <paramref name="path"/>, or of the nearest key above it that the file has.</summary>
    public void Add(string path, string problem, string advice) => found.Add(new(Place(path), problem, advice));

    public bool Has(string path) => board.Places.ContainsKey(path);

    public IReadOnlyList<Diagnostic> InOrder() =>
        [.. found.Distinct().OrderBy(d => d.Place.File == board.Places[""].File ? 0 : 1).ThenBy(d => d.Place.Line)];

    private Place Place(string path)
    {
        while (true)
        {
            if (board.Places.TryGetValue(path, out var place)) return place;
            var cut = path.LastIndexOfAny(['.', '[']);
            path = cut < 0 ? "" : path[..cut];
        }
    }
}
