namespace OsBuild.OracleTests.Supervisor;

/// <summary>No bad release ever wins: each kind is deployed on a device where a good one serves, with a client hammering it. The old one keeps
/// or regains service; what the client lost is counted and printed, and with a hand-over it is nothing.</summary>
public abstract class BadReleases(EngineFixture fixture, ITestOutputHelper output)
{
    /// <summary>A quarter of the kinds (1 to 4): a whole matrix is an hour, a part of it can be run by <c>-preEnumerateTheories -trait part=1</c>.</summary>
    protected static IEnumerable<(string Kind, string Keys)> Part(int part) => Releases.Bad.Where((_, i) => i % 4 == part - 1);

    protected async Task TryAllAsync(string strategy, IEnumerable<(string Kind, string Keys)> kinds)
    {
        var failures = new List<string>();
        var port = Device.FreePort();
        await using var device = await Releases.RunningAsync(fixture, port, strategy);
        var (count, lost, requests) = (0, 0, 0);
        foreach (var bad in kinds)
        {
            try
            {
                await using var hammer = new Hammer(port);
                await device.ApplyAsync(Releases.Web(port, "app:1", bad.Keys, strategy, "8s"));
                var status = await device.UntilAsync($"{bad.Kind} was taken back", s => s.Releases[0].State == "bad" && s.Services is [{ State: "running", Health: "healthy" }]);
                await hammer.UntilAnswersAsync();
                output.WriteLine($"{strategy} | {bad.Kind}: {hammer.Lost} of {hammer.Requests} lost, longest gap {hammer.LongestGap.TotalSeconds:0.0} s; {status.Releases[0].Reason}");
                if (strategy is "start-first" or "hand-over" && hammer.Lost > 0 && bad.Kind != Releases.LooksGood) failures.Add($"{bad.Kind}: {hammer.Lost} requests were lost");
                Assert.Equal(["app:1"], hammer.Pages.Keys);
                (count, lost, requests) = (count + 1, lost + hammer.Lost, requests + hammer.Requests);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                failures.Add($"{bad.Kind}: {e.Message}");
            }

            await device.ApplyAsync(Releases.Web(port, "app:1", Releases.Good, strategy));
            await device.UntilAsync("the good release is the target again", s => s.Releases[0].State == "good" && s.Services is [{ State: "running", Health: "healthy" }]);
        }

        output.WriteLine($"{strategy}: {count} kinds of bad release, the old one serves after each; {lost} of {requests} requests lost");
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }
}

/// <summary>The part that every run makes.</summary>
[Collection("engine 4")]
public sealed class BadReleasesSample(EngineFixture fixture, ITestOutputHelper output) : BadReleases(fixture, output)
{
    private static readonly string[] Sample = ["exits at once", "is unhealthy", "no such program", "a device that is none", "out of memory"];

    [Theory]
    [InlineData("download-then-kill")]
    [InlineData("start-first")]
    public Task S30_No_bad_release_ever_wins(string strategy) => TryAllAsync(strategy, Releases.Bad.Where(b => Sample.Contains(b.Kind)));
}

[Collection("engine"), Trait("length", "long")]
public sealed class BadReleasesDownloadThenKill(EngineFixture fixture, ITestOutputHelper output) : BadReleases(fixture, output)
{
    [Theory]
    [InlineData(1, Traits = ["part", "1"])]
    [InlineData(2, Traits = ["part", "2"])]
    [InlineData(3, Traits = ["part", "3"])]
    [InlineData(4, Traits = ["part", "4"])]
    public Task S19_30_Every_kind(int part) => TryAllAsync("download-then-kill", Part(part));
}

[Collection("engine 2"), Trait("length", "long")]
public sealed class BadReleasesKillThenDownload(EngineFixture fixture, ITestOutputHelper output) : BadReleases(fixture, output)
{
    [Theory]
    [InlineData(1, Traits = ["part", "1"])]
    [InlineData(2, Traits = ["part", "2"])]
    [InlineData(3, Traits = ["part", "3"])]
    [InlineData(4, Traits = ["part", "4"])]
    public Task S20_30_Every_kind(int part) => TryAllAsync("kill-then-download", Part(part));
}

[Collection("engine 3"), Trait("length", "long")]
public sealed class BadReleasesDeleteThenDownload(EngineFixture fixture, ITestOutputHelper output) : BadReleases(fixture, output)
{
    [Theory]
    [InlineData(1, Traits = ["part", "1"])]
    [InlineData(2, Traits = ["part", "2"])]
    [InlineData(3, Traits = ["part", "3"])]
    [InlineData(4, Traits = ["part", "4"])]
    public Task S21_30_Every_kind(int part) => TryAllAsync("delete-then-download", Part(part));
}

[Collection("engine 4"), Trait("length", "long")]
public sealed class BadReleasesStartFirst(EngineFixture fixture, ITestOutputHelper output) : BadReleases(fixture, output)
{
    [Theory]
    [InlineData(1, Traits = ["part", "1"])]
    [InlineData(2, Traits = ["part", "2"])]
    [InlineData(3, Traits = ["part", "3"])]
    [InlineData(4, Traits = ["part", "4"])]
    public Task S23_30_Every_kind(int part) => TryAllAsync("start-first", Part(part));

    /// <summary>With a signal asked for, health alone does not win, and a signal alone does not either.</summary>
    [Fact]
    public Task S23_30_Every_kind_that_only_a_signal_tells() => TryAllAsync("hand-over",
    [
        ("never signals", Releases.Good),
        ("signals, but is unhealthy", "command: [sh, -c, \"touch /tmp/balena/handover-complete; exec sleep 1000\"]\n" + Releases.Health),
        ("signals, then exits", "command: [sh, -c, \"httpd -p 8080 -h /www; touch /tmp/balena/handover-complete; sleep 1\"]"),
        ("signals to the wrong place", "command: [sh, -c, \"httpd -p 8080 -h /www; touch /tmp/handover-complete; exec sleep 1000\"]\n" + Releases.Health),
    ]);
}
