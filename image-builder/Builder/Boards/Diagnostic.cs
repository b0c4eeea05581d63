namespace OsBuild.ImageBuilder.Boards;

/// <summary>A line of a board file.</summary>
/// <param name="File">The file's name, as it was given.</param>
/// <param name="Line">Line, from 1.</param>
internal readonly record struct Place(string File, int Line)
{
    public override string ToString() => $"{File}:{Line}";
}

/// <summary>One mistake in a board file.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Problem">What is wrong, naming the key.</param>
/// <param name="Advice">What to do about it.</param>
internal sealed record Diagnostic(Place Place, string Problem, string Advice)
{
    public override string ToString() => $"{Place}: {Problem}; {Advice}.";
}
