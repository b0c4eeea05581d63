using OsBuild.Supervisor.Yaml;
using YamlDotNet.Core;

namespace OsBuild.Supervisor.Compose;

/// <summary>Turns YAML text into nodes: anchors and <c>&lt;&lt;</c> merges resolved, variables put in. Bounded, because the file may come
/// from anywhere: depth, size and the growth that aliases allow all have a limit.</summary>
internal sealed class YamlTree(string file, Interpolation variables, Diagnostics diagnostics)
{
    public const int MaxLength = 1 << 20;
    private const int MaxDepth = 32;
    private const int MaxNodes = 50_000;

    private int nodes;

    public MapNode? Read(string text)
    {
        var start = new ScalarNode(file, 1, "", "", Plain: true);
        if (text.Length > MaxLength)
        {
            diagnostics.Error(start, $"the file has more than {MaxLength / 1024} KiB; a compose file is smaller");
            return null;
        }

        try
        {
            // The parser recurses, so deep nesting is refused before it can end the process.
            if (Depth(text) > MaxDepth * 4)
            {
                diagnostics.Error(start, "the file is nested too deeply");
                return null;
            }

            var documents = YamlReader.Documents(text);
            if (documents.Count == 0) return new MapNode(file, 1, "", []);
            if (documents.Count > 1) diagnostics.Error(start, "the file has several documents; only one is read");
            var root = Convert(documents[0], "", 0);
            if (root is MapNode map) return map;
            if (root is { IsNull: true }) return new MapNode(file, 1, "", []);
            diagnostics.Error(root, $"the file must be a map with services, but is {root.Kind}");
        }
        catch (YamlException e)
        {
            var message = e.InnerException?.Message ?? e.Message;
            diagnostics.Add(new(file, (int)Math.Max(1, e.Start.Line), "", "not valid YAML: " + message.ReplaceLineEndings(" ")));
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException or NullReferenceException or IndexOutOfRangeException)
        {
            // The parser's own slips on some malformed texts (found by fuzzing); the text is at fault, not the device.
            diagnostics.Add(new(file, 1, "", "not valid YAML"));
        }

        return null;
    }

    private static int Depth(string text)
    {
        var (deepest, flow) = (0, 0);
        foreach (var c in text)
        {
            if (c is '[' or '{') deepest = Math.Max(deepest, ++flow);
            else if (c is ']' or '}') flow = Math.Max(0, flow - 1);
        }

        var indents = new HashSet<int>();
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var rest = line.TrimStart(' ');
            // "- - - -" nests without indentation.
            var dashes = 0;
            for (; rest.StartsWith("- "); rest = rest[2..]) dashes++;
            deepest = Math.Max(deepest, dashes);
            if (!rest.IsEmpty) indents.Add(line.Length - rest.Length);
        }

        return deepest + indents.Count;
    }

    private Node Convert(YamlNode node, string path, int depth)
    {
        var line = (int)node.Start.Line;
        if (depth > MaxDepth) throw new YamlException(node.Start, node.End, "nested too deeply");
        if (++nodes > MaxNodes) throw new YamlException(node.Start, node.End, "too many values (aliases that multiply each other?)");
        switch (node.Tag)
        {
            case "!reset":
                return new ScalarNode(file, line, path, "", Plain: true);
            case "!override":
                return ConvertValue(node, path, depth) with { Replaces = true };
            // YAML's own tags (!!str) and the mark for a text (!) say nothing new.
            case var tag when tag.Length > 1 && tag[0] == '!':
                diagnostics.Add(new(file, line, path, $"the tag {tag} is not known; known are !reset and !override"));
                break;
        }

        return ConvertValue(node, path, depth);
    }

    private Node ConvertValue(YamlNode node, string path, int depth)
    {
        var line = (int)node.Start.Line;
        switch (node)
        {
            case YamlScalarNode scalar:
                var here = new ScalarNode(file, line, path, scalar.Value, scalar.Plain);
                return here with { Value = variables.Apply(here, diagnostics) };
            case YamlSequenceNode list:
                return new ListNode(file, line, path, [.. list.Children.Select((c, i) => Convert(c, $"{path}[{i}]", depth + 1))]);
            case YamlMappingNode map:
                return ConvertMap(map, path, depth);
            default:
                throw new YamlException(node.Start, node.End, "an unknown kind of value");
        }
    }

    private MapNode ConvertMap(YamlMappingNode map, string path, int depth)
    {
        var entries = new List<KeyValuePair<string, Node>>();
        var merged = new List<MapNode>();
        foreach (var (keyNode, valueNode) in map.Children)
        {
            if (keyNode is not YamlScalarNode { Value: var key }) throw new YamlException(keyNode.Start, keyNode.End, "a key must be a single value");
            if (key == "<<")
            {
                foreach (var source in valueNode is YamlSequenceNode several ? several.Children : [valueNode])
                    if (Convert(source, path, depth + 1) is MapNode other) merged.Add(other);
                    else throw new YamlException(source.Start, source.End, "'<<' needs a map or a list of maps");
                continue;
            }

            var value = Convert(valueNode, path.Length == 0 ? key : $"{path}.{key}", depth + 1);
            // The line of a value that spans lines is where its key stands.
            entries.Add(new(key, value with { Line = (int)keyNode.Start.Line }));
        }

        foreach (var (key, value) in merged.SelectMany(m => m.Entries))
            if (!entries.Exists(e => e.Key == key)) entries.Add(new(key, value));
        return new MapNode(file, (int)map.Start.Line, path, entries);
    }
}
