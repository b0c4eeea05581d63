using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>The verdict on a host that runs.</summary>
public sealed class HostTrialTests
{
    private static readonly HostBounds Bounds = new();
    private static readonly HostSight Well = new(0, true, "beat", 1, "");

    [Fact]
    public void One_under_which_everything_runs_for_a_minute_is_good()
    {
        var (act, _, at) = Watch(n => Well with { Beat = $"beat {n}" });
        Assert.Equal(HostAct.Prove, act);
        Assert.InRange(at, 60, 75);
    }

    public static TheoryData<string, string> Faults => new()
    {
        { "engine", "the engine does not answer" },
        { "worker", "the supervisor's worker makes no progress" },
        { "crashes", "the supervisor's worker is started again and again" },
        { "blind", "the supervisor's worker has not looked at the services yet" },
        { "service", "shop/web does not run as it did before" },
        { "network", "there is no network, as there was before" },
        { "stuck", "it was not well for long enough" },
    };

    [Theory, MemberData(nameof(Faults))]
    public void S81_One_that_misses_something_is_given_up_with_its_reason(string fault, string reason)
    {
        var (act, why, at) = Watch(n => fault switch
        {
            "engine" => Well with { Engine = false, Beat = $"{n}" },
            "worker" => Well with { Beat = "" },
            "crashes" => Well with { Starts = n / 5, Beat = $"{n}" },
            "blind" => Well with { Unfit = null, Beat = $"{n}" },
            "stuck" => Well with { Beat = "the same" },
            _ => Well with { Unfit = reason, Beat = $"{n}" },
        });
        Assert.Equal(HostAct.Reject, act);
        Assert.StartsWith(reason, why);
        Assert.InRange(at, 600, 605);
    }

    [Fact]
    public void What_comes_late_is_waited_for()
    {
        // An engine of eight minutes, as after a power cut on a slow card.
        var (act, _, at) = Watch(n => Well with { Engine = n * 5 > 480, Beat = $"{n}" });
        Assert.Equal(HostAct.Prove, act);
        Assert.InRange(at, 540, 560);
    }

    [Fact]
    public void A_fault_in_the_minute_begins_it_again()
    {
        var (act, _, at) = Watch(n => Well with { Beat = $"{n}", Unfit = n == 10 ? "shop/web does not run as it did before" : "" });
        Assert.Equal(HostAct.Prove, act);
        Assert.InRange(at, 110, 125);
    }

    [Fact]
    public void There_is_always_a_verdict()
    {
        var random = new Random(81);
        for (var run = 0; run < 500; run++)
        {
            var quiet = random.Next(2) == 0;
            var (act, why, at) = Watch(n => new(0, random.Next(20) > 0 || quiet, $"{n / random.Next(1, 3)}", quiet ? 1 : 1 + random.Next(2), random.Next(10) == 0 && !quiet ? "x" : ""));
            Assert.True(act is HostAct.Prove or HostAct.Reject);
            Assert.Equal(act == HostAct.Reject, why.Length > 0);
            Assert.InRange(at, 55, 605);
        }
    }

    /// <summary>Looks every five seconds until there is a verdict; gives the second of it.</summary>
    private static (HostAct Act, string Reason, int At) Watch(Func<int, HostSight> see)
    {
        var state = HostTrial.Begin(0);
        for (var n = 1; n < 1000; n++)
        {
            (state, var act, var reason) = state.On(see(n) with { Now = n * 5000 }, Bounds);
            if (act != HostAct.Wait) return (act, reason, n * 5);
        }

        return (HostAct.Wait, "", 0);
    }
}
