using System.Buffers;
using System.Text;
using OsBuild.Supervisor.Fleet;

namespace OsBuild.Tests.Supervisor.Fleet;

public sealed class LogTests
{
    [Theory]
    [InlineData("2026-11-23T15:27:02.636123456Z hello from main\r", 1795447622636123456, "hello from main")]
    [InlineData("2026-11-23T15:27:02.6Z ", 1795447622600000000, "")]
    [InlineData("2026-11-23T15:27:02Z x y", 1795447622000000000, "x y")]
    [InlineData("1970-01-01T00:00:00.000000001Z early", 1, "early")]
    public void The_engines_stamp_is_read_to_the_nanosecond(string line, long position, string message)
    {
        Assert.Equal((position, message), LogLine.Parse(line));
        Assert.Equal($"{position / 1_000_000_000}.{position % 1_000_000_000:000000000}", LogLine.Since(position));
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello")]
    [InlineData("2026-11-23T15:27:02.636123456 no zone")]
    [InlineData("2026-11-23T15:27:02.x36Z odd")]
    [InlineData("2026-13-23T15:27:02.1Z odd")]
    public void What_has_no_stamp_is_left_out(string line) => Assert.Null(LogLine.Parse(line));

    [Fact]
    public void Lines_are_cut_wherever_the_bytes_break()
    {
        var text = Encoding.UTF8.GetBytes("one\nzwei ä\n\nfour\r\nrest");
        for (var at = 0; at <= text.Length; at++)
        {
            var splitter = new LineSplitter();
            List<string> lines = [.. splitter.Feed(text.AsMemory(0, at)), .. splitter.Feed(text.AsMemory(at))];
            Assert.Equal(["one", "zwei ä", "", "four\r"], lines);
            Assert.Equal("rest", splitter.Rest());
            Assert.Null(splitter.Rest());
        }
    }

    [Fact]
    public void A_line_without_end_takes_no_memory()
    {
        var splitter = new LineSplitter();
        for (var i = 0; i < 1000; i++) Assert.Empty(splitter.Feed(Encoding.ASCII.GetBytes(new string('x', 1000))));
        var line = splitter.Feed("\n"u8.ToArray()).Single();
        Assert.Equal(LineSplitter.MaxLine + 2, line.Length);
        Assert.EndsWith(" …", line);
    }

    [Fact]
    public void What_does_not_fit_is_counted_and_said()
    {
        var buffer = new LogBuffer(1000);
        var taken = Enumerable.Range(0, 50).Count(i =>
        {
            var fits = buffer.TryAdd(new(i, new string('x', 36), "c"));
            if (!fits) buffer.Suppress();
            return fits;
        });
        Assert.Equal(10, taken);
        var lines = buffer.Drain(99);
        Assert.Equal(11, lines.Count);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => (long)i), lines.Take(10).Select(l => l.Position));
        Assert.StartsWith("40 lines suppressed", lines[^1].Message);
        Assert.True(lines[^1].System);
        Assert.True(buffer.IsEmpty);
        Assert.True(buffer.TryAdd(new(1, "room again", "c")));
        Assert.Single(buffer.Drain(0));
    }

    [Fact]
    public void Lines_have_the_form_the_recorded_fleet_gave_back()
    {
        Assert.Equal("""{"message":"hello from main","timestamp":1795447622636,"serviceId":1}""" + "\n", Json(new(1795447622636_000000, "hello from main", "c", "a", "main"), 1));
        Assert.Equal("""{"message":"oops","timestamp":1795447622636,"isStdErr":true,"serviceId":1}""" + "\n", Json(new(1795447622636_000000, "oops", "c", "a", "main", Error: true), 1));
        Assert.Equal("""{"message":"Supervisor starting","timestamp":1795447622636,"isSystem":true}""" + "\n", Json(new(1795447622636_000000, "Supervisor starting"), null));

        static string Json(LogLine line, long? service)
        {
            var to = new ArrayBufferWriter<byte>();
            LogShipper.Write(to, line, service);
            return Encoding.UTF8.GetString(to.WrittenSpan);
        }
    }

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 10)]
    [InlineData(5, 80)]
    [InlineData(7, 300)]
    [InlineData(1000, 300)]
    public void A_broken_stream_is_opened_again_ever_more_slowly(int failures, double seconds) => Assert.Equal(seconds, LogShipper.RetryAfter(failures).TotalSeconds);
}
