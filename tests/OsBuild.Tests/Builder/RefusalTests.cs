using OsBuild.ImageBuilder.Building;

namespace OsBuild.Tests.Builder;

/// <summary>Bad inputs, one by one, each with the exact sentences the user reads. Nothing may have been written.</summary>
public sealed class RefusalTests
{
    public static TheoryData<string> Names => [.. BadInputs.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Is_refused_with_its_sentence(string name)
    {
        using var fixture = new DeployFixture();
        var (spoil, sentences) = BadInputs.All[name];
        var request = spoil(fixture);
        var (expected, actual) = (string.Join('\n', sentences), string.Join('\n', fixture.Refusal(request)));
        Assert.True(expected == actual, $"expected: {expected}\nactual:   {actual}");
        // A build writes the root while it reads it: it says the same, and takes back what it wrote.
        Assert.Equal(expected, string.Join('\n', fixture.Refusal(request, make: true)));
        Assert.Empty(Directory.EnumerateFileSystemEntries(fixture.Output));
    }

    [Fact]
    public void The_sound_directory_is_not_refused()
    {
        using var fixture = new DeployFixture();
        Assert.Empty(fixture.Refusal());
    }

    [Fact]
    public void All_problems_are_told_in_one_run()
    {
        using var fixture = new DeployFixture();
        fixture.Write(DeployFixture.Kernel, []);
        fixture.Write(DeployFixture.Loader, Binaries.Pe(0x14C));
        fixture.Cut(DeployFixture.Rootfs, 1);
        fixture.WriteText(DeployFixture.TestData, DeployFixture.TestDataText("beaglebone-yocto", "arm"));
        File.Delete(fixture.Supervisor);
        var sentences = fixture.Refusal(fixture.Request with { Compose = Path.Combine(fixture.Home, "no.yaml") });
        Assert.Equal(7, sentences.Count);
    }

    [Fact]
    public void The_corpus_is_large_enough() => Assert.True(BadInputs.All.Count >= 60, $"{BadInputs.All.Count} bad inputs");
}
