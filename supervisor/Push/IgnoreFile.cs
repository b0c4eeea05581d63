namespace OsBuild.Supervisor.Push;

/// <summary>The rules of a <c>.dockerignore</c>: the last line that fits a path, or a folder it lies in, decides. Pure.</summary>
/// <remarks>As the engine's own command line reads it: <c>*</c> and <c>?</c> stay within one name, <c>**</c> crosses folders, <c>!</c> takes back.</remarks>
internal sealed class IgnoreFile
{
    private readonly List<(string[] Parts, bool Back)> rules = [];

    public IgnoreFile(string text)
    {
        foreach (var line in text.Split('\n'))
        {
            var rule = line.Trim();
            if (rule.Length == 0 || rule.StartsWith('#')) continue;
            var back = rule.StartsWith('!');
            var parts = (back ? rule[1..] : rule).Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p is not ".").ToArray();
            if (parts.Length > 0) rules.Add((parts, back));
        }
    }

    /// <summary>Some rule takes files back, so that an ignored folder must still be looked into.</summary>
    public bool TakesBack => rules.Exists(r => r.Back);

    /// <param name="path">Relative to the folder, with '/'.</param>
    public bool Ignores(string path)
    {
        var names = path.Split('/');
        var ignored = false;
        foreach (var (parts, back) in rules)
            if (ignored == back && Enumerable.Range(1, names.Length).Any(n => Fits(parts, names.AsSpan(0, n)))) ignored = !back;
        return ignored;
    }

    private static bool Fits(ReadOnlySpan<string> parts, ReadOnlySpan<string> names)
    {
        if (parts.Length == 0) return names.Length == 0;
        if (parts[0] != "**") return names.Length > 0 && FitsName(parts[0], names[0]) && Fits(parts[1..], names[1..]);
        for (var skip = 0; skip <= names.Length; skip++)
            if (Fits(parts[1..], names[skip..])) return true;
        return false;
    }

    /// <summary>One star to go back to is enough: what an earlier one took can be taken by the last one as well.</summary>
    private static bool FitsName(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        var (p, n, star, from) = (0, 0, -1, 0);
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*') (star, from, p) = (p, n, p + 1);
            else if (p < pattern.Length && FitsOne(pattern[p..], name[n], out var length)) (p, n) = (p + length, n + 1);
            else if (star >= 0) (p, n, from) = (star + 1, from + 1, from + 1);
            else return false;
        }

        return pattern[p..].Trim('*').IsEmpty;
    }

    /// <summary>The pattern's next element against one character; its length in the pattern.</summary>
    private static bool FitsOne(ReadOnlySpan<char> pattern, char c, out int length)
    {
        length = 1;
        switch (pattern[0])
        {
            case '?':
                return true;
            case '[' when pattern.IndexOf(']') is var end and > 1:
                length = end + 1;
                return FitsClass(pattern[1..end], c);
            case '\\' when pattern.Length > 1:
                length = 2;
                return pattern[1] == c;
            default:
                return pattern[0] == c;
        }
    }

    private static bool FitsClass(ReadOnlySpan<char> set, char c)
    {
        var not = set[0] == '^';
        var found = false;
        for (var i = not ? 1 : 0; i < set.Length; i++)
            if (i + 2 < set.Length && set[i + 1] == '-')
            {
                found |= c >= set[i] && c <= set[i + 2];
                i += 2;
            }
            else
            {
                found |= c == set[i];
            }

        return found != not;
    }
}
