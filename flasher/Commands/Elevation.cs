using System.Diagnostics;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Commands;

/// <summary>Starts the same command again with more rights, after asking.</summary>
internal static class Elevation
{
    /// <summary>Offers sudo (or pkexec without a terminal password) to a person; tells a script what it needs.</summary>
    public static int Offer(string why, bool script)
    {
        var tool = ((string[])["sudo", "pkexec", "doas"]).FirstOrDefault(t => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(p => File.Exists(Path.Combine(p, t))));
        var line = string.Join(' ', Environment.GetCommandLineArgs().Skip(1));
        if (script || tool is null || Console.IsInputRedirected) throw new RefusedException($"{why}: run sudo flasher {line}. Nothing was written.");
        Console.Error.Write($"{why}. Start again with {tool}? [Y/n] ");
        if (Console.ReadLine()?.Trim().ToLowerInvariant() is not ("" or "y" or "yes")) throw new RefusedException($"{why}; nothing was written.");
        var start = new ProcessStartInfo(tool);
        start.ArgumentList.Add(Environment.ProcessPath!);
        foreach (var argument in Environment.GetCommandLineArgs().Skip(1)) start.ArgumentList.Add(argument);
        using var process = Process.Start(start) ?? throw new RefusedException($"{tool} cannot be started; nothing was written.");
        process.WaitForExit();
        return process.ExitCode;
    }
}
