using System.CommandLine;
using OsBuild.ImageBuilder.Commands;

namespace OsBuild.Tests.Builder;

/// <summary>The help is a text that people copy from: what it shows must work.</summary>
public sealed class HelpTests
{
    private static RootCommand Root() => new CommandTree("test", Stream.Null, TextWriter.Null, TextWriter.Null, false, 0, CancellationToken.None).Root();

    public static TheoryData<string> Commands => [.. Root().Subcommands.Select(c => c.Name)];

    private static string Help(string command)
    {
        using var output = new StringWriter();
        Assert.Equal(0, Root().Parse([command, "--help"]).Invoke(new InvocationConfiguration { Output = output }));
        return output.ToString();
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_command_shows_examples_that_parse(string command)
    {
        var examples = Help(command).Split('\n').Select(l => l.Trim()).Where(l => l.StartsWith("image-builder " + command, StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(examples);
        foreach (var example in examples) Assert.Empty(Root().Parse(example["image-builder ".Length..]).Errors);
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public void Every_option_says_what_it_is_for(string name)
    {
        var command = Root().Subcommands.Single(c => c.Name == name);
        Assert.All(command.Options, o => Assert.False(string.IsNullOrWhiteSpace(o.Description), o.Name));
        Assert.All(command.Arguments, a => Assert.False(string.IsNullOrWhiteSpace(a.Description), a.Name));
        Assert.False(string.IsNullOrWhiteSpace(command.Description));
    }

    [Fact]
    public void The_boards_that_are_named_are_there()
    {
        foreach (var line in Lessons.Of["build"].Split('\n').Where(l => l.Contains("image-builder build", StringComparison.Ordinal)))
            Assert.Contains(line.Trim().Split(' ')[2], ImageBuilder.Boards.BoardCatalog.Names);
    }
}
