namespace OsBuild.Supervisor.Running;

/// <summary>Events of the boot's time line that the worker sees. Under our PID 1 they appear on the console and in host.json.</summary>
internal static class HostEvent
{
    public const string Mark = "[osbuild] event ";

    /// <param name="name">network, containers started ...</param>
    /// <param name="detail">What a person wants to know beside it; one line.</param>
    public static void Report(string name, string detail = "") =>
        Console.Out.WriteLine(Mark + name + (detail.Length == 0 ? "" : ": " + detail.ReplaceLineEndings(" ")));

    /// <summary>The event in a line of the worker's output, or null when it is an ordinary line.</summary>
    public static (string Name, string Detail)? Parse(string line)
    {
        if (!line.StartsWith(Mark, StringComparison.Ordinal)) return null;
        var text = line[Mark.Length..];
        var colon = text.IndexOf(": ", StringComparison.Ordinal);
        return colon < 0 ? (text, "") : (text[..colon], text[(colon + 2)..]);
    }
}
