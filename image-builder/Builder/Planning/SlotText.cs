using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Planning;

/// <summary>What a slot's text names that is another's in the other slot.</summary>
/// <param name="PartUuid">PARTUUID of root-a, as the kernel prints it.</param>
/// <param name="RootA">Name of root-a.</param>
/// <param name="RootB">Name of root-b; null when the disk has none.</param>
internal sealed record SlotNames(string PartUuid, string RootA, string? RootB);

/// <summary>The texts that name a slot, with words in the places of what only the device knows: <c>@SLOT@</c> for a or b, <c>@ROOT@</c> for the PARTUUID
/// of the slot's root, <c>@SORT@</c> for the number in systemd-boot's sort-key. Every place is looked for where the loader reads it; a text that has
/// one too few, one too many or one elsewhere is a problem, for the device would boot half of one slot and half of the other. Pure.</summary>
internal static class SlotText
{
    public const string Slot = "@SLOT@", Root = "@ROOT@", Sort = "@SORT@";

    private const string FolderA = BootText.Slot + "/", SlotA = "osbuild.slot=a";

    /// <summary>What stands behind the key of a line.</summary>
    [Flags]
    private enum Holds
    {
        Nothing = 0,

        /// <summary>Paths of the boot partition, all in the slot's folder. With a command line behind it, one.</summary>
        Paths = 1,

        /// <summary>The kernel command line.</summary>
        Command = 2,

        /// <summary>The sort-key.</summary>
        Sort = 4,
    }

    /// <summary>A form of text: how key and value are parted, and what is behind which key. Keys that must be there once are not optional.</summary>
    private sealed record Form(char Separator, params (string Key, Holds Holds, bool Optional)[] Keys);

    private static Form? FormOf(string path) => path[(path.LastIndexOf('/') + 1)..] switch
    {
        "boot.env" => new('=', ("bootargs", Holds.Command, false), ("kernel", Holds.Paths, false), ("initrd", Holds.Paths, true), ("devicetree", Holds.Paths, true)),
        "grub.cfg" => new(' ', ("linux", Holds.Paths | Holds.Command, false), ("initrd", Holds.Paths, true), ("devicetree", Holds.Paths, true)),
        "entry.conf" => new(' ', ("sort-key", Holds.Sort, false), ("linux", Holds.Paths, false), ("initrd", Holds.Paths, true), ("devicetree", Holds.Paths, true), ("options", Holds.Command, false)),
        "config.txt" => new('=', ("os_prefix", Holds.Paths, false)),
        "cmdline.txt" => new('\0', ("", Holds.Command, false)),
        _ => null,
    };

    /// <summary>A text of slot a with the words in it; null, with problems, when it is not such a text.</summary>
    /// <param name="path">Its path in the host image, which says of what form it is.</param>
    /// <param name="text">The text as it lies on the boot partition.</param>
    /// <param name="names">What it names.</param>
    /// <param name="problems">Takes what is wrong.</param>
    public static string? Template(string path, string text, SlotNames names, Problems problems)
    {
        var form = FormOf(path) ?? throw new ArgumentException($"{path} is no text that names a slot.", nameof(path));
        var wrong = new List<string>();
        var found = new List<string>();
        var sort = BootText.NewestSort;
        var lines = text.Split('\n').Select(line =>
        {
            var end = form.Separator == '\0' ? 0 : line.IndexOf(form.Separator);
            var key = form.Keys.FirstOrDefault(k => end >= 0 && line.Length > 0 && k.Key == line[..end]);
            if (key.Holds == Holds.Nothing)
            {
                if (Names(line, names)) wrong.Add($"names slot a in the line \"{line}\", where no loader reads it");
                return line;
            }

            found.Add(key.Key);
            var value = form.Separator == '\0' ? line : line[(end + 1)..];
            if (key.Holds == Holds.Sort) sort = value[Math.Min(value.Length, BootText.SortKey.Length)..];
            return line[..^value.Length] + Value(key.Holds, value, names, wrong);
        }).ToList();
        wrong.AddRange(form.Keys.Where(k => !k.Optional && found.Count(f => f == k.Key) != 1).Select(k =>
            $"has {found.Count(f => f == k.Key)} {(k.Key.Length == 0 ? "command lines" : $"lines with {k.Key}")} instead of one"));
        var template = string.Join('\n', lines);
        // What a device makes of it for slot a must be the text that slot a has.
        if (wrong.Count == 0 && Fill(template, "a", names.PartUuid, sort) != text) wrong.Add($"has one of the words {Slot}, {Root} and {Sort}, which stand for what the device fills in");
        foreach (var what in wrong) problems.Add($"{path} of slot a {what}; so it cannot be made to fit the other slot: build the image again.");
        return wrong.Count == 0 ? template : null;
    }

