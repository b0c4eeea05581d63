using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>What is kept of a try, and what follows from it: as values, with the power going at every step.</summary>
public sealed class UpdateRecordTests
{
    private static WorkerBuild Build(int n, string request = "r1") => new(new string((char)('a' + n), 64), $"{n}.0", $"supervisor:{n}", request);

    [Fact]
    public void S75_A_worker_that_proves_itself_is_the_good_one()
    {
        var record = new UpdateRecord().Stage(Build(2)).Begin(null);
        Assert.Equal((Build(2), 1), (record.Trial, record.Tries));
        record = record.Prove();
        Assert.Equal((Build(2), null, 0), (record.Good, record.Trial, record.Tries));
        Assert.Equal("good", record.StateOf("supervisor:2", "r1"));
        Assert.Equal(UpdateStep.None, record.Next("supervisor:2", "r1"));
    }

    [Fact]
    public void S76_A_bad_one_is_not_tried_again_until_another_image_is_named()
    {
        var record = new UpdateRecord { Good = Build(1) }.Stage(Build(2)).Begin(null).Reject("it ended with 1");
        Assert.Equal((Build(1), null), (record.Good, record.Trial));
        Assert.Equal(UpdateStep.None, record.Next("supervisor:2", "r1"));
        Assert.Equal("bad", record.StateOf("supervisor:2", "r1"));
        // Named again it is fetched again, since its name may stand for something else; the same program is bad at once.
        Assert.Equal(UpdateStep.Fetch, record.Next("supervisor:2", "r2"));
        var again = record.Stage(Build(2, "r2"));
        Assert.Null(again.Trial);
        Assert.Equal("it ended with 1", again.Bad[^1].Reason);
        Assert.Equal(UpdateStep.None, again.Next("supervisor:2", "r2"));
        Assert.Equal(UpdateStep.Fetch, again.Next("supervisor:3", "r3"));
        Assert.Equal(Build(3, "r3"), again.Stage(Build(3, "r3")).Trial);
    }

    [Fact]
    public void S76_A_damaged_file_is_a_verdict_and_no_try() => Assert.Equal("its file is damaged", new UpdateRecord().Stage(Build(2)).Begin("its file is damaged").Bad.Single().Reason);

    [Fact]
    public void S76_A_good_one_that_fails_later_leaves_the_root_s_own()
    {
        var record = new UpdateRecord { Good = Build(1) }.Abandon("its file is damaged");
        Assert.Null(record.Good);
        Assert.Equal("its file is damaged", record.KnownBad(Build(1).Sha256)!.Reason);
        Assert.Equal("bad", record.StateOf("supervisor:1", "r1"));
    }

    [Fact]
    public void S77_Trials_without_a_verdict_are_counted_and_end()
    {
        var record = new UpdateRecord { Good = Build(1) }.Stage(Build(2));
        for (var i = 1; i <= UpdateRecord.MostTries; i++)
        {
            record = record.Begin(null); // and the power goes
            Assert.Equal((Build(2), i), (record.Trial, record.Tries));
        }

        record = record.Begin(null);
        Assert.Equal((Build(1), null), (record.Good, record.Trial));
        Assert.Contains("lost its power", record.Bad.Single().Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.1")]
    [InlineData("not a version at all")]
    [InlineData("")]
    public void S78_No_decision_asks_which_version_is_higher(string version)
    {
        var older = Build(0) with { Version = version };
        Assert.Equal(older, new UpdateRecord { Good = Build(9) }.Stage(older).Begin(null).Prove().Good);
    }

    [Fact]
    public void S79_A_second_update_waits_for_the_verdict_on_the_first()
    {
        var record = new UpdateRecord().Stage(Build(2)).Begin(null);
        Assert.Equal(UpdateStep.None, record.Next("supervisor:3", "r2"));
        Assert.Equal("waiting", record.StateOf("supervisor:3", "r2"));
        Assert.Equal(UpdateStep.Fetch, record.Prove().Next("supervisor:3", "r2"));
        Assert.Equal(UpdateStep.Fetch, record.Reject("it hangs").Next("supervisor:3", "r2"));
        var second = record.Prove().Stage(Build(3, "r2")).Begin(null).Reject("it hangs");
        Assert.Equal(Build(2), second.Good);
    }

    [Fact]
    public void The_root_s_own_worker_can_be_named_too()
    {
        Assert.Equal(UpdateStep.None, new UpdateRecord().Next(UpdateRecord.BuiltIn, "r"));
        Assert.Equal("good", new UpdateRecord().StateOf(UpdateRecord.BuiltIn, "r"));
        Assert.Equal(UpdateStep.GoBack, new UpdateRecord { Good = Build(1) }.Next(UpdateRecord.BuiltIn, "r"));
        Assert.Equal(UpdateStep.None, new UpdateRecord { Good = Build(1) }.Next(null, ""));
    }

    [Fact]
    public void The_same_program_under_another_name_needs_no_trial()
    {
        var record = new UpdateRecord { Good = Build(1) }.Stage(Build(1, "r2") with { Image = "supervisor:latest" });
        Assert.Null(record.Trial);
        Assert.Equal("good", record.StateOf("supervisor:latest", "r2"));
    }

    [Fact]
    public void Only_the_last_bad_ones_are_kept()
    {
        var record = new UpdateRecord();
        for (var i = 0; i < 100; i++) record = record.Stage(Build(0) with { Sha256 = $"{i:x64}", Image = $"supervisor:{i}" }).Begin(null).Reject("bad");
        Assert.Equal(16, record.Bad.Count);
        Assert.Equal("supervisor:99", record.Bad[^1].Build.Image);
    }

    /// <summary>Whatever is asked for and whatever happens, in any order: a program known as bad never becomes the good one, and one that is not good
    /// is never more than on trial.</summary>
    [Fact]
    public void S77_Any_order_of_events_keeps_the_old_one_until_the_new_has_proved_itself()
    {
        var random = new Random(20261126);
        for (var run = 0; run < 2000; run++)
        {
            var record = new UpdateRecord();
            for (var step = 0; step < 30; step++)
            {
                var (before, kind) = (record, random.Next(6));
                record = kind switch
                {
                    0 when record.Trial is null => record.Stage(Build(random.Next(4), $"r{step}")),
                    1 or 2 => record.Begin(random.Next(8) == 0 ? "its file is damaged" : null),
                    3 => record.Tries > 0 ? record.Prove() : record,
                    4 => record.Tries > 0 ? record.Reject("it ended with 1") : record,
                    _ => record, // a reset: what is written is all there is
                };
                Assert.True(record.Tries <= UpdateRecord.MostTries);
                if (record.Good is { } good) Assert.Null(record.KnownBad(good.Sha256));
                if (record.Trial is { } trial) Assert.Null(record.KnownBad(trial.Sha256));
                if (kind != 3 && record.Good?.Sha256 != before.Good?.Sha256) Assert.Fail($"step {kind} of run {run} changed the good one");
            }
        }
    }
}
