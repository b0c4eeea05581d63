namespace OsBuild.Supervisor.Compose;

/// <summary>A value of a compose file after anchors, merges and interpolation, with the place it came from.</summary>
internal abstract record Node(string File, int Line, string Path)
{
    /// <summary>The key or index under which it stands, for a message.</summary>
    public string Key => Path[(Path.LastIndexOf('.') + 1)..];

    public abstract string Kind { get; }

    public bool IsNull => this is ScalarNode { Null: true };

    /// <summary>Written with <c>!override</c>: it replaces what it is laid over instead of being joined with it.</summary>
    public bool Replaces { get; init; }
}

internal sealed record ScalarNode(string File, int Line, string Path, string Value, bool Plain) : Node(File, Line, Path)
{
    /// <summary>An empty or null plain scalar: the key stands there without a value.</summary>
    public bool Null => Plain && Value is "" or "~" or "null" or "Null" or "NULL";

    public override string Kind => "a single value";
}

internal sealed record ListNode(string File, int Line, string Path, List<Node> Items) : Node(File, Line, Path)
{
    public override string Kind => "a list";
}

internal sealed record MapNode(string File, int Line, string Path, List<KeyValuePair<string, Node>> Entries) : Node(File, Line, Path)
{
    public Node? this[string key] => Entries.FirstOrDefault(e => e.Key == key).Value;

    public override string Kind => "a map";

    public MapNode With(string key, Node value) => this with { Entries = [.. Entries.Where(e => e.Key != key), new(key, value)] };

    public MapNode Without(string key) => this with { Entries = [.. Entries.Where(e => e.Key != key)] };
}
