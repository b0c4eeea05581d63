using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>When the fleet is asked, what its answers mean, and what is believed.</summary>
public sealed class PollTests
{
    private static readonly TimeSpan Quarter = TimeSpan.FromMinutes(15);

    [Theory]
    [InlineData(900, 0, null, 0.0, 900)]
    [InlineData(900, 0, null, 1.0, 960)]
    [InlineData(60, 0, null, 1.0, 66)]
    [InlineData(900, 1, null, 0.5, 15)]
    [InlineData(900, 2, null, 0.5, 30)]
    [InlineData(900, 3, null, 0.5, 60)]
    [InlineData(900, 7, null, 0.5, 900)]
    [InlineData(900, 1000000, null, 0.5, 900)]
    [InlineData(10, 5, null, 0.5, 10)]
    [InlineData(900, 1, 300.0, 0.5, 300)]
    [InlineData(900, 5, 1.0, 0.5, 240)]
    [InlineData(900, 1, 1e7, 0.5, 86400)]
    public void The_next_poll(double interval, int failures, double? retryAfter, double random, double seconds) =>
        Assert.Equal(seconds, Pacing.NextPoll(TimeSpan.FromSeconds(interval), failures, retryAfter is { } r ? TimeSpan.FromSeconds(r) : null, random).TotalSeconds, 3);

    [Fact]
    public void A_fleet_that_is_down_for_a_week_is_asked_gently_and_heard_at_once_afterwards()
    {
        var (time, failures, polls) = (TimeSpan.Zero, 0, 0);
        var random = new Random(1);
        while (time < TimeSpan.FromDays(7))
        {
            var outcome = PollOutcome.Of(new ApiAnswer(503, []));
            failures = outcome is PollOutcome.Failed ? failures + 1 : 0;
            time += Pacing.NextPoll(Quarter, failures, null, random.NextDouble());
            polls++;
        }

        // 672 quarters of an hour, and a handful of faster tries at the beginning.
        Assert.InRange(polls, 672, 682);
        Assert.IsType<PollOutcome.Changed>(PollOutcome.Of(new ApiAnswer(200, [])));
        Assert.InRange(Pacing.NextPoll(Quarter, 0, null, random.NextDouble()), Quarter, Quarter + TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void A_fleet_of_devices_does_not_ask_in_one_beat()
    {
        var random = new Random(1);
        var waits = Enumerable.Range(0, 1000).Select(_ => Pacing.NextPoll(Quarter, 0, null, random.NextDouble())).ToList();
        Assert.True(waits.Max() - waits.Min() > TimeSpan.FromSeconds(50));
    }

    [Theory]
    [InlineData(304, typeof(PollOutcome.Unchanged))]
    [InlineData(200, typeof(PollOutcome.Changed))]
    [InlineData(0, typeof(PollOutcome.Failed))]
    [InlineData(401, typeof(PollOutcome.Failed))]
    [InlineData(404, typeof(PollOutcome.Failed))]
    [InlineData(429, typeof(PollOutcome.Failed))]
    [InlineData(500, typeof(PollOutcome.Failed))]
    [InlineData(302, typeof(PollOutcome.Failed))]
    public void What_an_answer_means(int status, Type outcome) => Assert.IsType(outcome, PollOutcome.Of(new ApiAnswer(status, []) { Error = status == 0 ? "no route" : null }));

    [Theory]
    [InlineData("TARGET STATE v3", typeof(PollOutcome.Changed))]
    [InlineData("target state with If-None-Match", typeof(PollOutcome.Unchanged))]
    [InlineData("target state of an unknown device", typeof(PollOutcome.Unchanged))]
    [InlineData("target state with another key", typeof(PollOutcome.Failed))]
    public void What_the_recorded_answers_mean(string call, Type outcome) => Assert.IsType(outcome, PollOutcome.Of(new ApiAnswer(RecordedWalk.Call(call).Status, [])));

    private static readonly FleetTarget Empty = new(new("", []), [], [], []);
    private static readonly FleetTarget Full = Empty with { Releases = [new() { App = "a", Services = new() { ["s"] = new() { Name = "s", Image = "i" } } }] };
    private static readonly TargetState Running = new(Full.Releases);

    [Fact]
    public void An_empty_target_is_believed_when_it_comes_twice()
    {
        var (doubt, first) = new Belief().Judge(Empty, Running);
        Assert.False(first);
        var (_, second) = doubt.Judge(Empty, Running);
        Assert.True(second);
    }

    [Fact]
    public void A_slip_between_two_good_targets_leaves_nothing_behind()
    {
        var (doubt, _) = new Belief().Judge(Empty, Running);
        var (calm, believed) = doubt.Judge(Full, Running);
        Assert.True(believed);
        Assert.False(calm.Judge(Empty, Running).Believe);
    }

    [Fact]
    public void Nothing_is_doubted_where_nothing_can_be_lost()
    {
        Assert.True(new Belief().Judge(Empty, null).Believe);
        Assert.True(new Belief().Judge(Empty, TargetState.Nothing).Believe);
        Assert.True(new Belief().Judge(Empty with { Rejected = [new("a", "c", "r")] }, Running).Believe);
        Assert.True(new Belief().Judge(Full, Running).Believe);
    }
}