    /// <summary>What a device makes of a template.</summary>
    public static string Fill(string template, string slot, string partUuid, string sort) => template
        .Replace(Slot, slot, StringComparison.Ordinal).Replace(Root, partUuid, StringComparison.Ordinal).Replace(Sort, sort, StringComparison.Ordinal);

    private static string Value(Holds holds, string value, SlotNames names, List<string> wrong)
    {
        if (holds == Holds.Sort) return SortKey(value, wrong);
        var words = value.Split(' ');
        var paths = holds == Holds.Paths ? words.Length : holds == Holds.Command ? 0 : 1;
        for (var i = 0; i < paths; i++) words[i] = Path(words[i], names, wrong);
        if ((holds & Holds.Command) != 0) Command(words.AsSpan(paths), names, wrong);
        return string.Join(' ', words);
    }

    private static string SortKey(string value, List<string> wrong)
    {
        if (value.StartsWith(BootText.SortKey, StringComparison.Ordinal) && value[BootText.SortKey.Length..] is { Length: > 0 } number && number.All(char.IsAsciiDigit)) return BootText.SortKey + Sort;
        wrong.Add($"has the sort-key \"{value}\" instead of {BootText.SortKey}NUMBER");
        return value;
    }

    private static string Path(string path, SlotNames names, List<string> wrong)
    {
        var top = path.StartsWith('/') ? 1 : 0;
        if (path.AsSpan(top).StartsWith(FolderA, StringComparison.Ordinal) && path[(top + FolderA.Length)..] is var name && !Names(name, names)) return $"{path[..top]}slot-{Slot}/{name}";
        wrong.Add($"takes \"{path}\", which is not in {BootText.Slot}");
        return path;
    }

    private static void Command(Span<string> words, SlotNames names, List<string> wrong)
    {
        var (slots, roots) = (0, 0);
        foreach (ref var word in words)
        {
            if (word.TrimEnd('\r') == SlotA)
            {
                slots++;
                word = word.Replace(SlotA, $"osbuild.slot={Slot}", StringComparison.Ordinal);
            }
            else if (word.StartsWith("root=", StringComparison.Ordinal))
            {
                roots++;
                if (RootWord(word.TrimEnd('\r'), names) is { } root) word = root + (word.EndsWith('\r') ? "\r" : "");
                else wrong.Add($"has {word.TrimEnd('\r')} in its command line, which is not the partition {names.RootA} by its id or name");
            }
            else if (Names(word, names))
            {
                wrong.Add($"has {word} in its command line, which names slot a where only the builder would");
            }
        }

        if (slots != 1) wrong.Add($"has {slots} words {SlotA} in its command line instead of one");
        if (roots != 1) wrong.Add($"has {roots} words root= in its command line instead of one");
    }

    /// <summary>The two forms that the builder writes. A label or an id of the file system would be the same in both slots.</summary>
    private static string? RootWord(string word, SlotNames names)
    {
        if (word == "root=PARTUUID=" + names.PartUuid) return "root=PARTUUID=" + Root;
        return word == "root=PARTLABEL=" + names.RootA && NameOfBoth(names) is { } name ? "root=PARTLABEL=" + name : null;
    }

    /// <summary><c>root-@SLOT@</c> for root-a and root-b; null when the names differ in more than that.</summary>
    private static string? NameOfBoth(SlotNames names)
    {
        if (names.RootB is not { } other || !names.RootA.EndsWith('a') || other != names.RootA[..^1] + "b") return null;
        return names.RootA[..^1] + Slot;
    }

    private static bool Names(string text, SlotNames names) => text.Contains(FolderA, StringComparison.Ordinal) || text.Contains("osbuild.slot=", StringComparison.Ordinal)
        || text.Contains(names.PartUuid, StringComparison.OrdinalIgnoreCase) || text.Contains("PARTLABEL=" + names.RootA, StringComparison.Ordinal);
}
