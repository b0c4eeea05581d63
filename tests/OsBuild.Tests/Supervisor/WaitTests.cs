using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>What a wait, or a start, says of itself to those who must decide by it, whatever the names in its text are.</summary>
public sealed class WaitTests
{
    private readonly World world = new(new Random(1)) { Skips = 0 };
    private readonly Given given;

    public WaitTests() => given = new(world);

    private List<Step> Rounds(TargetState target, Func<Step, bool> wanted)
    {
        List<Step> found = [];
        for (var i = 0; i < 60; i++) found.AddRange(world.Round(target).Where(wanted));
        Assert.NotEmpty(found);
        return found;
    }

    [Fact]
    public void A_lock_is_looked_at_again_and_again()
    {
        given.Images("a:1", "a:2");
        given.Settle(Given.Target(Given.Service("a", "a:1")));
        world.Locked = true;
        Assert.All(Rounds(Given.Target(Given.Service("a", "a:2")), s => s is Step.Wait { For: var what } && what.StartsWith("the update lock of ", StringComparison.Ordinal)), s => Assert.True(((Step.Wait)s).Untold));
    }

    [Fact]
    public void A_signal_is_looked_at_again_and_again()
    {
        given.Image("a:1");
        given.Image("a:2", Behaviour.NeverSignals);
        given.Settle(Given.Target(Given.By(UpdateStrategy.HandOver, "a:1", ports: true, signal: true)));
        Assert.All(Rounds(Given.Target(Given.By(UpdateStrategy.HandOver, "a:2", ports: true, signal: true)), s => s is Step.Wait { For: "a to take over" }), s => Assert.True(((Step.Wait)s).Untold));
    }

    /// <summary>Nothing of it is waited for in a file, though its name has a lock in it.</summary>
    [Fact]
    public void A_service_called_clock_that_ends_is_left_alone_until_its_next_start_which_is_what_the_target_wants()
    {
        given.Image("c:1", Behaviour.Exits);
        var target = Given.Target(Given.Service("clock", "c:1"));
        Assert.All(Rounds(target, s => s is Step.Wait { For: "the next start of app-clock" }), s => Assert.True(s is Step.Wait { Untold: false, Settled: true }));
        var again = Rounds(target, s => s is Step.Start);
        Assert.All(again, s => Assert.True(s is Step.Start { Again: true, Cause: "it ended with code 1" }));
        Assert.True(DeviceStatus.IsApplied(again));
    }

    [Fact]
    public void The_first_start_of_a_container_is_work_that_is_left()
    {
        given.Image("a:1");
        var first = Rounds(Given.Target(Given.Service("a", "a:1")), s => s is Step.Start);
        Assert.False(DeviceStatus.IsApplied(first));
    }
}
