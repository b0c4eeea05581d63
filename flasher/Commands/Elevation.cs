using System.Diagnostics;
using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Commands;

/// <summary>The way to more rights on this machine.</summary>
/// <param name="Tool">The program that asks for them.</param>
/// <param name="Arguments">What it is given.</param>
internal sealed record Raise(string Tool, IReadOnlyList<string> Arguments);

/// <summary>Starts the same command again with more rights, after asking.</summary>
internal static class Elevation
{
    /// <summary>Finds the way, or null when there is none. Pure.</summary>
    /// <param name="system">The system.</param>
    /// <param name="terminal">Whether a person sits at a terminal.</param>
    /// <param name="desktop">Whether there is a desktop that can ask.</param>
    /// <param name="has">Tells whether a program is there.</param>
    /// <param name="command">This program and its arguments.</param>
    public static Raise? Plan(SystemKind system, bool terminal, bool desktop, Func<string, bool> has, IReadOnlyList<string> command)
    {
        switch (system)
        {
            case SystemKind.Windows:
                // The raised program gets a window of its own, which must not vanish with the result.
                return new Raise("cmd.exe", ["/c", string.Join(' ', command.Select(WindowsQuoted)) + " & pause"]);
            case SystemKind.MacOs when !terminal:
                var script = string.Join(' ', command.Select(ShellQuoted)).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
                return new Raise("osascript", ["-e", $"do shell script \"{script}\" with administrator privileges"]);
            default:
                var tool = ((string[])(terminal ? ["sudo", "doas", "pkexec"] : desktop ? ["pkexec"] : [])).FirstOrDefault(has);
                return tool is null ? null : new Raise(tool, command);
        }
    }

    /// <summary>Single quotes keep everything but single quotes.</summary>
    private static string ShellQuoted(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    private static string WindowsQuoted(string text) => $"\"{text.Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    /// <summary>This machine's way.</summary>
    public static Raise? Here(bool terminal) => Plan(
        OperatingSystem.IsWindows() ? SystemKind.Windows : OperatingSystem.IsMacOS() ? SystemKind.MacOs : SystemKind.Linux, terminal,
        ((string[])["DISPLAY", "WAYLAND_DISPLAY"]).Any(v => Environment.GetEnvironmentVariable(v) is { Length: > 0 }),
        tool => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(p => File.Exists(Path.Combine(p, tool))),
        [Environment.ProcessPath!, .. Environment.GetCommandLineArgs().Skip(1)]);

    /// <summary>Offers to start again with more rights; tells a script what it needs.</summary>
    /// <exception cref="RefusedException">There is no way, or the person does not want it.</exception>
    public static int Offer(string why, bool script)
    {
        var terminal = !Console.IsInputRedirected;
        var way = script ? null : Here(terminal);
        if (way is null) throw new RefusedException($"{why}: run {(OperatingSystem.IsWindows() ? "as administrator:" : "sudo")} flasher {string.Join(' ', Environment.GetCommandLineArgs().Skip(1))}. Nothing was written.");
        if (terminal)
        {
            Console.Error.Write($"{why}. Start again with {(OperatingSystem.IsWindows() ? "administrator rights" : way.Tool)}? [Y/n] ");
            if (Console.ReadLine()?.Trim().ToLowerInvariant() is not ("" or "y" or "yes")) throw new RefusedException($"{why}; nothing was written.");
        }

        using var process = Start(way, capture: false);
        process.WaitForExit();
        return process.ExitCode;
    }

    /// <summary>Starts the raised program; its output can be read when captured.</summary>
    /// <exception cref="RefusedException">It cannot be started.</exception>
    public static Process Start(Raise way, bool capture)
    {
        var start = new ProcessStartInfo(way.Tool) { RedirectStandardOutput = capture };
        if (OperatingSystem.IsWindows()) (start.UseShellExecute, start.Verb) = (true, "runas");
        foreach (var argument in way.Arguments) start.ArgumentList.Add(argument);
        try
        {
            return Process.Start(start) ?? throw new RefusedException($"{way.Tool} cannot be started; nothing was written.");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new RefusedException($"{way.Tool} cannot be started ({e.Message.TrimEnd('.')}); nothing was written.");
        }
    }
}
