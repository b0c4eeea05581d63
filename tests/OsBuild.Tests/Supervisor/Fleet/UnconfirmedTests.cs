using OsBuild.Supervisor.Fleet;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>What a broken link may have swallowed is sent again.</summary>
public sealed class UnconfirmedTests
{
    private readonly Unconfirmed unconfirmed = new();
    private readonly SortedDictionary<string, long> shipped = new(StringComparer.Ordinal);

    private static LogLine Line(string container, long position) => new(position, "text", container, "app", "web");

    private static LogLine Own(string text) => new(1, text);

    private static TimeSpan At(int seconds) => TimeSpan.FromSeconds(seconds);

    [Fact]
    public void A_link_that_goes_on_taking_lines_has_taken_the_earlier_ones()
    {
        unconfirmed.Sent([Line("a", 10), Line("b", 11), Line("a", 12)], At(0));
        unconfirmed.Sent([Line("a", 20)], At(50));
        unconfirmed.Confirm(shipped, At(40) - Unconfirmed.Doubt);
        Assert.Empty(shipped);
        unconfirmed.Confirm(shipped, At(61) - Unconfirmed.Doubt);
        Assert.Equal(new Dictionary<string, long> { ["a"] = 12, ["b"] = 11 }, shipped);
        unconfirmed.Confirm(shipped, TimeSpan.MaxValue);
        Assert.Equal(20, shipped["a"]);
    }

    [Fact]
    public void After_a_break_containers_are_read_again_from_the_last_line_that_arrived_and_own_lines_come_back()
    {
        unconfirmed.Sent([Line("a", 10), Own("one")], At(0));
        unconfirmed.Confirm(shipped, At(0));
        unconfirmed.Sent([Line("a", 20), Own("two")], At(1));
        unconfirmed.Sent([Own("three"), Line("a", 30)], At(2));
        Assert.Equal(["two", "three"], unconfirmed.TakeBack().Select(l => l.Message));
        Assert.Equal(10, shipped["a"]);
        Assert.Empty(unconfirmed.TakeBack());
        unconfirmed.Confirm(shipped, TimeSpan.MaxValue);
        Assert.Equal(10, shipped["a"]);
    }

    [Fact]
    public void What_is_kept_is_bounded_and_the_newest_stays()
    {
        for (var i = 0; i < 1000; i++) unconfirmed.Sent([Own($"{i}")], At(0));
        var kept = unconfirmed.TakeBack();
        Assert.Equal(Unconfirmed.MostOwn, kept.Count);
        Assert.Equal("999", kept[^1].Message);
    }

    [Fact]
    public void Of_a_buffer_that_was_not_sent_only_the_own_lines_are_kept()
    {
        var buffer = new LogBuffer();
        foreach (var line in (LogLine[])[Line("a", 1), Own("one"), Line("b", 2), Own("two")]) Assert.True(buffer.TryAdd(line));
        buffer.Suppress();
        Assert.Equal(["one", "two"], buffer.TakeOwn().Select(l => l.Message));
        Assert.True(buffer.IsEmpty);
    }
}
