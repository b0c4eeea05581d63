using OsBuild.Supervisor.Yaml;
using YamlDotNet.Core;

namespace OsBuild.Tests.Supervisor;

public sealed class YamlReaderTests
{
    private static YamlNode One(string text) => Assert.Single(YamlReader.Documents(text));

    [Fact]
    public void Keeps_order_lines_tags_and_quotes()
    {
        var map = Assert.IsType<YamlMappingNode>(One("b: 1\na: !reset 'two'\nc:\n  - x\n"));
        Assert.Equal(["b", "a", "c"], map.Children.Select(c => ((YamlScalarNode)c.Key).Value));
        var (one, two) = ((YamlScalarNode)map.Children[0].Value, (YamlScalarNode)map.Children[1].Value);
        Assert.True(one.Plain);
        Assert.False(two.Plain);
        Assert.Equal(("", "!reset", 2L), (one.Tag, two.Tag, two.Start.Line));
        Assert.Equal("x", ((YamlScalarNode)((YamlSequenceNode)map.Children[2].Value).Children[0]).Value);
    }

    [Fact]
    public void An_alias_is_the_node_of_its_anchor()
    {
        var map = (YamlMappingNode)One("a: &base [1, 2]\nb: *base\n");
        Assert.Same(map.Children[0].Value, map.Children[1].Value);
    }

    [Fact]
    public void A_node_may_contain_itself_without_an_endless_read()
    {
        var list = (YamlSequenceNode)One("&me [*me]");
        Assert.Same(list, list.Children[0]);
    }

    [Theory]
    [InlineData("a: 1\na: 2\n", "twice")]
    [InlineData("a: *nobody\n", "anchor")]
    [InlineData("a: [1\n", "")]
    [InlineData("a: b: c\n", "")]
    public void Refuses_what_is_not_yaml(string text, string says) =>
        Assert.Contains(says, Assert.ThrowsAny<YamlException>(() => YamlReader.Documents(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Gives_every_document()
    {
        Assert.Empty(YamlReader.Documents("# nothing\n"));
        Assert.Equal(2, YamlReader.Documents("a: 1\n---\nb: 2\n").Count);
    }
}
