using System.Text.RegularExpressions;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>What a value of a board file may be. The form is data: the reader, the JSON Schema and the page of keys are all made from it.</summary>
internal abstract record FormType
{
    private FormType() { }

    /// <summary>What the value has to be, in words: "a size such as 64MiB".</summary>
    public abstract string Says { get; }

    public sealed record Text(string Says_ = "a text", string? Pattern = null) : FormType
    {
        public override string Says => Says_;
    }

    public sealed record Choice(IReadOnlyList<(string Word, string Means)> Words) : FormType
    {
        public override string Says => "one of " + string.Join(", ", Words.Select(w => w.Word));

        public static Choice Of<T>(Words<T> words)
            where T : struct, Enum => new([.. words.All.Select(w => (w.Word, w.Means))]);
    }

    /// <summary>Bytes, as <c>64MiB</c>, <c>32768</c> or <c>0x8000</c>.</summary>
    public sealed record Size(long Multiple = 1) : FormType
    {
        public override string Says => Multiple == 1 ? "a size such as 64MiB, 32768 or 0x8000" : $"a size such as 64MiB, a multiple of {Multiple} bytes";
    }

    public sealed record Whole(int From, int To) : FormType
    {
        public override string Says => From == To ? From.ToString() : $"a whole number from {From} to {To}";
    }

    public sealed record Flag : FormType
    {
        public override string Says => "true or false";
    }

    /// <summary>A partition type: a name, a GPT GUID or an MBR byte.</summary>
    public sealed record PartitionType : FormType
    {
        public override string Says => "one of " + string.Join(", ", PartitionTypes.Names) + ", a GUID, or an MBR type such as 0x0c";
    }

    /// <summary>One text, or a list of alternatives of which the first that is there counts.</summary>
    public sealed record OneOrMany(Text Item) : FormType
    {
        public override string Says => Item.Says + ", or a list of alternatives";
    }

    public sealed record List(FormType Item, int AtLeast = 0) : FormType
    {
        public override string Says => "a list";
    }

    public sealed record Map(params FormKey[] Keys) : FormType
    {
        public override string Says => "a map with the keys " + string.Join(", ", Keys.Select(k => k.Name));
    }
}

/// <summary>A key of a map: its value's type, whether it must be there, and a sentence for the reader.</summary>
internal sealed record FormKey(string Name, FormType Type, string Means, bool Required = false);

/// <summary>Holds a file against the form and notes every mistake.</summary>
internal static partial class FormCheck
{
    /// <param name="whole">False when a part of the file could not be read: then nothing is called missing at the top.</param>
    public static void Check(YamlNode node, FormType type, string path, ICollection<Diagnostic> diagnostics, bool whole = true)
    {
        switch (type, node)
        {
            case (FormType.Map form, YamlNode.Map map):
                CheckMap(map, form, path, diagnostics, whole);
                return;
            case (FormType.List form, YamlNode.List list):
                CheckItems(list, form.Item, form.AtLeast, path, diagnostics);
                return;
            case (FormType.OneOrMany form, YamlNode.List list):
                CheckItems(list, form.Item, 1, path, diagnostics);
                return;
            case (FormType.OneOrMany form, YamlNode.Scalar):
                Check(node, form.Item, path, diagnostics);
                return;
            case (FormType.Map or FormType.List, _) or (_, YamlNode.Map or YamlNode.List):
                diagnostics.Add(new(node.Place, $"`{path}` is {Kind(node)}", $"make it {type.Says}"));
                return;
            case (_, YamlNode.Scalar scalar):
                CheckScalar(scalar, type, path, diagnostics);
                return;
        }
    }

    /// <summary>Reads a size of a board file: binary units, decimal or hexadecimal bytes.</summary>
    public static long? ParseSize(string text)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            return long.TryParse(text.AsSpan(2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var hex) && hex >= 0 ? hex : null;
        }

        return ByteSize.TryParse(text, out var size) ? size.Bytes : null;
    }

    private static void CheckMap(YamlNode.Map map, FormType.Map form, string path, ICollection<Diagnostic> diagnostics, bool whole)
    {
        foreach (var entry in map.Entries)
        {
            var key = Array.Find(form.Keys, k => k.Name == entry.Key);
            if (key is not null)
            {
                Check(entry.Value, key.Type, Join(path, key.Name), diagnostics);
                continue;
            }

            var nearest = Nearest.To(entry.Key, form.Keys.Select(k => k.Name));
            var of = path.Length == 0 ? "a board file" : $"`{path}`";
            diagnostics.Add(new(entry.Place, $"`{entry.Key}` is no key of {of}",
                nearest is null ? "the keys are " + string.Join(", ", form.Keys.Select(k => k.Name)) : $"perhaps `{nearest}` was meant"));
        }

        foreach (var key in form.Keys.Where(k => whole && k.Required && map[k.Name] is null))
            diagnostics.Add(new(map.Place, $"`{Join(path, key.Name)}` is missing", "add it: " + key.Means.TrimEnd('.')));
    }

    private static void CheckItems(YamlNode.List list, FormType item, int atLeast, string path, ICollection<Diagnostic> diagnostics)
    {
        if (list.Items.Count < atLeast)
            diagnostics.Add(new(list.Place, $"`{path}` has {Count(list.Items.Count)}", $"give it at least {atLeast}"));
        for (var i = 0; i < list.Items.Count; i++) Check(list.Items[i], item, $"{path}[{i}]", diagnostics);
    }

    private static void CheckScalar(YamlNode.Scalar scalar, FormType type, string path, ICollection<Diagnostic> diagnostics)
    {
        var text = scalar.Text;
        if (text.Length == 0)
        {
            diagnostics.Add(new(scalar.Place, $"`{path}` is empty", $"give it {type.Says}, or remove the key"));
            return;
        }

        var good = type switch
        {
            FormType.Text t => t.Pattern is null || Regex.IsMatch(text, t.Pattern, RegexOptions.CultureInvariant),
            FormType.Choice c => c.Words.Any(w => w.Word == text),
            FormType.Size s => ParseSize(text) is { } bytes && bytes % s.Multiple == 0,
            FormType.Whole w => int.TryParse(text, out var number) && number >= w.From && number <= w.To,
            FormType.Flag => text is "true" or "false",
            FormType.PartitionType => PartitionTypes.Parse(text) is not null,
            _ => throw new System.Diagnostics.UnreachableException(),
        };
        if (good) return;
        var nearest = type switch
        {
            FormType.Choice c => Nearest.To(text, c.Words.Select(w => w.Word)),
            FormType.PartitionType => Nearest.To(text, PartitionTypes.Names),
            _ => null,
        };
        diagnostics.Add(new(scalar.Place, $"`{path}` is `{text}`", nearest is null ? $"make it {type.Says}" : $"perhaps `{nearest}` was meant: it is {type.Says}"));
    }

    private static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    private static string Count(int count) => count == 0 ? "no entries" : count == 1 ? "one entry" : $"{count} entries";

    private static string Kind(YamlNode node) => node switch
    {
        YamlNode.Scalar { Text.Length: 0 } => "empty",
        YamlNode.Scalar => "a single value",
        YamlNode.List => "a list",
        _ => "a map",
    };
}
