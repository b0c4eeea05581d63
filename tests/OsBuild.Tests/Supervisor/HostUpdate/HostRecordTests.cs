using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Running;

namespace OsBuild.Tests.Supervisor.HostUpdate;

public sealed class HostRecordTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("osbuild-host-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static HostBuild Build(int n, string request = "r") => new($"{n:x64}", $"{n}.0", $"host:{n}", request, n % 2 == 0 ? "a" : "b");

    private static HostRecord OnTrial(int n) => new HostRecord().Stage(Build(n)).Arm(["shop/web"], true);

    [Fact]
    public void One_that_is_named_is_fetched_written_tried_and_good()
    {
        var record = new HostRecord();
        Assert.Equal((HostStep.None, "none"), (record.Next(null, ""), record.StateOf(null, "")));
        Assert.Equal((HostStep.Fetch, "waiting"), (record.Next("host:1", "r"), record.StateOf("host:1", "r")));
        record = record.Stage(Build(1));
        Assert.Equal((HostStep.Arm, "written"), (record.Next("host:1", "r"), record.StateOf("host:1", "r")));
        record = record.Arm(["shop/web"], true);
        Assert.Equal((HostStep.None, "on trial"), (record.Next("host:1", "r"), record.StateOf("host:1", "r")));
        record = record.Prove();
        Assert.Equal((HostStep.None, "good"), (record.Next("host:1", "r"), record.StateOf("host:1", "r")));
        Assert.Equal((Build(1), null, false), (record.Good, record.Trial, record.Armed));
        Assert.Empty(record.Services);
    }

    [Fact]
    public void S82_88_A_bad_one_is_remembered_with_its_reason_and_not_tried_again()
    {
        var record = OnTrial(1).Reject("it never came as far as the state partition");
        Assert.Equal((HostStep.None, "bad"), (record.Next("host:1", "r"), record.StateOf("host:1", "r")));
        Assert.Equal("it never came as far as the state partition", record.KnownBad(Build(1).Sha256)!.Reason);
        Assert.Null(record.Good);
        // Asked for again by a person it is looked at again; what it is decides then.
        Assert.Equal(HostStep.Fetch, record.Next("host:1", "r2"));
    }

    [Fact]
    public void Another_one_waits_for_the_verdict_but_not_for_one_that_is_only_written()
    {
        Assert.Equal(HostStep.None, OnTrial(1).Next("host:2", "r2"));
        Assert.Equal(OnTrial(1).Trial, OnTrial(1).Drop().Trial);
        var written = new HostRecord().Stage(Build(1));
        Assert.Equal(HostStep.Fetch, written.Next("host:2", "r2"));
        Assert.Equal(HostStep.Drop, written.Next(null, ""));
        Assert.Null(written.Drop().Trial);
    }

    [Fact]
    public void Only_the_last_bad_ones_are_kept()
    {
        var record = new HostRecord();
        for (var i = 0; i < 50; i++) record = record.Distrust(Build(i), "x");
        Assert.Equal(16, record.Bad.Count);
        Assert.NotNull(record.KnownBad(Build(49).Sha256));
        Assert.Null(record.KnownBad(""));
    }

    [Fact]
    public void It_is_on_the_medium_when_it_is_kept()
    {
        HostStore Store() => new(new HostPaths(folder, Path.Combine(folder, "state"), folder, folder, ""));
        Assert.Null(Store().Load().Trial);
        Store().Save(OnTrial(1));
        Store().Save(OnTrial(2).Reject("why"));
        Assert.Equal("why", Store().Load().Bad.Single().Reason);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(folder, "state", "supervisor"), "host.b")) File.WriteAllText(file, "torn");
        Assert.Equal((Build(1), true), (Store().Load().Trial, Store().Load().Armed));
        Assert.Equal(["shop/web"], Store().Load().Services);
        Store().Named.Value = ("host:2", "now");
        Assert.Equal(("host:2", "now"), Store().Named.Value);
        Store().Named.Value = null;
        Assert.Null(Store().Named.Value);
    }

    [Fact]
    public void Any_order_of_events_keeps_the_good_one_until_another_has_proved_itself()
    {
        var random = new Random(8188);
        for (var run = 0; run < 2000; run++)
        {
            var record = new HostRecord();
            for (var step = 0; step < 30; step++)
            {
                var (before, kind) = (record, random.Next(7));
                record = kind switch
                {
                    0 when !record.Armed && Build(random.Next(5), $"r{step}") is var build && record.KnownBad(build.Sha256) is null => record.Stage(build),
                    1 => record.Arm(["shop/web"], true),
                    2 when record.Armed => record.Prove(),
                    3 when record.Armed => record.Reject("it ended"),
                    4 => record.Drop(),
                    _ => record,
                };
                if (record.Good != before.Good) Assert.True(kind == 2 && before.Armed && record.Good == before.Trial);
                if (record.Armed) Assert.NotNull(record.Trial);
                if (record.Trial is { } trial) Assert.Null(record.KnownBad(trial.Sha256));
            }
        }
    }

    [Theory]
    [InlineData("", "it never came as far as the state partition")]
    [InlineData("boot of host:1 (1.0)", "in 1 boot; the last thing it said was 'boot of host:1 (1.0)'")]
    [InlineData("boot of host:1 (1.0)|identity|boot of host:1 (1.0)|identity|boot failed: no place for data", "in 2 boots; the last thing it said was 'boot failed: no place for data'")]
    public void S88_The_reason_is_made_of_its_last_words(string lines, string reason) => Assert.Contains(reason, TrialLog.Reason(lines.Split('|', StringSplitOptions.RemoveEmptyEntries)));

    [Fact]
    public void Last_words_are_bounded_and_one_line_each()
    {
        var log = new TrialLog(Path.Combine(folder, "log"));
        log.Begin(Build(1));
        for (var i = 0; i < 3000; i++) log.Line($"event {i}\nand more {new string('x', 40)}");
        Assert.InRange(new FileInfo(Path.Combine(folder, "log")).Length, 60_000, 70_000);
        Assert.Contains("in 1 boot;", log.Reason());
        log.Clear();
        Assert.Contains("it never came", log.Reason());
        log.Clear(); // nothing there is nothing to do
    }
}
