using System.Globalization;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>A partition, or a raw file, of a wic kickstart.</summary>
/// <param name="Where">Where it stands: "line 3", or "common.wks.inc line 3".</param>
/// <param name="MountPoint">Where it is mounted, or another name; null for none.</param>
/// <param name="Label">--label, or --part-name.</param>
/// <param name="Size">--fixed-size or --size in bytes.</param>
/// <param name="RawFile">The file of a rawcopy.</param>
/// <param name="Offset">First byte on the disk, where the line fixes it: --offset, or --align of a part without --size that is not in the table.</param>
/// <param name="MountOptions">--fsoptions.</param>
internal sealed record WksPart(string Where, string? MountPoint, string? Label, long? Size, string? RawFile, long? Offset, string? MountOptions);

/// <summary>What a wic kickstart says that concerns an image of ours (wic/ksparser.py; the grammar is in the Yocto reference manual, "OpenEmbedded
/// Kickstart Reference"). bitbake deploys it beside the image, variables expanded, when it was a template.</summary>
/// <param name="Parts">Its part lines, those of included files at the place of their include line.</param>
/// <param name="Append">Kernel arguments of its bootloader line.</param>
/// <param name="Unread">The include lines that lead nowhere, one sentence each.</param>
internal sealed record WksFile(IReadOnlyList<WksPart> Parts, string? Append, IReadOnlyList<string> Unread)
{
    /// <summary>Reads a kickstart. Lines and options that say nothing to us are passed over.</summary>
    /// <param name="text">The file.</param>
    /// <param name="include">Gives the text of a file that an include line names; null when it cannot be had.</param>
    public static WksFile Parse(string text, Func<string, string?> include)
    {
        var reading = new Reading(include);
        reading.Add(text, []);
        return new(reading.Parts, reading.Append, reading.Unread);
    }

    /// <summary>What was found so far in a file and those it includes.</summary>
    private sealed class Reading(Func<string, string?> include)
    {
        public List<WksPart> Parts { get; } = [];

        public List<string> Unread { get; } = [];

        public string? Append { get; private set; }

        /// <param name="text">The file.</param>
        /// <param name="names">The includes that led to it, the last one last; none for the wks itself.</param>
        public void Add(string text, IReadOnlyList<string> names)
        {
            foreach (var (line, index) in text.ReplaceLineEndings("\n").Split('\n').Select((l, i) => (l, i)))
            {
                var words = Split(line);
                if (words.Count == 0) continue;
                var where = (names.Count == 0 ? "" : names[^1] + " ") + $"line {index + 1}";
                if (words[0] == "include" && words.Count > 1) Include(words[1], where, names);
                if (words[0] is not ("bootloader" or "part" or "partition")) continue;
                var options = Options(words);
                if (words[0] == "bootloader") Append = options.GetValueOrDefault("--append");
                else Parts.Add(Part(where, words, options));
            }
        }

        private void Include(string name, string where, IReadOnlyList<string> names)
        {
            if (names.Contains(name)) Unread.Add($"{where}: it includes {name}, which includes itself; wic does not come to an end with that either, remove one of the lines.");
            else if (include(name) is { } text) Add(text, [.. names, name]);
            else Unread.Add($"{where}: it includes {name}, which is neither beside it nor in a folder of the build's WKS_SEARCH_PATH that is there; what it says is not compared. Put it into the deploy directory.");
        }
    }

    private static WksPart Part(string where, List<string> words, Dictionary<string, string> options)
    {
        var parameters = options.GetValueOrDefault("--sourceparams", "").Split(',').Select(p => p.Split('=', 2)).Where(p => p.Length == 2).ToLookup(p => p[0].Trim(), p => p[1].Trim());
        // --align is KiB; without a table it is how a wks writes the place of a loader.
        var offset = Bytes(options.GetValueOrDefault("--offset"), 1 << 10) ?? (options.ContainsKey("--no-table") ? Bytes(options.GetValueOrDefault("--align"), 1 << 10) : null);
        return new(
            where,
            words.Count > 1 && !words[1].StartsWith("--", StringComparison.Ordinal) ? words[1] : null,
            options.GetValueOrDefault("--label") ?? options.GetValueOrDefault("--part-name"),
            Bytes(options.GetValueOrDefault("--fixed-size") ?? options.GetValueOrDefault("--size"), 1 << 20),
            options.GetValueOrDefault("--source") == "rawcopy" ? parameters["file"].FirstOrDefault() : null,
            offset,
            options.GetValueOrDefault("--fsoptions"));
    }

    private static Dictionary<string, string> Options(List<string> words)
    {
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 1; i < words.Count; i++)
        {
            if (!words[i].StartsWith("--", StringComparison.Ordinal)) continue;
            var equals = words[i].IndexOf('=');
            if (equals > 0) options[words[i][..equals]] = words[i][(equals + 1)..];
            else if (i + 1 < words.Count && !words[i + 1].StartsWith("--", StringComparison.Ordinal)) options[words[i]] = words[++i];
            else options[words[i]] = "";
        }

        return options;
    }

    /// <summary>Words as a shell splits them: quotes hold together, # begins a comment.</summary>
    private static List<string> Split(string line)
    {
        var words = new List<string>();
        var word = new System.Text.StringBuilder();
        char quote = '\0';
        var any = false;
        foreach (var letter in line)
        {
            if (quote != '\0')
            {
                if (letter == quote) quote = '\0';
                else word.Append(letter);
            }
            else if (letter is '"' or '\'')
            {
                (quote, any) = (letter, true);
            }
            else if (letter == '#' && word.Length == 0)
            {
                break;
            }
            else if (!char.IsWhiteSpace(letter))
            {
                word.Append(letter);
            }
            else if (word.Length > 0 || any)
            {
                words.Add(word.ToString());
                word.Clear();
                any = false;
            }
        }

        if (word.Length > 0 || any) words.Add(word.ToString());
        return words;
    }

    /// <summary>A size with the unit s, K, M or G; <paramref name="unit"/> when it has none.</summary>
    private static long? Bytes(string? text, long unit)
    {
        if (string.IsNullOrEmpty(text)) return null;
        var factor = char.ToUpperInvariant(text[^1]) switch { 'S' => 512L, 'K' => 1L << 10, 'M' => 1L << 20, 'G' => 1L << 30, _ => 0 };
        return long.TryParse(factor == 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < long.MaxValue >> 31
            ? number * (factor == 0 ? unit : factor)
            : null;
    }
}
