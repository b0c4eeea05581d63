using System.Text;

namespace OsBuild.Supervisor.Compose;

/// <summary>Compose's variables: <c>$A</c>, <c>${A}</c>, <c>${A:-default}</c>, <c>${A-default}</c>, <c>${A:?message}</c>, <c>${A?message}</c>,
/// <c>${A:+other}</c>, <c>${A+other}</c>, nested, and <c>$$</c> for a dollar (compose-spec 12-interpolation).</summary>
internal sealed class Interpolation(IReadOnlyDictionary<string, string> variables)
{
    private const int MaxLength = 1 << 16;

    public string Apply(Node at, Diagnostics diagnostics)
    {
        var text = ((ScalarNode)at).Value;
        if (!text.Contains('$')) return text;
        var position = 0;
        return Expand(text, ref position, end: null, at, diagnostics, 0);
    }

    private string Expand(string text, ref int at, char? end, Node node, Diagnostics diagnostics, int depth)
    {
        var result = new StringBuilder();
        while (at < text.Length && text[at] != end && result.Length < MaxLength)
        {
            var c = text[at++];
            if (c != '$' || at == text.Length) result.Append(c);
            else if (text[at] == '$') result.Append(text[at++]);
            else if (text[at] == '{') result.Append(Braced(text, ref at, node, diagnostics, depth));
            else if (IsFirst(text[at])) result.Append(Value(Name(text, ref at), node, diagnostics));
            else
            {
                diagnostics.Error(node, "a '$' that starts no variable; write '$$' for a dollar sign");
                result.Append(c);
            }
        }

        return result.ToString();
    }

    private string Braced(string text, ref int at, Node node, Diagnostics diagnostics, int depth)
    {
        at++;
        var name = Name(text, ref at);
        var rest = at < text.Length ? text[at] : '\0';
        if (name.Length == 0 || depth > 8) return Broken(text, ref at, node, diagnostics);
        if (rest == '}')
        {
            at++;
            return Value(name, node, diagnostics);
        }

        var colon = rest == ':';
        if (colon) at++;
        var mark = at < text.Length ? text[at++] : '\0';
        if (mark is not ('-' or '?' or '+')) return Broken(text, ref at, node, diagnostics);
        // Inside a branch that is not taken, a missing variable is nobody's mistake.
        var set = variables.TryGetValue(name, out var value) && !(colon && value.Length == 0);
        var taken = mark == '+' ? set : !set;
        var word = Expand(text, ref at, '}', node, taken && mark != '?' ? diagnostics : new Diagnostics(), depth + 1);
        if (at >= text.Length) return Broken(text, ref at, node, diagnostics);
        at++;
        switch (mark)
        {
            case '-': return set ? value! : word;
            case '+': return set ? word : "";
            default:
                if (!set) diagnostics.Error(node, $"the variable {name} is required{(word.Length == 0 ? "" : ": " + word)}; set it in .env");
                return value ?? "";
        }
    }

    private string Value(string name, Node node, Diagnostics diagnostics)
    {
        if (variables.TryGetValue(name, out var value)) return value;
        diagnostics.Warn(node, $"the variable {name} is not set and counts as empty");
        return "";
    }

    private static string Broken(string text, ref int at, Node node, Diagnostics diagnostics)
    {
        diagnostics.Error(node, "an unfinished '${...}'; write '$$' for a dollar sign");
        at = text.Length;
        return "";
    }

    private static string Name(string text, ref int at)
    {
        var start = at;
        while (at < text.Length && (at == start ? IsFirst(text[at]) : IsFirst(text[at]) || char.IsAsciiDigit(text[at]))) at++;
        return text[start..at];
    }

    private static bool IsFirst(char c) => char.IsAsciiLetter(c) || c == '_';
}
