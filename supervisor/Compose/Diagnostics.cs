namespace OsBuild.Supervisor.Compose;

/// <summary>One remark about a compose file: where, and a sentence for a person.</summary>
internal sealed record Diagnostic(string File, int Line, string Path, string Message, bool IsError = true)
{
    public override string ToString() => $"{File}:{Line}: {(Path.Length == 0 ? "" : Path + ": ")}{Message}";
}

/// <summary>All remarks of one reading: a person corrects a file once, not once per mistake.</summary>
internal sealed class Diagnostics
{
    private const int Limit = 100;

    public List<Diagnostic> All { get; } = [];
    public bool HasErrors => All.Exists(d => d.IsError);
    public IEnumerable<Diagnostic> Errors => All.Where(d => d.IsError);

    public void Error(Node at, string message) => Add(new(at.File, at.Line, at.Path, message));

    public void Warn(Node at, string message) => Add(new(at.File, at.Line, at.Path, message, IsError: false));

    public void Add(Diagnostic diagnostic)
    {
        if (All.Count < Limit && !All.Contains(diagnostic)) All.Add(diagnostic);
    }
}

/// <summary>What a compose file says about what should run, or all that is wrong with it.</summary>
internal sealed record ComposeResult(State.Release? Release, List<Diagnostic> Diagnostics)
{
    /// <summary>What is to be built before the release can run; only where building is allowed.</summary>
    public List<BuildSpec> Builds { get; init; } = [];

    public IEnumerable<Diagnostic> Errors => Diagnostics.Where(d => d.IsError);

    /// <summary>The errors as one text, a line each.</summary>
    public string Explain() => string.Join("\n", Errors);
}
