using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;

namespace OsBuild.Tests.Supervisor.SelfUpdate;

/// <summary>What comes of a trial.</summary>
public sealed class WorkerStubTests : StubBench
{
    [Fact]
    public async Task S75_A_good_one_takes_over_when_it_is_ready_and_stays()
    {
        Answer();
        store.Save(new UpdateRecord().Stage(Program(ReadyToWork + "echo new >> \"$RUN/who\"; " + Beat)));
        var stub = Start();
        var record = await VerdictAsync();
        Assert.True(record.Good?.Image == "supervisor:2", string.Join('\n', said));
        Assert.Equal("own\nnew\n", Who);
        await UntilAsync("it is told", () => said.Any(l => l.StartsWith("supervisor good: supervisor:2", StringComparison.Ordinal)));
        // And at the next boot it is the one that is started.
        stub.Worker.Stop(TimeSpan.Zero);
        Start();
        await UntilAsync("the new one runs", () => Who == "own\nnew\nnew\n");
    }

    [Theory]
    [InlineData("exit 7", "it ended with 7 before it was ready")]
    [InlineData("echo '[osbuild] event supervisor ready: 2'; kill -SEGV $$", "it ended with 139 before it was ready")]
    [InlineData("exit 0", "it ended with 0 before it was ready")]
    [InlineData("x=$(head -c 150000000 /dev/zero | tr '\\0' a); sleep 100", "of memory, and may take 64")]
    public async Task S76_One_that_fails_beside_the_old_one_never_takes_over(string script, string reason)
    {
        store.Save(new UpdateRecord().Stage(Program(script)));
        var stub = Start();
        Assert.Contains(reason, (await VerdictAsync()).Bad.Single().Reason, StringComparison.Ordinal);
        Assert.Equal((1, "own\n"), (stub.Worker.Starts, Who));
        await UntilAsync("the old one goes on", () => Beats(stub));
        await UntilAsync("it is told", () => said.Any(l => l.StartsWith("supervisor bad: supervisor:2", StringComparison.Ordinal) && l.EndsWith("the root's own does the work", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("exit 7", "it ended with 7 ")]
    [InlineData("(" + Beat + ") & sleep 0.3; kill $!; exit 1", "it ended with 1 ")]
    [InlineData("trap '' USR1 TERM; while :; do sleep 0.2; done", "it gave no sign of life for 1 s")]
    [InlineData("echo \"$$ 1\" > \"$RUN/heartbeat\"; sleep 100", "it gave no sign of life for 1 s")]
    [InlineData(Beat, "its API did not answer on the device")]
    public async Task S76_One_that_fails_after_it_took_over_makes_room_for_the_old_one(string script, string reason)
    {
        store.Save(new UpdateRecord().Stage(Program(ReadyToWork + script)));
        // A short silence only for those that are silent: on a busy machine a beat may be late.
        var stub = Start(bounds: b => reason.Contains("sign of life", StringComparison.Ordinal) ? b with { Silence = TimeSpan.FromSeconds(1) } : b);
        Assert.Contains(reason, (await VerdictAsync()).Bad.Single().Reason, StringComparison.Ordinal);
        await UntilAsync("the old one is back", () => Who == "own\nown\n" && Beats(stub));
        await UntilAsync("its file is removed", () => !Directory.EnumerateFiles(store.Programs).Any());
    }

    [Fact]
    public async Task S76_One_that_is_not_executable_is_bad()
    {
        store.Save(new UpdateRecord().Stage(Program("exit 0", executable: false)));
        var stub = Start();
        Assert.Contains("it cannot be started", (await VerdictAsync()).Bad.Single().Reason, StringComparison.Ordinal);
        Assert.Equal(1, stub.Worker.Starts);
    }

    [Fact]
    public async Task S76_A_truncated_one_is_not_even_started()
    {
        var build = Program("echo started > \"$RUN/started\"; # and more");
        await File.WriteAllTextAsync(store.ProgramOf(build), "#!/bin/sh\necho started > \"$RUN/started\"");
        store.Save(new UpdateRecord().Stage(build));
        Start();
        Assert.Equal("its file is damaged", (await VerdictAsync()).Bad.Single().Reason);
        Assert.False(File.Exists(Path.Combine(folder, "started")));
    }

    [Fact]
    public async Task S76_One_that_is_never_ready_never_takes_over()
    {
        store.Save(new UpdateRecord().Stage(Program("sleep 100")));
        var stub = Start(bounds: b => b with { ReadyWithin = TimeSpan.FromSeconds(1) });
        Assert.Equal("it was not ready within 1 s", (await VerdictAsync()).Bad.Single().Reason);
        Assert.Equal((1, "own\n"), (stub.Worker.Starts, Who));
    }
}
