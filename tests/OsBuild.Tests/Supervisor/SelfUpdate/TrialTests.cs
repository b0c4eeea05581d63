using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>A trial as a fold over what is seen of it.</summary>
public sealed class TrialTests
{
    private static readonly TrialBounds Bounds = new();

    private static TrialSight Look(int second, string? ended = null, bool ready = false, long kilobytes = 20_000) => new(second * 1000L, ended, ready, "", false, kilobytes);

    private static TrialSight Work(int second, string beat, bool answers = true, string? ended = null, long kilobytes = 20_000) => new(second * 1000L, ended, true, beat, answers, kilobytes);

    private static (TrialAct Act, string Reason, int Second) Run(IEnumerable<TrialSight> sights)
    {
        var state = Trial.Begin(0);
        foreach (var sight in sights)
        {
            (state, var act, var reason) = state.On(sight, Bounds);
            if (act is TrialAct.Prove or TrialAct.Reject) return (act, reason, (int)(sight.Now / 1000));
        }

        return (TrialAct.Wait, "", -1);
    }

    private static TrialSight Ready(int second) => Look(second, Trial.Clean, ready: true);

    private static IEnumerable<TrialSight> Beating(int from, int to, bool answers = true) => Enumerable.Range(from, to - from + 1).Select(s => Work(s, $"7 {s / 30}", answers));

    [Fact]
    public void S75_One_that_is_ready_beats_and_answers_is_good() => Assert.Equal((TrialAct.Prove, "", 150), Run([Look(1), Look(2), Ready(3), .. Beating(4, 400)]));

    [Fact]
    public void S75_It_takes_over_only_when_it_has_said_that_it_is_ready_and_ended_well()
    {
        Assert.Equal(TrialAct.TakeOver, Trial.Begin(0).On(Ready(1), Bounds).Act);
        Assert.Equal((TrialAct.Reject, "it ended with 0 before it was ready"), Trial.Begin(0).On(Look(1, Trial.Clean), Bounds) is var (_, act, reason) ? (act, reason) : default);
        Assert.Equal(TrialAct.Wait, Trial.Begin(0).On(Look(1, null, ready: true), Bounds).Act);
    }

    [Theory]
    [InlineData("it ended with 139")]
    [InlineData("it cannot be started (Exec format error)")]
    [InlineData("it ended with 2")]
    public void S76_One_that_ends_while_it_looks_is_bad(string end) => Assert.Equal((TrialAct.Reject, $"{end} before it was ready", 1), Run([Look(0), Look(1, end)]));

    [Fact]
    public void S76_One_that_ends_well_but_late_is_bad_too() => Assert.Equal((TrialAct.Reject, "it ended with 0 27 s after it took over", 30), Run([Ready(3), .. Beating(4, 29), Work(30, "7 1", ended: "it ended with 0")]));

    [Fact]
    public void S76_One_that_is_never_ready_is_bad() => Assert.Equal((TrialAct.Reject, "it was not ready within 120 s", 121), Run(Enumerable.Range(0, 500).Select(s => Look(s))));

    [Fact]
    public void S76_One_that_never_beats_is_bad() => Assert.Equal((TrialAct.Reject, "it gave no sign of life for 75 s", 76), Run([Ready(0), .. Enumerable.Range(1, 500).Select(s => Work(s, ""))]));

    [Fact]
    public void S76_One_whose_loop_stops_is_bad() => Assert.Equal("it gave no sign of life for 75 s", Run([Ready(0), .. Beating(1, 60), .. Enumerable.Range(61, 500).Select(s => Work(s, "7 2"))]).Reason);

    [Fact]
    public void S76_One_through_which_no_further_update_could_come_is_bad() => Assert.Equal("its API did not answer on the device", Run([Ready(0), .. Beating(1, 500, answers: false)]).Reason);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void S76_One_that_takes_too_much_memory_is_bad(bool looks)
    {
        var sights = looks ? [Look(1), Look(2, kilobytes: 300 << 10)] : (TrialSight[])[Ready(1), .. Beating(2, 20), Work(21, "7 9", kilobytes: 300 << 10)];
        Assert.Equal("it took 300 MiB of memory, and may take 256", Run(sights).Reason);
    }

    [Fact]
    public void S76_Slow_is_not_bad() => Assert.Equal(TrialAct.Prove, Run([.. Enumerable.Range(0, 110).Select(s => Look(s)), Ready(111), .. Enumerable.Range(112, 60).Select(s => Work(s, "", answers: false)), .. Beating(172, 240, answers: false), .. Beating(241, 500)]).Act);

    [Fact]
    public void A_good_one_may_end_now_and_then_but_not_five_times_soon_after_its_start()
    {
        var ends = new QuickEnds(0);
        for (var i = 0; i < 100; i++) ends = ends.After(i % 5 == 4 ? 100_000 : 1000);
        Assert.False(ends.TooMany);
        for (var i = 0; i < QuickEnds.Most; i++)
        {
            Assert.False(ends.TooMany);
            ends = ends.After(1000);
        }

        Assert.True(ends.TooMany);
    }
}
