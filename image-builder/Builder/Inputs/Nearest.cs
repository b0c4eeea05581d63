namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Finds the names a person may have meant.</summary>
internal static class Nearest
{
    /// <summary>At most three names that resemble <paramref name="wanted"/>, best first.</summary>
    public static IReadOnlyList<string> To(string wanted, IEnumerable<string> names) =>
        [.. names.Distinct()
            .Select(name => (Name: name, Cost: Cost(wanted, name)))
            .Where(c => c.Cost <= Math.Max(2, wanted.Length / 2))
            .OrderBy(c => c.Cost).ThenBy(c => c.Name, StringComparer.Ordinal)
            .Take(3).Select(c => c.Name)];

    /// <summary><c>; near it are a and b</c>, or nothing.</summary>
    public static string Hint(string wanted, IEnumerable<string> names)
    {
        var near = To(wanted, names);
        return near.Count switch
        {
            0 => "",
            1 => $"; near it is {near[0]}",
            _ => $"; near it are {string.Join(", ", near.Take(near.Count - 1))} and {near[^1]}",
        };
    }

    // A name that contains the wanted one, or the other way round, is closer than its length says: Image.gz for Image, bcm2711-rpi-4-b.dtb for rpi-4-b.dtb.
    private static int Cost(string wanted, string name)
    {
        var distance = Distance(wanted, name);
        var shorter = Math.Min(wanted.Length, name.Length);
        var contained = shorter >= 4 && (wanted.Contains(name, StringComparison.OrdinalIgnoreCase) || name.Contains(wanted, StringComparison.OrdinalIgnoreCase));
        return contained ? Math.Min(distance, 1 + Math.Abs(wanted.Length - name.Length) / 8) : distance;
    }

    /// <summary>Levenshtein's distance, letters of either case being equal.</summary>
    internal static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substitute = diagonal + (char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitute, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[b.Length];
    }
}
