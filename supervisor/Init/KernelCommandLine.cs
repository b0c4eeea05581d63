namespace OsBuild.Supervisor.Init;

/// <summary>/proc/cmdline: words, with double quotes around blanks. A later value of a key wins, as in the kernel.</summary>
internal sealed class KernelCommandLine
{
    private readonly List<(string Key, string? Value)> _words = [];

    public KernelCommandLine(string text)
    {
        foreach (var word in Words(text))
        {
            var equals = word.IndexOf('=');
            _words.Add(equals < 0 ? (word, null) : (word[..equals], word[(equals + 1)..].Trim('"')));
        }
    }

    /// <summary>The value of <c>key=value</c>, or null.</summary>
    public string? this[string key] => _words.LastOrDefault(w => w.Key == key && w.Value is not null).Value;

    /// <summary>True when the bare word is there.</summary>
    public bool Has(string word) => _words.Any(w => w.Key == word && w.Value is null);

    /// <summary>All values of a key that may come several times, such as console=.</summary>
    public IReadOnlyList<string> All(string key) => [.. _words.Where(w => w.Key == key && w.Value is not null).Select(w => w.Value!)];

    public static KernelCommandLine Current() => new(File.ReadAllText("/proc/cmdline"));

    private static IEnumerable<string> Words(string text)
    {
        var quoted = false;
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            var c = i < text.Length ? text[i] : ' ';
            if (c == '"') quoted = !quoted;
            var ends = i == text.Length || (!quoted && c is ' ' or '\n' or '\t');
            if (!ends) continue;
            if (i > start) yield return text[start..i].Trim('"') is { Length: > 0 } word ? word : text[start..i];
            start = i + 1;
        }
    }
}
