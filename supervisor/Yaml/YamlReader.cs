using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace OsBuild.Supervisor.Yaml;

/// <summary>A value of a YAML text as it stands there: tags and places kept, nothing interpreted.</summary>
internal abstract class YamlNode(NodeEvent from)
{
    public Mark Start { get; } = from.Start;
    public Mark End { get; } = from.End;

    /// <summary>An explicit tag (<c>!reset</c>), or empty.</summary>
    public string Tag { get; } = from.Tag.IsEmpty ? "" : from.Tag.Value;
}

internal sealed class YamlScalarNode(Scalar from) : YamlNode(from)
{
    public string Value { get; } = from.Value;

    /// <summary>Written without quotes or a block mark.</summary>
    public bool Plain { get; } = from.Style is ScalarStyle.Plain or ScalarStyle.Any;
}

internal sealed class YamlSequenceNode(SequenceStart from) : YamlNode(from)
{
    public List<YamlNode> Children { get; } = [];
}

internal sealed class YamlMappingNode(MappingStart from) : YamlNode(from)
{
    public List<KeyValuePair<YamlNode, YamlNode>> Children { get; } = [];
}

/// <summary>Reads YAML by the event parser alone, so that none of the library's serializers comes along. An alias is the very node
/// its anchor names, so a text can make a node contain itself: whoever walks the tree bounds its depth.</summary>
internal sealed class YamlReader(IParser parser)
{
    private readonly Dictionary<AnchorName, YamlNode> anchors = [];

    /// <summary>The root of every document of the text.</summary>
    /// <exception cref="YamlException">The text is not YAML, a key stands twice in one map, or an alias has no anchor before it.</exception>
    public static List<YamlNode> Documents(string text)
    {
        var parser = new Parser(new StringReader(text));
        var documents = new List<YamlNode>();
        parser.Consume<StreamStart>();
        while (parser.TryConsume<DocumentStart>(out _))
        {
            documents.Add(new YamlReader(parser).Read());
            parser.Consume<DocumentEnd>();
        }

        return documents;
    }

    private YamlNode Read()
    {
        if (parser.TryConsume<AnchorAlias>(out var alias))
            return anchors.GetValueOrDefault(alias.Value) ?? throw new YamlException(alias.Start, alias.End, $"there is no anchor '{alias.Value}' before this alias");
        if (parser.TryConsume<Scalar>(out var scalar)) return Named(scalar.Anchor, new YamlScalarNode(scalar));
        if (parser.TryConsume<SequenceStart>(out var sequence))
        {
            var list = Named(sequence.Anchor, new YamlSequenceNode(sequence));
            while (!parser.TryConsume<SequenceEnd>(out _)) list.Children.Add(Read());
            return list;
        }

        var start = parser.Consume<MappingStart>();
        var map = Named(start.Anchor, new YamlMappingNode(start));
        var keys = new HashSet<string>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            var key = Read();
            if (key is YamlScalarNode { Value: var name } && !keys.Add(name)) throw new YamlException(key.Start, key.End, $"the key '{name}' stands twice in one map");
            map.Children.Add(new(key, Read()));
        }

        return map;
    }

    private T Named<T>(AnchorName anchor, T node) where T : YamlNode
    {
        if (!anchor.IsEmpty) anchors[anchor] = node;
        return node;
    }
}
