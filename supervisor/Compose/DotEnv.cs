using System.Text;

namespace OsBuild.Supervisor.Compose;

/// <summary>Reads <c>.env</c> and <c>env_file</c>: <c>NAME=value</c> lines, comments, <c>export</c>, single and double quotes.</summary>
internal static class DotEnv
{
    public static SortedDictionary<string, string> Read(string file, string text, Diagnostics diagnostics)
    {
        var values = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var raw in text.ReplaceLineEndings("\n").TrimStart('\uFEFF').Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#') continue;
            if (line.StartsWith("export ", StringComparison.Ordinal)) line = line[7..].TrimStart();
            var equals = line.IndexOf('=');
            var name = (equals < 0 ? line : line[..equals]).TrimEnd();
            if (name.Length == 0 || name.Any(c => char.IsWhiteSpace(c) || c is '"' or '\''))
            {
                diagnostics.Add(new(file, number, "", "not NAME=value"));
                continue;
            }

            values[name] = equals < 0 ? "" : Value(line[(equals + 1)..].TrimStart(), file, number, diagnostics);
        }

        return values;
    }

    private static string Value(string text, string file, int line, Diagnostics diagnostics)
    {
        if (text.Length == 0) return "";
        if (text[0] is not ('"' or '\''))
        {
            var comment = text.IndexOf(" #", StringComparison.Ordinal);
            return (comment < 0 ? text : text[..comment]).TrimEnd();
        }

        var value = new StringBuilder();
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] == text[0]) return value.ToString();
            if (text[i] != '\\' || text[0] == '\'' || i + 1 == text.Length) value.Append(text[i]);
            else
                value.Append(text[++i] switch { 'n' => '\n', 'r' => '\r', 't' => '\t', var c => c });
        }

        diagnostics.Add(new(file, line, "", "a quote is not closed"));
        return value.ToString();
    }
}
