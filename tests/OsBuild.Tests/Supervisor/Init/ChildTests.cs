using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Running;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class ChildTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(4, 8)]
    [InlineData(7, 60)]
    [InlineData(1000, 60)]
    public void Waits_longer_after_each_failure_but_never_for_ever(int failures, int seconds) => Assert.Equal(seconds, RestartDelay.After(failures).TotalSeconds);

    [Fact]
    public void The_engine_s_storage_driver_is_pinned_and_its_data_is_on_the_data_partition()
    {
        var spec = EngineChild.Find(_ => true, "/data", "/run/docker.sock")!;
        var line = string.Join(' ', spec.Arguments);
        Assert.Contains("--data-root /data/docker", line, StringComparison.Ordinal);
        Assert.Contains("--storage-driver overlay2", line, StringComparison.Ordinal);
        Assert.Contains("native.cgroupdriver=cgroupfs", line, StringComparison.Ordinal);
        Assert.Contains("--live-restore", line, StringComparison.Ordinal);
        Assert.DoesNotContain("userland-proxy", line, StringComparison.Ordinal);
        Assert.DoesNotContain("iptables", line, StringComparison.Ordinal);
    }

    /// <summary>The score is what the kernel ranks by when memory runs out; a container has 0.</summary>
    [Fact]
    public async Task S92_When_memory_runs_out_apps_die_before_the_engine_and_PID_1_never()
    {
        Assert.True(EngineChild.Find(_ => true, "/data", "/run/docker.sock")!.OomScore <= -900);
        Assert.Contains(new BootAction.Write("/proc/self/oom_score_adj", "-1000"), BootTable.Settings);
        var child = new Child(new ChildSpec("sleeper", "/bin/sleep", ["1000"], 321, "none", new Dictionary<string, string>()), _ => { }, _ => { });
        var run = child.RunAsync();
        var score = "";
        for (var i = 0; i < 200 && score != "321"; i++)
        {
            await Task.Delay(50);
            if (child.ProcessId is > 0 and var pid) score = (await File.ReadAllTextAsync($"/proc/{pid}/oom_score_adj")).Trim();
        }

        child.Stop(TimeSpan.FromSeconds(5));
        await run.WaitAsync(TimeSpan.FromSeconds(15));
        Assert.Equal("321", score);
    }

    [Fact]
    public void A_root_without_docker_proxy_or_iptables_still_gets_an_engine()
    {
        var spec = EngineChild.Find(p => p == "/usr/bin/dockerd", "/data", "/run/docker.sock")!;
        Assert.Equal("/usr/bin/dockerd", spec.Program);
        Assert.Contains("--userland-proxy=false", spec.Arguments);
        Assert.Contains("--iptables=false", spec.Arguments);
    }

    [Fact]
    public void A_root_without_an_engine_has_none() => Assert.Null(EngineChild.Find(_ => false, "/data", "/run/docker.sock"));

    [Theory]
    [InlineData("HTTP/1.0 200 OK\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\nServer: Docker", true)]
    [InlineData("HTTP/1.1 500 Internal Server Error\r\n", false)]
    [InlineData("", false)]
    [InlineData("200", false)]
    public void Only_a_200_is_a_healthy_engine(string answer, bool good) => Assert.Equal(good, EngineChild.IsGood(answer));

    [Fact]
    public async Task A_socket_that_is_not_there_does_not_answer() =>
        Assert.False(await EngineChild.AnswersAsync("/nowhere/docker.sock", TimeSpan.FromSeconds(1)));

    [Fact]
    public async Task A_child_that_ends_is_started_again_and_stops_when_asked()
    {
        var said = new List<string>();
        var lines = new List<string>();
        var spec = new ChildSpec("echo", "/bin/sh", ["-c", "echo started; exit 3"], 0, "none", new Dictionary<string, string>());
        var child = new Child(spec, s => { lock (said) said.Add(s); }, s => { lock (lines) lines.Add(s); }) { Pause = _ => TimeSpan.FromMilliseconds(100) };
        var run = child.RunAsync();
        for (var i = 0; i < 100 && child.Starts < 2; i++) await Task.Delay(50);
        child.Stop(TimeSpan.FromSeconds(5));
        await run.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(child.Starts >= 2);
        lock (lines) Assert.All(lines, l => Assert.Equal("started", l));
        lock (said) Assert.Contains("echo ended with 3", said);
    }

    [Fact]
    public async Task A_child_that_does_not_listen_is_killed()
    {
        var spec = new ChildSpec("deaf", "/bin/sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], 0, "none", new Dictionary<string, string>());
        var ready = new TaskCompletionSource();
        var child = new Child(spec, _ => { }, _ => ready.TrySetResult());
        var run = child.RunAsync();
        await ready.Task.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.False(child.Stop(TimeSpan.FromMilliseconds(300)));
        await run.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(0, child.ProcessId);
    }

    [Fact]
    public async Task A_child_is_started_again_even_when_its_own_children_keep_its_output_open()
    {
        var spec = new ChildSpec("leaver", "/bin/sh", ["-c", "sleep 20 & exit 0"], 0, "none", new Dictionary<string, string>());
        var child = new Child(spec, _ => { }, _ => { }) { Pause = _ => TimeSpan.FromMilliseconds(100) };
        var run = child.RunAsync();
        for (var i = 0; i < 200 && child.Starts < 2; i++) await Task.Delay(50);
        child.Stop(TimeSpan.FromSeconds(5));
        Assert.True(child.Starts >= 2);
        await run.WaitAsync(TimeSpan.FromSeconds(15));
    }

    [Fact]
    public void A_log_never_takes_more_than_twice_its_limit()
    {
        var directory = Directory.CreateTempSubdirectory("osbuild-log-").FullName;
        try
        {
            var path = Path.Combine(directory, "sub", "engine.log");
            using var log = new BoundedLog(path, 1000);
            for (var i = 0; i < 500; i++) log.Line($"line {i} of a talkative engine");
            Assert.InRange(new FileInfo(path).Length, 1, 1000);
            Assert.InRange(new FileInfo(path + ".1").Length, 1, 1000);
            Assert.EndsWith("line 499 of a talkative engine\n", File.ReadAllText(path), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("[osbuild] event network: eth0 10.0.2.15/24", "network", "eth0 10.0.2.15/24")]
    [InlineData("[osbuild] event containers started", "containers started", "")]
    public void Events_pass_from_the_worker_through_its_output(string line, string name, string detail) => Assert.Equal((name, detail), HostEvent.Parse(line));

    [Theory]
    [InlineData("network: eth0 has a link")]
    [InlineData("")]
    [InlineData(" [osbuild] event x")]
    public void Other_lines_are_no_events(string line) => Assert.Null(HostEvent.Parse(line));
}
