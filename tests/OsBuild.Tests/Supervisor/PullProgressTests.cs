using OsBuild.Supervisor.Engine;

namespace OsBuild.Tests.Supervisor;

public sealed class PullProgressTests
{
    [Fact]
    public void Follows_the_layers_of_a_pull_and_never_goes_back()
    {
        var progress = new PullProgress();
        progress.Observe("1", "Pulling from library/web", null, null);
        Assert.Equal(0, progress.Percent);
        progress.Observe("aaa", "Pulling fs layer", null, null);
        progress.Observe("bbb", "Pulling fs layer", null, null);
        Assert.Equal(0, progress.Percent);
        progress.Observe("aaa", "Downloading", 50, 100);
        Assert.Equal(12, progress.Percent);
        progress.Observe("aaa", "Download complete", null, null);
        progress.Observe("aaa", "Extracting", 100, 100);
        progress.Observe("aaa", "Pull complete", null, null);
        Assert.Equal(50, progress.Percent);
        // A layer that is fetched again after a broken link takes nothing back.
        progress.Observe("bbb", "Downloading", 90, 100);
        Assert.Equal(72, progress.Percent);
        progress.Observe("bbb", "Downloading", 1, 100);
        Assert.Equal(72, progress.Percent);
        progress.Observe("bbb", "Pull complete", null, null);
        progress.Observe(null, "Status: Downloaded newer image for web:2", null, null);
        Assert.Equal(100, progress.Percent);
    }

    [Theory]
    [InlineData(null, "Downloading", 1L, 2L)]
    [InlineData("", "Downloading", 1L, 2L)]
    [InlineData("a", null, 1L, 2L)]
    [InlineData("a", "Downloading", 1L, 0L)]
    [InlineData("a", "Downloading", -5L, 10L)]
    [InlineData("a", "Retrying in 5 seconds", null, null)]
    public void What_says_nothing_counts_nothing(string? layer, string? status, long? done, long? total)
    {
        var progress = new PullProgress();
        progress.Observe(layer, status, done, total);
        Assert.Equal(0, progress.Percent);
    }

    [Fact]
    public void An_image_whose_layers_are_here_is_done_at_once()
    {
        var progress = new PullProgress();
        foreach (var layer in (string[])["a", "b", "c"]) progress.Observe(layer, "Already exists", null, null);
        Assert.Equal(100, progress.Percent);
    }
}
