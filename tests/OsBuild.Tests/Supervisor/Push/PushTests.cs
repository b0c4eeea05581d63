using System.Formats.Tar;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.Push;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Push;

public sealed class PushTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("osb-push-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    // rules, path, ignored
    [InlineData("node_modules", "node_modules", true)]
    [InlineData("node_modules", "node_modules/a/b.js", true)]
    [InlineData("node_modules", "src/node_modules", false)]
    [InlineData("**/node_modules", "src/deep/node_modules/x", true)]
    [InlineData("**/node_modules", "node_modules", true)]
    [InlineData("*.md", "README.md", true)]
    [InlineData("*.md", "docs/README.md", false)]
    [InlineData("**/*.md", "docs/a/README.md", true)]
    [InlineData("docs/**", "docs/a/b", true)]
    [InlineData("docs/**/x", "docs/x", true)]
    [InlineData("docs/**/x", "docs/a/b/x", true)]
    [InlineData("*.md\n!README.md", "README.md", false)]
    [InlineData("*.md\n!README.md", "OTHER.md", true)]
    [InlineData("!README.md\n*.md", "README.md", true)]
    [InlineData("docs\n!docs/keep", "docs/keep", false)]
    [InlineData("docs\n!docs/keep", "docs/other", true)]
    [InlineData("/bin/", "bin/x", true)]
    [InlineData("./bin", "bin", true)]
    [InlineData("# bin", "bin", false)]
    [InlineData("  \n\n", "bin", false)]
    [InlineData("te?t", "test", true)]
    [InlineData("te?t", "te/t", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[a-c]x", "dx", false)]
    [InlineData("[^a-c]x", "dx", true)]
    [InlineData("a\\*b", "a*b", true)]
    [InlineData("a\\*b", "axb", false)]
    [InlineData("*", "anything", true)]
    [InlineData("*\n!src", "src/main.c", false)]
    public void Reads_ignore_rules_as_docker_does(string rules, string path, bool ignored) => Assert.Equal(ignored, new IgnoreFile(rules).Ignores(path));

    [Fact]
    public void A_pattern_of_many_stars_does_not_take_for_ever() => Assert.False(new IgnoreFile(string.Concat(Enumerable.Repeat("*a", 12)) + "b").Ignores(new string('a', 40)));

    private void Put(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(directory, path))!);
        File.WriteAllText(Path.Combine(directory, path), text);
    }

    [Fact]
    public void A_context_is_what_the_ignore_file_leaves_and_the_dockerfile()
    {
        foreach (var path in (string[])["Dockerfile", "src/a.c", "src/b.o", ".git/HEAD", "build/Dockerfile.dev", "build/out", "keep/x/y"]) Put(path, path);
        Put(".dockerignore", ".git\n**/*.o\nbuild\nkeep\n!keep/x/y\nDockerfile\n");
        Assert.Equal([".dockerignore", "Dockerfile", "keep/x/y", "src", "src/a.c"], ContextPack.Files(directory, "Dockerfile"));
        Assert.Contains("build/Dockerfile.dev", ContextPack.Files(directory, "build/Dockerfile.dev"));
        Put("Dockerfile.dockerignore", "*\n!src\n");
        Assert.Equal([".dockerignore", "Dockerfile", "src", "src/a.c", "src/b.o"], ContextPack.Files(directory, "Dockerfile"));
    }

    [Fact]
    public async Task The_tar_keeps_modes_links_and_bytes()
    {
        Put("run.sh", "#!/bin/sh\n");
        Put("sub/data", "x");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Path.Combine(directory, "run.sh"), (UnixFileMode)0x1ED);
        File.CreateSymbolicLink(Path.Combine(directory, "link"), "run.sh");
        var tar = new MemoryStream();
        await ContextPack.WriteAsync(directory, new BuildSpec("web", ".", null, "FROM scratch\n"), tar, TestContext.Current.CancellationToken);
        tar.Position = 0;
        using var reader = new TarReader(tar);
        var entries = new Dictionary<string, (TarEntryType Type, int Mode, string Content)>();
        while (await reader.GetNextEntryAsync(copyData: true, TestContext.Current.CancellationToken) is { } entry)
            entries[entry.Name] = (entry.EntryType, (int)entry.Mode, entry.EntryType == TarEntryType.SymbolicLink ? entry.LinkName : entry.DataStream is { } d ? await new StreamReader(d).ReadToEndAsync(TestContext.Current.CancellationToken) : "");
        Assert.Equal(["link", "run.sh", "sub/", "sub/data", ContextPack.InlineName], entries.Keys);
        Assert.Equal((TarEntryType.RegularFile, 0x1ED, "#!/bin/sh\n"), entries["run.sh"]);
        Assert.Equal((TarEntryType.SymbolicLink, "run.sh"), (entries["link"].Type, entries["link"].Content));
        Assert.Equal("FROM scratch\n", entries[ContextPack.InlineName].Content);
    }

    private static ComposeResult Compose(string build, Func<string, string?>? built) => ComposeFile.Read($"services:\n  web:\n    build: {build}\n  db: {{ image: 'db:1' }}\n", built: built);

    [Fact]
    public void What_was_built_is_the_image()
    {
        var result = Compose("{ context: ./web, dockerfile: D, target: t, args: { A: '1', B: }, no_cache: true, labels: [x=y] }", s => $"built/{s}:1");
        Assert.True(result.Release is not null, result.Explain());
        Assert.Equal(("built/web:1", PullPolicy.Never, "db:1"), (result.Release.Services["web"].Image, result.Release.Services["web"].Pull, result.Release.Services["db"].Image));
        var spec = Assert.Single(result.Builds);
        Assert.Equal(("web", "./web", "D", "t", true), (spec.Service, spec.Context, spec.Dockerfile, spec.Target, spec.NoCache));
        Assert.Equal([new("A", "1")], spec.Arguments);
        Assert.Equal([new("x", "y")], spec.Labels);
        Assert.Equal("folder", Assert.Single(Compose("folder", s => "x:1").Builds).Context);
    }

    [Theory]
    [InlineData("{ context: ., secrets: [x] }", "BuildKit")]
    [InlineData("{ context: ., nonsense: 1 }", "not a part of build")]
    [InlineData("https://example.com/x.git", "not a folder")]
    [InlineData("{ dockerfile: a, dockerfile_inline: b }", "one of them")]
    [InlineData("[a]", "folder or a map")]
    public void What_cannot_be_built_is_refused_by_name(string build, string says) => Assert.Contains(says, Compose(build, s => "x:1").Explain(), StringComparison.Ordinal);

    [Fact]
    public void Without_a_push_nothing_is_built()
    {
        Assert.Contains("supervisor push", Compose(".", null).Explain(), StringComparison.Ordinal);
        Assert.Contains("was not built", Compose(".", s => null).Explain(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_handover_is_kept_whole()
    {
        var handover = new Handover("services: {}\n", "A=1\n", new() { ["a/b"] = [0, 1, 255] }, new() { ["web"] = "x:1" });
        var read = Handover.Parse(handover.ToJson());
        Assert.Equal((handover.Compose, handover.Environment, "x:1"), (read.Compose, read.Environment, read.Built["web"]));
        Assert.Equal(handover.Files["a/b"], read.Files["a/b"]);
        foreach (var bad in (string[])["", "{}", "[]", "null", "{\"compose\":1}"]) Assert.Throws<System.Text.Json.JsonException>(() => Handover.Parse(System.Text.Encoding.UTF8.GetBytes(bad)));
        Assert.Empty(Handover.Parse("{\"compose\":\"x\"}"u8).Built);
    }
}
