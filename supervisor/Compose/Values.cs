using System.Globalization;
using System.Text.RegularExpressions;

namespace OsBuild.Supervisor.Compose;

/// <summary>Reads the value forms compose files use, adding a remark where one is wrong and going on with null.</summary>
internal sealed class Values(Diagnostics diagnostics)
{
    public string? Text(Node? node)
    {
        if (node is null or { IsNull: true }) return null;
        if (node is ScalarNode scalar) return scalar.Value;
        diagnostics.Error(node, $"must be a single value, but is {node.Kind}");
        return null;
    }

    public bool? Flag(Node? node)
    {
        if (Text(node) is not { } text) return null;
        switch (text.ToLowerInvariant())
        {
            case "true" or "yes" or "on": return true;
            case "false" or "no" or "off": return false;
            default:
                diagnostics.Error(node!, $"must be true or false, not '{text}'");
                return null;
        }
    }

    public long? Whole(Node? node, long least = long.MinValue, long most = long.MaxValue)
    {
        if (Text(node) is not { } text) return null;
        if (long.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= least && number <= most) return number;
        diagnostics.Error(node!, $"must be a whole number{Range(least, most)}, not '{text}'");
        return null;
    }

    /// <summary>A number of CPUs in nano-CPUs.</summary>
    public long? Cpus(Node? node)
    {
        if (Text(node) is not { } text) return null;
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 4096)
            return number == 0 ? null : (long)(number * 1_000_000_000m);
        diagnostics.Error(node!, $"must be a number of CPUs such as 0.5, not '{text}'");
        return null;
    }

    /// <summary>A size in bytes: <c>64m</c>, <c>1.5gb</c>, <c>1024</c>.</summary>
    public long? Size(Node? node, bool minusOne = false)
    {
        if (Text(node) is not { } text) return null;
        if (minusOne && text == "-1") return -1;
        var match = SizePattern.Match(text);
        if (match.Success && decimal.TryParse(match.Groups[1].Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            var factor = match.Groups[2].Value.ToLowerInvariant() switch { "" or "b" => 1L, var u when u[0] == 'k' => 1L << 10, var u when u[0] == 'm' => 1L << 20, var u when u[0] == 'g' => 1L << 30, _ => 1L << 40 };
            if (number <= long.MaxValue / factor) return (long)(number * factor);
        }

        diagnostics.Error(node!, $"must be a size such as 64m or 1gb, not '{text}'");
        return null;
    }

    /// <summary>A time: <c>30s</c>, <c>1m30s</c>, <c>500ms</c>, <c>2h</c>; a bare number is seconds.</summary>
    public TimeSpan? Time(Node? node)
    {
        if (Text(node) is not { } text) return null;
        if (TryTime(text, out var time)) return time;
        diagnostics.Error(node!, $"must be a time such as 30s or 1m30s, not '{text}'");
        return null;
    }

    public static bool TryTime(string text, out TimeSpan time)
    {
        time = default;
        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var bare) && bare < 1e9)
        {
            time = TimeSpan.FromSeconds(bare);
            return true;
        }

        var match = TimePattern.Match(text);
        if (text.Length == 0 || !match.Success) return false;
        double seconds = 0;
        for (var i = 0; i < match.Groups["number"].Captures.Count; i++)
        {
            if (!double.TryParse(match.Groups["number"].Captures[i].Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
            seconds += number * match.Groups["unit"].Captures[i].Value switch { "us" or "µs" => 1e-6, "ms" => 1e-3, "s" => 1, "m" => 60, "h" => 3600, "d" => 86400, _ => 604800 };
        }

        if (seconds > 1e9) return false;
        time = TimeSpan.FromSeconds(seconds);
        return true;
    }

    /// <summary>A list of single values; one value alone counts as a list of one.</summary>
    public List<string>? List(Node? node)
    {
        switch (node)
        {
            case null or { IsNull: true }: return null;
            case ScalarNode scalar: return [scalar.Value];
            case ListNode list: return [.. list.Items.Select(Text).OfType<string>()];
            default:
                diagnostics.Error(node, "must be a list");
                return null;
        }
    }

    /// <summary>A command: a list as it is, or one line split like a shell would.</summary>
    public List<string>? Command(Node? node)
    {
        if (node is not ScalarNode { IsNull: false } scalar) return node is null or { IsNull: true } ? null : List(node);
        if (Words(scalar.Value) is { } words) return words;
        diagnostics.Error(node, "a quote is not closed");
        return null;
    }

    /// <summary>A map, or a list of <c>KEY=VALUE</c>. A key without a value is null.</summary>
    public SortedDictionary<string, string?>? Pairs(Node? node, string separators = "=")
    {
        if (node is null or { IsNull: true }) return null;
        var pairs = new SortedDictionary<string, string?>(StringComparer.Ordinal);
        switch (node)
        {
            case MapNode map:
                foreach (var (key, value) in map.Entries) pairs[key] = Text(value);
                break;
            case ListNode list:
                foreach (var item in list.Items)
                {
                    if (Text(item) is not { } text) continue;
                    var at = text.IndexOfAny(separators.ToCharArray());
                    if (at < 0) pairs[text] = null;
                    else pairs[text[..at]] = text[(at + 1)..];
                }

                break;
            default:
                diagnostics.Error(node, "must be a map or a list of KEY=VALUE");
                return null;
        }

        return pairs;
    }

    /// <summary>Pairs where a missing value is the empty text.</summary>
    public SortedDictionary<string, string>? Map(Node? node)
    {
        if (Pairs(node) is not { } pairs) return null;
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in pairs) map[key] = value ?? "";
        return map.Count == 0 ? null : map;
    }

    public T? OneOf<T>(Node? node, params (string Name, T Value)[] choices) where T : struct
    {
        if (Text(node) is not { } text) return null;
        foreach (var (name, value) in choices) if (name == text) return value;
        diagnostics.Error(node!, $"must be {string.Join(" or ", choices.Select(c => c.Name))}, not '{text}'");
        return null;
    }

    /// <summary>Splits a line into words with shell quotes; null when a quote is open.</summary>
    public static List<string>? Words(string line)
    {
        var words = new List<string>();
        System.Text.StringBuilder? word = null;
        var quote = '\0';
        for (var i = 0; i < line.Length; i++)
        {
            var c = line[i];
            if (quote == 0 && char.IsWhiteSpace(c))
            {
                if (word is not null) words.Add(word.ToString());
                word = null;
            }
            else if (quote == 0 && c is '"' or '\'' && (quote == 0 || quote == c))
            {
                quote = quote == 0 ? c : '\0';
                word ??= new();
            }
            else if (c == quote)
            {
                quote = '\0';
            }
            else if (c == '\\' && quote != '\'' && i + 1 < line.Length)
            {
                (word ??= new()).Append(line[++i]);
            }
            else
            {
                (word ??= new()).Append(c);
            }
        }

        if (quote != 0) return null;
        if (word is not null) words.Add(word.ToString());
        return words;
    }

    private static string Range(long least, long most) => (least, most) switch
    {
        (long.MinValue, long.MaxValue) => "",
        (_, long.MaxValue) => $" of at least {least}",
        _ => $" from {least} to {most}",
    };

    private static readonly Regex SizePattern = new(@"^([0-9]+(?:\.[0-9]+)?)\s*([bB]|[kKmMgGtT](?:i?[bB])?)?$");

    private static readonly Regex TimePattern = new(@"^(?:(?<number>[0-9]+(?:\.[0-9]+)?)(?<unit>us|µs|ms|s|m|h|d|w))+$");
}
