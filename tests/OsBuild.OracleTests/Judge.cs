using System.Diagnostics;

namespace OsBuild.OracleTests;

/// <summary>The outside judges: real programs that know a format better than we do. A missing one is a skip on a developer's
/// machine and a failure in CI.</summary>
internal static class Judge
{
    public sealed record Verdict(int ExitCode, string Output)
    {
        public Verdict MustPass(string what)
        {
            Assert.True(ExitCode == 0, $"{what} exited {ExitCode}:\n{Output}");
            return this;
        }
    }

    /// <summary>Runs a program with a time limit and gives its exit code with stdout and stderr together.</summary>
    public static Verdict Run(string program, params string[] arguments) => Run(TimeSpan.FromMinutes(3), program, arguments);

    public static Verdict Run(TimeSpan limit, string program, params string[] arguments)
    {
        Require(program);
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["PATH"] += ":/usr/sbin:/sbin";
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var stdout = process.StandardOutput.ReadToEndAsync();
        var stderr = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} did not end within {limit}.");
        }

        return new Verdict(process.ExitCode, stdout.GetAwaiter().GetResult() + stderr.GetAwaiter().GetResult());
    }

    /// <summary>Skips the test when a program is missing; fails it in CI.</summary>
    public static void Require(string program)
    {
        var directories = (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':');
        if (Path.IsPathRooted(program) ? File.Exists(program) : directories.Any(d => File.Exists(Path.Combine(d, program)))) return;
        Assert.True(Environment.GetEnvironmentVariable("CI") != "true", $"The judge {program} is missing; ./build.sh test installs it.");
        Assert.Skip($"The judge {program} is not installed.");
    }

    /// <summary>True when running as root, which kernel mounts and loop devices need.</summary>
    public static bool IsRoot => Environment.UserName == "root";
}
