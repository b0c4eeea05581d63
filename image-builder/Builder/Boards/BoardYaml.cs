using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>A value of a YAML file with the line it stands on.</summary>
internal abstract record YamlNode(Place Place)
{
    public sealed record Scalar(Place Place, string Text) : YamlNode(Place);

    public sealed record List(Place Place, IReadOnlyList<YamlNode> Items) : YamlNode(Place);

    public sealed record Map(Place Place, IReadOnlyList<Entry> Entries) : YamlNode(Place)
    {
        public YamlNode? this[string key] => Entries.FirstOrDefault(e => e.Key == key)?.Value;
    }

    /// <summary>A key with its value.</summary>
    public sealed record Entry(string Key, Place Place, YamlNode Value);
}

/// <summary>
/// Reads YAML into nodes by the event parser alone: no reflection, and every value keeps its line. Of YAML it takes one document of maps, lists and
/// scalars; anchors, aliases, tags and merge keys are refused, because a board file must say what it means where it stands.
/// </summary>
internal static class BoardYaml
{
    /// <summary>A board file is a page of text; deeper nesting than this is a mistake, and must not become a stack overflow.</summary>
    private const int MaxDepth = 16;

    public static YamlNode.Map? Read(TextReader text, string fileName, ICollection<Diagnostic> diagnostics)
    {
        Pass? pass = null;
        try
        {
            var all = text.ReadToEnd();
            var tab = Array.FindIndex(all.Split('\n'), l => l.TrimStart(' ').StartsWith('\t'));
            if (tab >= 0)
            {
                // YamlDotNet tells of a tab at the start of the map around it, which is of no use to anyone.
                diagnostics.Add(new(new(fileName, tab + 1), "a tab indents this line, and YAML takes only spaces", "replace it by spaces"));
                return null;
            }

            var parser = new Parser(new StringReader(all));
            parser.Consume<StreamStart>();
            if (!parser.Accept<DocumentStart>(out _))
            {
                diagnostics.Add(new(new(fileName, 1), "the file is empty", "begin with `schema: 1`"));
                return null;
            }

            parser.Consume<DocumentStart>();
            pass = new Pass(parser, fileName, diagnostics);
            var root = pass.Read(0);
            parser.Consume<DocumentEnd>();
            if (parser.Accept<DocumentStart>(out var second))
                diagnostics.Add(new(At(fileName, second), "a second YAML document begins here", "keep one board in one file"));
            if (root is YamlNode.Map map) return map;
            diagnostics.Add(new(root.Place, "the file is not a map of keys", "begin with `schema: 1`, then one `key: value` a line"));
        }
        catch (InvalidOperationException)
        {
            // The parser's own complaint when the text ends inside a bracket that a comment has swallowed.
            diagnostics.Add(new(new(fileName, pass?.LastLine ?? 1), "this is not YAML: the file ends inside a bracket or quote", "close it; a bracket after # is part of the comment"));
        }
        catch (YamlException e)
        {
            diagnostics.Add(new(new(fileName, (int)Math.Max(e.Start.Line, e.End.Line)), "this is not YAML: " + Sentence(e), "mend the indentation, quotes or brackets here"));
        }

        return null;
    }

    /// <summary>Lays a board over its family: maps are merged key by key, everything else is the child's.</summary>
    public static YamlNode.Map Merge(YamlNode.Map parent, YamlNode.Map child)
    {
        var entries = new List<YamlNode.Entry>();
        foreach (var entry in parent.Entries)
        {
            var over = child.Entries.FirstOrDefault(e => e.Key == entry.Key);
            entries.Add(over switch
            {
                null => entry,
                { Value: YamlNode.Map childMap } when entry.Value is YamlNode.Map parentMap => over with { Value = Merge(parentMap, childMap) },
                _ => over,
            });
        }

        entries.AddRange(child.Entries.Where(e => parent[e.Key] is null));
        return child with { Entries = entries };
    }

    /// <summary>One pass over a text. It remembers how far it came, for the errors that YamlDotNet reports without a place.</summary>
    private sealed class Pass(Parser parser, string file, ICollection<Diagnostic> diagnostics)
    {
        public int LastLine { get; private set; } = 1;

        public YamlNode Read(int depth)
        {
            if (parser.Accept<NodeEvent>(out var node) && (!node.Anchor.IsEmpty || (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific)))
                diagnostics.Add(new(At(node), "anchors, aliases and tags are not part of a board file", "write the value out here, or use `extends`"));
            var place = At(parser.Current!);
            if (depth > MaxDepth) throw new SemanticErrorException(parser.Current!.Start, parser.Current.End, "nested too deeply");
            if (parser.TryConsume<Scalar>(out var scalar)) return new YamlNode.Scalar(place, scalar.Value);
            if (parser.TryConsume<AnchorAlias>(out _))
            {
                diagnostics.Add(new(place, "anchors, aliases and tags are not part of a board file", "write the value out here, or use `extends`"));
                return new YamlNode.Scalar(place, "alias");
            }

            if (parser.TryConsume<SequenceStart>(out _))
            {
                var items = new List<YamlNode>();
                while (!parser.TryConsume<SequenceEnd>(out _)) items.Add(Read(depth + 1));
                return new YamlNode.List(place, items);
            }

            parser.Consume<MappingStart>();
            var entries = new List<YamlNode.Entry>();
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                var key = parser.Consume<Scalar>();
                var keyPlace = At(key);
                var value = Read(depth + 1);
                if (entries.Find(e => e.Key == key.Value) is { } first)
                    diagnostics.Add(new(keyPlace, $"`{key.Value}` is given twice, first on line {first.Place.Line}", "keep one of the two"));
                else
                    entries.Add(new(key.Value, keyPlace, value));
            }

            return new YamlNode.Map(place, entries);
        }

        private Place At(ParsingEvent e)
        {
            LastLine = (int)e.Start.Line;
            return new(file, LastLine);
        }
    }

    private static Place At(string file, ParsingEvent e) => new(file, (int)e.Start.Line);

    private static string Sentence(YamlException e) => e.Message.TrimEnd('.', '\n').ReplaceLineEndings(" ");
}
