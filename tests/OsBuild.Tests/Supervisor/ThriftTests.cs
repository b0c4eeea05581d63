using OsBuild.Supervisor.Running;

namespace OsBuild.Tests.Supervisor;

public sealed class ThriftTests
{
    /// <summary>The seconds at which memory is given back by a process that is asked each second.</summary>
    private static IEnumerable<int> Yes(int seconds, Func<int, bool> busy, Func<int, long> allocated)
    {
        var thrift = new Thrift();
        return Enumerable.Range(0, seconds).Where(s => thrift.Due(TimeSpan.FromSeconds(s), busy(s), allocated(s)));
    }

    [Fact]
    public void Memory_is_given_back_when_the_start_is_done_and_then_when_looking_has_used_enough() =>
        Assert.Equal([25, 25 + 64, 25 + 128], Yes(200, s => s < 25, s => s * (16L << 10)));

    [Fact]
    public void A_process_that_uses_next_to_nothing_is_looked_at_each_hour() =>
        Assert.Equal([25, 25 + 3600, 25 + 7200], Yes(10_000, s => s < 25, s => s * 10L));

    [Fact]
    public void After_every_update_it_is_given_back_once() =>
        Assert.Equal([0, 100, 300], Yes(500, s => s is > 50 and < 100 or > 200 and < 300, s => (Math.Clamp(s, 50, 100) + Math.Clamp(s, 200, 300)) * (1L << 20)));

    [Fact]
    public void What_uses_much_without_end_does_not_cost_more_than_one_in_twenty_seconds() =>
        Assert.Equal([0, 20, 40], Yes(60, _ => false, s => s * (100L << 20)));

    [Fact]
    public void Work_that_never_ends_does_not_put_it_off_for_ever() =>
        Assert.Equal([3580, 7180], Yes(10_000, _ => true, s => s * (1L << 20)));
}
