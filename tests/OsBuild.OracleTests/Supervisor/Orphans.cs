using System.Diagnostics;
using OsBuild.Supervisor.Init;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>What PID 1 owes to processes that lost their parents. This program runs itself once more, as PID 1 of its own process name space.</summary>
public sealed class Orphans(ITestOutputHelper output)
{
    private const int Count = 10_000;
    private const string AsPidOne = "OSBUILD_TEST_AS_PID_1";

    [Fact]
    public async Task S89_Ten_thousand_orphans_leave_no_zombie_and_the_children_it_keeps_are_still_told_apart()
    {
        if (!Judge.IsRoot) Assert.Skip("a process name space needs root");
        Judge.Require("unshare");
        var start = new ProcessStartInfo("unshare") { ArgumentList = { "--pid", "--fork", "--mount-proc", Environment.ProcessPath!, "-noColor", "-noLogo", "-method", $"*.{nameof(Orphans)}.{nameof(Inside_as_pid_1)}" }, RedirectStandardOutput = true };
        start.Environment[AsPidOne] = "1";
        using var inside = Process.Start(start)!;
        var said = await inside.StandardOutput.ReadToEndAsync();
        await inside.WaitForExitAsync();
        output.WriteLine(said);
        Assert.Contains("Total: 1, Errors: 0, Failed: 0, Skipped: 0", said);
    }

    /// <summary>Only as part of the other test. Children are started and watched by the class PID 1 uses.</summary>
    [Fact]
    public async Task Inside_as_pid_1()
    {
        if (Environment.GetEnvironmentVariable(AsPidOne) is null) Assert.Skip("runs inside of S89 only");
        Assert.Equal(1, Environment.ProcessId);
        var ended = new List<string>();
        var spec = new ChildSpec("kept", "/bin/sh", ["-c", "sleep 0.2; exit 7"], 0, "none", new Dictionary<string, string>());
        var kept = new Child(spec, line => { lock (ended) ended.Add(line); }, _ => { });
        var keeping = kept.RunAsync();
        // Each inner process outlives the one that started it, and so becomes a child of PID 1.
        var maker = new ChildSpec("maker", "/bin/sh", ["-c", $"i=0; while [ $i -lt {Count} ]; do ( /bin/true & ); i=$((i+1)); done; echo made; exec sleep 1000"], 0, "none", new Dictionary<string, string>());
        var made = new TaskCompletionSource();
        var making = new Child(maker, _ => { }, line => made.TrySetResult());
        var running = making.RunAsync();
        await made.Task.WaitAsync(TimeSpan.FromMinutes(5));
        for (var i = 0; i < 300 && Zombies() > 0; i++) await Task.Delay(100);
        Assert.Equal(0, Zombies());
        making.Stop(TimeSpan.FromSeconds(5));
        kept.Stop(TimeSpan.FromSeconds(5));
        await Task.WhenAll(keeping, running).WaitAsync(TimeSpan.FromMinutes(2));
        lock (ended) Assert.Contains("kept ended with 7", ended);
        Assert.DoesNotContain(ended, line => line.StartsWith("kept ended", StringComparison.Ordinal) && line != "kept ended with 7" && line != "kept ended with 143");
    }

    /// <summary>Processes that ended and were not waited for, other than those that ended this very moment.</summary>
    private static int Zombies() => Directory.EnumerateDirectories("/proc").Count(d => char.IsAsciiDigit(Path.GetFileName(d)[0]) && Stat(d).Contains(") Z 1 ", StringComparison.Ordinal));

    private static string Stat(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "stat"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
