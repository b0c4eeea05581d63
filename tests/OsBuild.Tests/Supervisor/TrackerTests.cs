using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>How often a container was started in vain: what the pause before its next start is taken from.</summary>
public sealed class TrackerTests
{
    private readonly Tracker tracker = new();

    private ContainerState See(bool up, string startedAt, double seconds) => Assert.Single(tracker.Observe(
        [new() { Id = "c", App = "app", Service = "a", Hash = "h", ImageId = "i", Status = up ? ContainerStatus.Running : ContainerStatus.Exited, StartedAt = startedAt }], TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void S12_Starts_are_counted_until_it_ran_for_its_time_whatever_the_wall_clock_says()
    {
        var now = 0.0;
        // The engine's own stamps jump back and forth, as with a clock that is set; only that they differ counts.
        foreach (var (stamp, starts) in (ReadOnlySpan<(string, int)>)[("1970-01-01T00:00:05Z", 1), ("2031-01-01T00:00:00Z", 2), ("1999-12-31T23:59:59Z", 3)])
        {
            tracker.Started("c", TimeSpan.FromSeconds(now));
            Assert.Equal((starts, TimeSpan.Zero), (See(true, stamp, now += 1).Starts, See(true, stamp, now).RunningFor));
            Assert.Equal(starts, See(false, stamp, now += 2).Starts);
            Assert.Equal(TimeSpan.FromSeconds(4), See(false, stamp, now += 4).EndedFor);
        }

        tracker.Started("c", TimeSpan.FromSeconds(now));
        See(true, "1970-01-01T00:00:09Z", now);
        var stable = Backoff.Stable.TotalSeconds;
        Assert.Equal(4, See(true, "1970-01-01T00:00:09Z", now + stable - 0.1).Starts);
        Assert.Equal(1, See(true, "1970-01-01T00:00:09Z", now + stable).Starts);
        tracker.Stopped("c");
        Assert.Equal(0, See(false, "1970-01-01T00:00:09Z", now + stable + 1).Starts);
    }
}
