using System.Globalization;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Ranges of versions as contracts write them (semver.org, with npm's shorthands): <c>&gt;=19.0.0</c>, <c>^1.2</c>, <c>~6.1.3</c>,
/// <c>1.x</c>, <c>1.2 - 2</c>, <c>&gt;=1 &lt;3 || 5</c>.</summary>
internal static class VersionRange
{
    public static bool Contains(string range, string version) =>
        Version.Parse(version) is { } v && range.Split("||").Any(part => All(part.Trim(), v));

    private static bool All(string part, Version version)
    {
        if (part.Split(" - ") is [var low, var high]) return Matches(">=" + low.Trim(), version) && Matches("<=" + high.Trim(), version);
        // "> = 1" and ">= 1" are written as well.
        foreach (var sign in (string[])["^", "~", ">=", "<=", ">", "<", "="]) part = part.Replace(sign + " ", sign, StringComparison.Ordinal);
        return part.Split(' ', StringSplitOptions.RemoveEmptyEntries).All(c => Matches(c, version));
    }

    private static bool Matches(string comparator, Version version)
    {
        var sign = new string([.. comparator.TakeWhile(c => "^~<>=".Contains(c))]);
        var text = comparator[sign.Length..].TrimStart('v');
        if (text is "" or "*" or "x" or "X") return sign is not ("<" or ">");
        if (Version.Parse(text) is not { } from) return false;
        var next = from.After(from.Given);
        return sign switch
        {
            ">=" => version.CompareTo(from) >= 0,
            ">" => from.Given < 3 ? version.CompareTo(next) >= 0 : version.CompareTo(from) > 0,
            "<" => version.CompareTo(from) < 0,
            "<=" => from.Given < 3 ? version.CompareTo(next) < 0 : version.CompareTo(from) <= 0,
            "^" => version.CompareTo(from) >= 0 && version.CompareTo(from.After(from.Major > 0 || from.Given < 2 ? 1 : from.Minor > 0 || from.Given < 3 ? 2 : 3)) < 0,
            "~" => version.CompareTo(from) >= 0 && version.CompareTo(from.After(Math.Min(2, from.Given))) < 0,
            "" or "=" => from.Given < 3 ? version.CompareTo(from) >= 0 && version.CompareTo(next) < 0 : version.CompareTo(from) == 0,
            _ => false,
        };
    }

    /// <param name="Major">First number.</param>
    /// <param name="Minor">Second number.</param>
    /// <param name="Patch">Third number.</param>
    /// <param name="Before">What stands after a hyphen: a pre-release, lower than the same version without it.</param>
    /// <param name="Given">How many numbers were written.</param>
    private sealed record Version(int Major, int Minor, int Patch, string Before, int Given) : IComparable<Version>
    {
        public static Version? Parse(string text)
        {
            text = text.Trim().TrimStart('v');
            if (text.IndexOf('+') is >= 0 and var plus) text = text[..plus];
            var dash = text.IndexOf('-');
            var numbers = (dash < 0 ? text : text[..dash]).Split('.').TakeWhile(n => n is not ("x" or "X" or "*")).ToList();
            if (numbers.Count is 0 or > 3) return null;
            var parsed = new int[3];
            for (var i = 0; i < numbers.Count; i++)
                if (!int.TryParse(numbers[i], NumberStyles.None, CultureInfo.InvariantCulture, out parsed[i])) return null;
            return new(parsed[0], parsed[1], parsed[2], dash < 0 ? "" : text[(dash + 1)..], numbers.Count);
        }

        /// <summary>The first version after all that share the first <paramref name="places"/> numbers.</summary>
        public Version After(int places) => places switch { 1 => new(Major + 1, 0, 0, "0", 3), 2 => new(Major, Minor + 1, 0, "0", 3), _ => new(Major, Minor, Patch + 1, "0", 3) };

        public int CompareTo(Version? other)
        {
            var order = (Major, Minor, Patch).CompareTo((other!.Major, other.Minor, other.Patch));
            if (order != 0 || Before == other.Before) return order;
            if (Before.Length == 0 || other.Before.Length == 0) return Before.Length == 0 ? 1 : -1;
            var (a, b) = (Before.Split('.'), other.Before.Split('.'));
            for (var i = 0; i < Math.Min(a.Length, b.Length); i++)
            {
                var numbers = int.TryParse(a[i], out var x) & int.TryParse(b[i], out var y);
                var step = numbers ? x.CompareTo(y) : char.IsAsciiDigit(a[i].FirstOrDefault()) != char.IsAsciiDigit(b[i].FirstOrDefault()) ? (char.IsAsciiDigit(a[i].FirstOrDefault()) ? -1 : 1) : string.CompareOrdinal(a[i], b[i]);
                if (step != 0) return step;
            }

            return a.Length.CompareTo(b.Length);
        }
    }
}
