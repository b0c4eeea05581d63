using System.Text;
using OsBuild.Supervisor.Logs;

namespace OsBuild.Tests.Supervisor.Logs;

public sealed class LogTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly string directory = Directory.CreateTempSubdirectory("osb-logs-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static LogQuery Query(string text) => LogQuery.Parse(text.Split('&', StringSplitOptions.RemoveEmptyEntries).Select(p => p.Split('=')).ToDictionary(p => p[0], p => p[1]), Now);

    [Fact]
    public void Understands_what_is_asked()
    {
        Assert.Equal(new(false, 200, null, false), Query(""));
        Assert.Equal(new(true, 5, null, true), Query("follow=1&tail=5&times=true"));
        Assert.Equal(new(false, null, null, false), Query("tail=all"));
        Assert.Equal(new(false, null, Now.AddMinutes(-90), false), Query("since=1h30m"));
        Assert.Equal(new(false, 7, Now.AddSeconds(-10), false), Query("since=10s&tail=7"));
        Assert.Equal(new DateTimeOffset(2026, 4, 30, 8, 0, 0, TimeSpan.Zero), Query("since=2026-04-30T08:00:00").Since);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_777_000_000), Query("since=1777000000").Since);
    }

    [Fact]
    public void Keeps_its_own_log_with_stack_traces_and_within_its_bound()
    {
        using (var log = LogSetup.Create(Path.Combine(directory, "own"), maxFile: 2000))
        {
            try
            {
                throw new InvalidOperationException("the reason");
            }
            catch (InvalidOperationException e)
            {
                log.Error(e, "{Task} failed and is started again", "fleet");
            }

            for (var i = 0; i < 2; i++) log.Information("{Text}", new string('x', 1200));
            log.Information("the last line");
        }

        var lines = File.ReadAllLines(Path.Combine(directory, "own", "supervisor.log.1"));
        Assert.Matches(@"^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d) \[ERR\] fleet failed and is started again$", lines[0]);
        Assert.Contains("the reason", lines[1], StringComparison.Ordinal);
        Assert.Contains(nameof(Keeps_its_own_log_with_stack_traces_and_within_its_bound), lines[2], StringComparison.Ordinal);
        Assert.EndsWith("[INF] the last line", File.ReadAllLines(Path.Combine(directory, "own", "supervisor.log"))[^1], StringComparison.Ordinal);
        Assert.InRange(Directory.EnumerateFiles(Path.Combine(directory, "own")).Sum(f => new FileInfo(f).Length), 1, 4000);
    }

    [Fact]
    public void Goes_on_without_a_file_where_none_can_be()
    {
        File.WriteAllText(Path.Combine(directory, "taken"), "");
        using var log = LogSetup.Create(Path.Combine(directory, "taken"));
        log.Information("said on the console");
    }

    [Theory]
    [InlineData("since=yesterday")]
    [InlineData("since=-5")]
    [InlineData("tail=-1")]
    [InlineData("tail=many")]
    public void Says_what_it_does_not_understand(string text) => Assert.Contains(text.Split('=')[1], Assert.Throws<FormatException>(() => Query(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Takes_time_and_text_apart()
    {
        Assert.Equal(new("2026-05-01T12:00:00.123456789Z", "a/web", "hello world"), LogLine.Parse("a/web", "2026-05-01T12:00:00.123456789Z hello world"));
        Assert.Equal(new("", "a/web", "no time here"), LogLine.Parse("a/web", "no time here"));
        Assert.Equal(new("2026-05-01T12:00:00.123456789Z", "a/web", ""), LogLine.Parse("a/web", "2026-05-01T12:00:00.123456789Z "));
    }

    [Theory]
    [InlineData("2026-05-01T12:00:00.123456789Z", "1777636800.123456790")]
    [InlineData("2026-05-01T12:00:00.999999999Z", "1777636801.000000000")]
    [InlineData("2026-05-01T12:00:00Z", "1777636800.000000001")]
    [InlineData("2026-05-01T12:00:00.5Z", "1777636800.500000001")]
    [InlineData("", null)]
    public void Knows_the_moment_after_a_line(string time, string? next) => Assert.Equal(next, new LogLine(time, "", "").Next());

    private static async IAsyncEnumerable<LogLine> Source(string service, params string[] times)
    {
        foreach (var time in times)
        {
            await Task.Yield();
            yield return new(time, service, time);
        }
    }

    [Fact]
    public async Task Merges_sources_by_time_and_keeps_each_in_its_order()
    {
        var merged = new List<string>();
        await foreach (var line in ServiceLogs.MergeAsync([Source("a", "1", "4", "4", "9"), Source("b"), Source("c", "2", "3", "5"), Source("d", "0")])) merged.Add(line.Service + line.Text);
        Assert.Equal(["d0", "a1", "c2", "c3", "a4", "a4", "c5", "a9"], merged);
    }

    [Fact]
    public void Last_words_are_kept_bounded_and_found_by_service_since_and_tail()
    {
        var kept = new KeptLogs(directory);
        Assert.Empty(kept.Read(null, Query("")));
        for (var i = 0; i < 60; i++) kept.Add("shop", "web", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 500).Select(n => $"2026-05-01T11:{i:D2}:00.{n:D9}Z line {i} {n} {new string('x', 30)}\n"))));
        kept.Add("shop", "db", "2026-05-01T11:00:00.000000000Z no end of line"u8.ToArray());
        Assert.True(Directory.EnumerateFiles(directory).Sum(f => new FileInfo(f).Length) <= 2 * KeptLogs.MaxFile + 1000);

        var last = Assert.Single(kept.Read("shop/web", Query("tail=1")));
        Assert.Equal("line 59 499", string.Join(' ', last[0].Text.Split(' ')[..3]));
        Assert.Equal(["no end of line"], Assert.Single(kept.Read("shop/db", Query("tail=all"))).Select(l => l.Text));
        Assert.Equal(2, kept.Read(null, Query("tail=1")).Count);
        Assert.All(Assert.Single(kept.Read("shop/web", Query("since=2m"))), l => Assert.StartsWith("2026-05-01T11:5", l.Time, StringComparison.Ordinal));
        Assert.Empty(kept.Read("shop/other", Query("")));
    }
}
