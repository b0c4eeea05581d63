using System.Diagnostics;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>A program PID 1 keeps running.</summary>
/// <param name="Name">For logs.</param>
/// <param name="Program">Path of the program.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="OomScore">oom_score_adj: who dies last when memory runs out.</param>
/// <param name="ControlGroup">Its cgroup below /sys/fs/cgroup; empty: where it is.</param>
/// <param name="Environment">Variables beside PID 1's own.</param>
internal sealed record ChildSpec(string Name, string Program, IReadOnlyList<string> Arguments, int OomScore, string ControlGroup,
    IReadOnlyDictionary<string, string> Environment);

/// <summary>
/// Starts a child, reads its output, and starts it again when it ends. Only System.Diagnostics.Process is used: in PID 1 the runtime reaps every
/// child itself, and a waitpid of our own would race with it.
/// </summary>
/// <param name="next">What to start, asked each time.</param>
/// <param name="log">Told what happens to it.</param>
/// <param name="output">Told what it says, line by line.</param>
internal sealed class Child(Func<ChildSpec> next, Action<string> log, Action<string> output)
{
    private readonly Lock _lock = new();
    private Process? _process;
    private bool _stopping;
    private bool _replacing;

    public Child(ChildSpec spec, Action<string> log, Action<string> output) : this(() => spec, log, output)
    {
    }

    /// <summary>Told how long each process ran, in milliseconds, and how it ended, before the next is started; not when it was asked to make room.</summary>
    public Action<long, string>? Ended { get; init; }

    /// <summary>How long to wait before the next start, by how often it failed in a row.</summary>
    public Func<int, TimeSpan> Pause { get; init; } = RestartDelay.After;

    /// <summary>Id of the running process, or 0.</summary>
    public int ProcessId
    {
        get
        {
            lock (_lock) return _process is { HasExited: false } p ? p.Id : 0;
        }
    }

    /// <summary>How often it was started.</summary>
    public int Starts { get; private set; }

    /// <summary>Keeps the child running until <see cref="Stop"/>.</summary>
    public async Task RunAsync()
    {
        var failures = 0;
        while (!_stopping)
        {
            var started = BootLog.Now;
            var spec = next();
            string end;
            try
            {
                end = $"it ended with {await RunOnceAsync(spec)}";
            }
            catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException or InvalidOperationException)
            {
                log($"{spec.Name} cannot be started: {e.Message}");
                end = $"it cannot be started: {e.Message}";
            }

            if (_stopping) return;
            if (TakeReplacing())
            {
                failures = 0;
                continue;
            }

            Ended?.Invoke(BootLog.Now - started, end);
            failures = BootLog.Now - started > 60_000 ? 0 : failures + 1;
            var delay = Pause(failures);
            log($"{spec.Name} is started again in {delay.TotalSeconds} s");
            await Task.Delay(delay);
        }
    }

    /// <summary>Starts it once; returns its exit code when it has ended.</summary>
    public Task<int> RunOnceAsync() => RunOnceAsync(next());

    private async Task<int> RunOnceAsync(ChildSpec spec)
    {
        var start = new ProcessStartInfo(spec.Program)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        foreach (var argument in spec.Arguments) start.ArgumentList.Add(argument);
        foreach (var (name, value) in spec.Environment) start.Environment[name] = value;

        Process process;
        lock (_lock)
        {
            if (_stopping) return 0;
            process = Process.Start(start)!;
            _process = process;
            Starts++;
        }

        Place(spec, process.Id);
        process.StandardInput.Close();
        var pumps = Task.WhenAll(PumpAsync(process.StandardOutput), PumpAsync(process.StandardError));
        await WaitForExitAsync(process);

        // Children of the child may hold its output open for as long as they live (shims do): what it said last is waited for, they are not.
        await Task.WhenAny(pumps, Task.Delay(1000));
        var code = process.ExitCode;
        log($"{spec.Name} ended with {code}");
        lock (_lock) _process = null;
        if (pumps.IsCompleted) process.Dispose();
        return code;
    }

    /// <summary>Process.WaitForExitAsync would wait for the end of the output too.</summary>
    private static async Task WaitForExitAsync(Process process)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.Exited += (_, _) => ended.TrySetResult();
        process.EnableRaisingEvents = true;
        if (process.HasExited) ended.TrySetResult();
        await ended.Task;
    }

    private void Place(ChildSpec spec, int pid)
    {
        try
        {
            File.WriteAllText($"/proc/{pid}/oom_score_adj", spec.OomScore.ToString());
            if (spec.ControlGroup.Length > 0) File.WriteAllText($"/sys/fs/cgroup/{spec.ControlGroup}/cgroup.procs", pid.ToString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log($"{spec.Name}: {e.Message}");
        }
    }

    /// <summary>Reads to the end whatever happens to the log: a full pipe would stop the child.</summary>
    private async Task PumpAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            try
            {
                output(line);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The disk is full or gone; the child matters more than its log.
            }
        }
    }

    /// <summary>Kills the process so that it is started again.</summary>
    public void Restart()
    {
        if (ProcessId is > 0 and var pid) TryKill(pid, Libc.SIGKILL);
    }

    /// <summary>Makes room for what <c>next</c> gives now: asks the process to leave (SIGUSR1), kills it when it does not, and starts the next at once.</summary>
    public void Replace(TimeSpan patience)
    {
        Process? process;
        lock (_lock)
        {
            process = _process;
            _replacing = process is not null;
        }

        try
        {
            if (process is null || process.HasExited) return;
            TryKill(process.Id, Libc.SIGUSR1);
            if (process.WaitForExit(patience)) return;
            log($"process {process.Id} did not leave within {patience.TotalSeconds} s");
            TryKill(process.Id, Libc.SIGKILL);
        }
        catch (InvalidOperationException)
        {
            // It ended and was disposed of meanwhile.
        }
    }

    private bool TakeReplacing()
    {
        lock (_lock)
        {
            var was = _replacing;
            _replacing = false;
            return was;
        }
    }

    /// <summary>Asks the child to end, waits, and kills it when it does not. True when it ended by itself.</summary>
    public bool Stop(TimeSpan patience)
    {
        Process? process;
        lock (_lock)
        {
            _stopping = true;
            process = _process;
        }

        try
        {
            if (process is null || process.HasExited) return true;
            TryKill(process.Id, Libc.SIGTERM);
            if (process.WaitForExit(patience)) return true;
            log($"process {process.Id} did not end within {patience.TotalSeconds} s");
            TryKill(process.Id, Libc.SIGKILL);
            process.WaitForExit(TimeSpan.FromSeconds(5));
            return false;
        }
        catch (InvalidOperationException)
        {
            return true; // it ended and was disposed of meanwhile
        }
    }

    private static void TryKill(int pid, int signal)
    {
        try
        {
            Libc.Kill(pid, signal);
        }
        catch (LinuxException)
        {
            // It has ended.
        }
    }
}

/// <summary>How long to wait before a program that ended is started again. Pure.</summary>
internal static class RestartDelay
{
    /// <summary>At once after a long good run, then 1, 2, 4 ... 60 s.</summary>
    public static TimeSpan After(int failuresInARow) =>
        failuresInARow <= 0 ? TimeSpan.Zero : TimeSpan.FromSeconds(Math.Min(60, 1L << Math.Min(failuresInARow - 1, 6)));
}
