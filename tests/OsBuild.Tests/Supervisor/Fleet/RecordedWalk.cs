using System.Reflection;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>One call of a walk through a real open-balena-api 49.0.12, recorded by us.</summary>
internal sealed record RecordedCall(string Name, string Method, string Path, string? Body, int Status, string? ETag, string Answer);

internal static class RecordedWalk
{
    public const string Uuid = "29fdf4859f942138132ea46a8ba8f1cf";
    public const string App = "82ef179d618c4deca90e76ab4e862e60";
    public const string Commit = "54cc93768dbe11b31fe3b0419e2648bb";

    public static readonly IReadOnlyList<RecordedCall> Calls = Read();

    public static RecordedCall Call(string name) => Calls.First(c => c.Name == name);

    private static List<RecordedCall> Read()
    {
        using var reader = new StreamReader(Assembly.GetExecutingAssembly().GetManifestResourceStream("fleet-walk.txt")!);
        var calls = new List<RecordedCall>();
        foreach (var section in reader.ReadToEnd().Split("### ", StringSplitOptions.RemoveEmptyEntries))
        {
            var lines = section.Split('\n');
            var (method, path) = (lines[1].Split(' ')[0], lines[1].Split(' ')[1]);
            var body = lines.FirstOrDefault(l => l.StartsWith("> ", StringComparison.Ordinal))?[2..];
            var at = Array.FindIndex(lines, l => l.StartsWith("< ", StringComparison.Ordinal));
            var head = lines[at].Split(' ', 4);
            calls.Add(new(lines[0], method, path, body, int.Parse(head[1]), head.Length > 3 ? head[3].Trim() : null, string.Join('\n', lines[(at + 1)..]).Trim()));
        }

        return calls;
    }
}
