using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using OsBuild.Flasher.Web;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Commands;

/// <summary><c>flasher ui</c>: the page on this computer, until Ctrl-C.</summary>
internal static class UiCommand
{
    public static int Run(int port, bool browser, CancellationToken stop) => WriteCommand.Guarded(false, () =>
        Targets.IsPrivileged ? Serve(port, browser, stop) : Raised(port, browser));

    private static int Serve(int port, bool browser, CancellationToken stop)
    {
        using var server = new HttpServer(port);
        var token = Secret();
        var drives = new DriveWatch(stop);
        drives.Look();
        drives.Start();
        using var site = new Site(new Gate(server.Port, token, Secret()), drives, stop);
        var address = $"http://127.0.0.1:{server.Port}/?token={token}";
        Console.Out.WriteLine(address);
        Console.Error.WriteLine("The address is for this computer only and works once. Ctrl-C ends the flasher.");
        if (browser) Open(address);
        try
        {
            server.Run(site.Handle, stop).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C.
        }

        return 0;
    }

    /// <summary>Starts the server with more rights; the browser stays with the person.</summary>
    private static int Raised(int port, bool browser)
    {
        var way = Elevation.Here(terminal: !Console.IsInputRedirected)
            ?? throw new RefusedException("Writing to drives needs more rights: run sudo flasher ui.");
        Console.Error.WriteLine($"Writing to drives needs more rights; asking for them with {way.Tool}.");
        if (OperatingSystem.IsWindows())
        {
            using var window = Elevation.Start(way, capture: false);
            return 0;
        }

        using var process = Elevation.Start(way with { Arguments = [.. way.Arguments.Where(a => a != "--no-browser"), "--no-browser"] }, capture: true);
        if (process.StandardOutput.ReadLine() is { } address)
        {
            Console.Out.WriteLine(address);
            if (browser) Open(address);
        }

        process.WaitForExit();
        return process.ExitCode;
    }

    private static string Secret() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    /// <summary>Opens the browser as the person at the desktop; without one the printed address is enough.</summary>
    private static void Open(string address)
    {
        string[] command = OperatingSystem.IsWindows() ? ["explorer.exe", address] : OperatingSystem.IsMacOS() ? ["open", address]
            : Environment.GetEnvironmentVariable("SUDO_USER") is { } person ? ["runuser", "-u", person, "--", "xdg-open", address] : ["xdg-open", address];
        try
        {
            using var started = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true });
        }
        catch (Win32Exception)
        {
            // No desktop here.
        }
    }
}
