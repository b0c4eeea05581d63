using System.Text;
using Microsoft.Win32.SafeHandles;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>
/// When to feed the hardware watchdog, decided from what the worker proves. Pure. The worker writes a new text into its heartbeat file each time its
/// loop has gone round; a timer of its own would prove nothing.
/// </summary>
/// <param name="Beat">The heartbeat's text last seen.</param>
/// <param name="Changed">When it last changed, or the worker was last given a new chance, in milliseconds.</param>
/// <param name="Restarted">True when the worker was restarted since the last progress.</param>
internal sealed record WatchdogState(string Beat, long Changed, bool Restarted)
{
    /// <summary>No progress for this long: the worker is restarted. Long enough for a pull on a slow card, whose progress also beats.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    public enum Act
    {
        Feed,
        RestartWorker,

        /// <summary>Stop feeding: the hardware resets the board.</summary>
        Starve,
    }

    public static WatchdogState Start(long now) => new("", now, false);

    /// <param name="mayReset">False when the last reset did not help: then the containers, which need no worker to run, are left in peace.</param>
    public (WatchdogState Next, Act Act) On(string beat, long now, bool mayReset = true)
    {
        if (beat != Beat) return (new WatchdogState(beat, now, false), Act.Feed);
        if (now - Changed < Patience.TotalMilliseconds) return (this, Act.Feed);
        return Restarted && mayReset ? (this, Act.Starve) : (new WatchdogState(beat, now, true), Act.RestartWorker);
    }
}

/// <summary>/dev/watchdog0, or nothing when the board has none.</summary>
internal sealed unsafe class Watchdog : IDisposable
{
    private const uint SetTimeout = 0xc0045706; // WDIOC_SETTIMEOUT, _IOWR('W', 6, int), include/uapi/linux/watchdog.h
    private readonly SafeFileHandle? _device;

    private Watchdog(SafeFileHandle? device, int seconds)
    {
        _device = device;
        Seconds = seconds;
    }

    /// <summary>The time-out the hardware took, 0 without a watchdog.</summary>
    public int Seconds { get; }

    public static Watchdog Open(Action<string> log)
    {
        foreach (var path in new[] { "/dev/watchdog0", "/dev/watchdog" })
        {
            if (!File.Exists(path)) continue;
            try
            {
                var device = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                var seconds = 60;
                if (Libc.Ioctl(device, SetTimeout, &seconds) < 0) seconds = 0; // a fixed time-out: fed often enough anyway
                log($"watchdog {path}, {(seconds > 0 ? $"{seconds} s" : "time-out of its own")}");
                return new Watchdog(device, seconds);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                log($"watchdog {path}: {e.Message}");
            }
        }

        return new Watchdog(null, 0);
    }

    public void Feed()
    {
        if (_device is not null) Write("k");
    }

    /// <summary>The magic close: only for a wanted power-off, where nobody is there to feed it.</summary>
    public void Disarm()
    {
        if (_device is null || _device.IsClosed) return;
        Write("V");
        _device.Dispose();
    }

    public void Dispose() => Disarm();

    private void Write(string text)
    {
        try
        {
            Libc.Write(_device!, Encoding.ASCII.GetBytes(text), "watchdog");
        }
        catch (IOException)
        {
            // A watchdog that cannot be fed resets the board, which is what it is for.
        }
    }
}
