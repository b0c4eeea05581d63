using OsBuild.Supervisor.Init;
using static OsBuild.Supervisor.Init.WatchdogState;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class WatchdogTests
{
    private static readonly long Patient = (long)Patience.TotalMilliseconds;

    [Fact]
    public void A_worker_that_beats_is_fed_for_ever()
    {
        var state = Start(0);
        for (var i = 1; i < 10_000; i++)
        {
            (state, var act) = state.On($"beat {i}", i * 5000L);
            Assert.Equal(Act.Feed, act);
        }
    }

    [Fact]
    public void A_worker_that_stops_is_restarted_first_and_the_board_reset_only_when_that_does_not_help()
    {
        var (state, _) = Start(0).On("7 1", 0);
        var acts = new List<Act>();
        for (long now = 0; now <= Patient * 3; now += Patient / 4)
        {
            (state, var act) = state.On("7 1", now);
            if (acts.LastOrDefault(Act.Feed) != act || acts.Count == 0) acts.Add(act);
        }

        Assert.Equal([Act.Feed, Act.RestartWorker, Act.Feed, Act.Starve], acts);
    }

    [Fact]
    public void A_worker_that_beats_again_after_its_restart_is_fed_and_has_a_restart_again()
    {
        var (state, _) = Start(0).On("7 1", 0);
        (state, var act) = state.On("7 1", Patient);
        Assert.Equal(Act.RestartWorker, act);
        (state, act) = state.On("8 1", Patient + 1);
        Assert.Equal(Act.Feed, act);
        (_, act) = state.On("8 1", (Patient * 2) + 1);
        Assert.Equal(Act.RestartWorker, act);
    }

    [Fact]
    public void A_worker_that_never_beats_at_all_is_noticed_too() => Assert.Equal(Act.RestartWorker, Start(0).On("", Patient).Act);

    [Fact]
    public void A_reset_that_did_not_help_is_not_tried_again_and_the_worker_gets_new_chances()
    {
        var (state, _) = Start(0).On("7 1", 0);
        var acts = new List<Act>();
        for (var i = 1; i <= 4; i++)
        {
            (state, var act) = state.On("7 1", Patient * i, mayReset: false);
            acts.Add(act);
        }

        Assert.Equal([Act.RestartWorker, Act.RestartWorker, Act.RestartWorker, Act.RestartWorker], acts);
    }

    [Fact]
    public void A_reset_is_remembered_until_the_worker_has_done_well_for_a_while()
    {
        var directory = Directory.CreateTempSubdirectory("osbuild-reset-").FullName;
        try
        {
            new ResetRecord(directory).Resetting();
            var record = new ResetRecord(directory); // the next boot
            Assert.False(record.MayReset);
            record.Progress(0);
            record.Progress(9 * 60_000);
            record.Setback(); // counts from here again
            record.Progress(11 * 60_000);
            Assert.False(record.MayReset);
            record.Progress(21 * 60_000);
            Assert.True(record.MayReset);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("00400000-7fff [rollup]\nRss:  9000 kB\nPss:                5912 kB\nPss_Anon: 880 kB\n", 5912L)]
    [InlineData("Rss: 9000 kB\n", null)]
    [InlineData("", null)]
    public void Memory_is_the_proportional_set(string text, long? kilobytes) => Assert.Equal(kilobytes, MemoryUse.Pss(text));
}
