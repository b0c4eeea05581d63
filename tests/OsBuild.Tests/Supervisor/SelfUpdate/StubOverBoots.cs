using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>What is started when something was broken off, damaged or asked for.</summary>
public sealed class StubOverBoots : StubBench
{
    [Fact]
    public async Task S77_A_trial_that_the_power_cut_off_three_times_is_over_and_the_old_one_works_each_time()
    {
        var build = Program("sleep 100");
        store.Save(new UpdateRecord().Stage(build));
        for (var boot = 1; boot <= UpdateRecord.MostTries; boot++)
        {
            var stub = Start(bounds: b => b with { ReadyWithin = TimeSpan.FromMilliseconds(500) });
            await VerdictAsync();
            await UntilAsync("what is bad is removed", () => !File.Exists(store.ProgramOf(build)));
            await UntilAsync("the old one works", () => Beats(stub));
            Assert.Equal((1, boot, boot), (stub.Worker.Starts, begun.Count, begun.Last().Tries));
            stub.Worker.Stop(TimeSpan.Zero);
            // As after a power cut: what was written when the trial began is all that is left, and no process.
            store.Save(begun.Last());
            Program("sleep 100");
        }

        Start();
        Assert.Contains("lost its power", (await VerdictAsync()).Bad[^1].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S77_The_old_one_comes_up_first_when_the_power_went_while_the_new_one_proved_itself()
    {
        Answer();
        store.Save(new UpdateRecord().Stage(Program(ReadyToWork + "echo new >> \"$RUN/who\"; " + Beat)).Begin(null));
        Start();
        Assert.NotNull((await VerdictAsync()).Good);
        Assert.Equal("own\nnew\n", Who);
    }

    [Fact]
    public async Task S77_The_trial_after_a_power_cut_waits_for_the_engine()
    {
        Answer();
        store.Save(new UpdateRecord().Stage(Program(ReadyToWork + Beat)).Begin(null));
        var stub = Start(bounds: b => b with { Settle = TimeSpan.Zero, EngineWithin = TimeSpan.FromMinutes(5) });
        await UntilAsync("the old one works", () => Beats(stub));
        await Task.Delay(500);
        Assert.Empty(begun);
        Answer(paths.EngineSocket);
        Assert.NotNull((await VerdictAsync()).Good);
    }

    [Fact]
    public async Task S77_A_good_one_whose_file_is_damaged_or_gone_leaves_the_root_s_own()
    {
        var build = Program(Beat);
        store.Save(new UpdateRecord { Good = build });
        File.Delete(store.ProgramOf(build));
        var stub = Start();
        await UntilAsync("the root's own runs", () => Who == "own\n" && Beats(stub));
        Assert.Null(store.Load().Good);
        Assert.StartsWith("its file cannot be read", store.Load().Bad.Single().Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task S76_A_good_one_that_ends_again_and_again_leaves_the_root_s_own()
    {
        store.Save(new UpdateRecord { Good = Program("exit 3") });
        Start();
        await UntilAsync("the root's own runs", () => Who == "own\n");
        Assert.Contains("it ended 5 times in a row soon after its start; the last time it ended with 3", store.Load().Bad.Single().Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_record_the_root_s_own_runs_and_nothing_is_written()
    {
        var stub = Start();
        await UntilAsync("the root's own runs", () => Who == "own\n" && Beats(stub));
        Assert.False(Directory.Exists(paths.State));
    }

    [Fact]
    public async Task Every_worker_is_told_that_a_stub_started_it()
    {
        var stub = Start("echo \"own $OSBUILD_STUB\" >> \"$RUN/who\"; " + Beat);
        await UntilAsync("the root's own was told", () => Who == "own 1\n");
        stub.Worker.Stop(TimeSpan.Zero);
        store.Save(new UpdateRecord { Good = Program("echo \"new $OSBUILD_STUB\" >> \"$RUN/who\"; " + Beat) });
        Start();
        await UntilAsync("the new one was told", () => Who == "own 1\nnew 1\n");
    }

    [Fact]
    public async Task A_record_that_cannot_be_read_is_none()
    {
        Directory.CreateDirectory(Path.Combine(paths.State, "supervisor", "update.a"));
        await File.WriteAllTextAsync(Path.Combine(paths.State, "supervisor", "update.b"), "rubbish");
        var stub = Start();
        await UntilAsync("the root's own runs", () => Who == "own\n" && Beats(stub));
    }

    [Fact]
    public async Task The_root_s_own_worker_is_run_again_when_it_is_asked_for()
    {
        store.Save(new UpdateRecord { Good = Program("echo new >> \"$RUN/who\"; while [ ! -e \"$RUN/back\" ]; do sleep 0.1; done; rm \"$RUN/back\"; echo '[osbuild] event supervisor staged: built-in'; " + Beat) });
        Start();
        await UntilAsync("the new one runs", () => Who == "new\n");
        store.Save(store.Load() with { Good = null });
        await File.WriteAllTextAsync(Path.Combine(folder, "back"), "");
        await UntilAsync("the root's own runs", () => Who == "new\nown\n");
    }
}
