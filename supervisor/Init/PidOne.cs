using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>
/// The process with id 1: performs the boot table, keeps the engine and the worker alive, feeds the watchdog, shuts down. A fixed stub: whatever
/// happens in it is logged, and it goes on, because the kernel panics when it ends.
/// </summary>
internal static class PidOne
{
    /// <summary>Where the builder puts this program.</summary>
    public const string Program = "/usr/lib/osbuild/supervisor";

    public static int Run()
    {
        using var console = new SafeFileHandle(2, ownsHandle: false);
        var log = new BootLog(line => Libc.Write(console, Encoding.UTF8.GetBytes(line + "\n"), "console"));
        try
        {
            if (Initramfs.IsHere) Initramfs.Run(log);
            log.Event("pid1");
            var requests = Channel.CreateUnbounded<ShutdownRequest>();
            var host = new Host(log, requests.Writer);
            host.Start();
            var request = requests.Reader.ReadAsync().AsTask().GetAwaiter().GetResult();
            host.ShutDown(request);
        }
        catch (Exception e)
        {
            GiveUp(log, e);
        }

        Thread.Sleep(Timeout.Infinite);
        return 1;
    }

    /// <summary>The boot failed: say why, leave time to read it, and try again. A loader that counts tries takes the other slot in the end.</summary>
    private static void GiveUp(BootLog log, Exception why)
    {
        log.Say(why is BootFailedException ? $"boot failed: {why.Message}" : $"boot failed: {why}");
        log.Heard?.Invoke("boot failed", why.Message);
        log.Say("restarting in 10 s");
        Thread.Sleep(10_000);
        Libc.Sync();
        try
        {
            Libc.Reboot(RebootKind.Restart);
        }
        catch (LinuxException e)
        {
            log.Say(e.Message);
        }
    }
}

/// <summary>What somebody asked PID 1 for.</summary>
internal sealed record ShutdownRequest(RebootKind Kind, string Reason)
{
    /// <summary>The signals of busybox' init, so that its poweroff, reboot and halt work too; SIGINT is ctrl-alt-del, SIGPWR a power supply.</summary>
    public static readonly IReadOnlyList<(int Signal, ShutdownRequest Request)> Signals =
    [
        (Libc.SIGTERM, new(RebootKind.Restart, "SIGTERM")),
        (Libc.SIGINT, new(RebootKind.Restart, "ctrl-alt-del")),
        (Libc.SIGUSR1, new(RebootKind.Halt, "SIGUSR1")),
        (Libc.SIGUSR2, new(RebootKind.PowerOff, "SIGUSR2")),
        (Libc.SIGPWR, new(RebootKind.PowerOff, "SIGPWR")),
    ];

    public static IReadOnlyList<PosixSignalRegistration> Listen(ChannelWriter<ShutdownRequest> to) =>
        [.. Signals.Select(s => PosixSignalRegistration.Create((PosixSignal)s.Signal, context =>
        {
            context.Cancel = true;
            to.TryWrite(s.Request);
        }))];
}
