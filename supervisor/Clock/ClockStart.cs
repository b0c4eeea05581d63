using System.Globalization;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;

namespace OsBuild.Supervisor.Clock;

/// <summary>The time at boot: never before the last time seen, never before this program was built. Boards without a clock start in 1970.</summary>
internal static class ClockStart
{
    /// <summary>Pure: the latest of what is known.</summary>
    public static DateTimeOffset Best(DateTimeOffset now, DateTimeOffset? saved, DateTimeOffset built)
    {
        // A saved time far ahead was a broken clock once: believing it would keep the device in the future for ever.
        var believable = saved is { } s && s - built < TimeSpan.FromDays(365 * 20) ? saved.Value : built;
        var floor = believable > built ? believable : built;
        return now < floor ? floor : now;
    }

    /// <summary>Sets the clock from RTC (the kernel did, or we do), saved time and build time.</summary>
    public static void Set(HostPaths paths, Action<string> log)
    {
        var now = DateTimeOffset.UtcNow;
        if (Rtc.Read() is { } rtc && rtc > now) now = rtc;
        var best = Best(now, Saved(paths), Built);
        if (best - DateTimeOffset.UtcNow < TimeSpan.FromSeconds(1)) return;
        Libc.SetClock(best);
        log($"clock set to {best:u} (no time source yet)");
    }

    /// <summary>Saves the time: hourly and at shutdown.</summary>
    public static void Save(HostPaths paths) =>
        DurableFile.Write(PathOf(paths), DateTimeOffset.UtcNow.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture) + "\n");

    /// <summary>When this program was built, as the image's time stamps say: the builder gives every file the time of the build.</summary>
    public static DateTimeOffset Built
    {
        get
        {
            var floor = new DateTimeOffset(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);
            try
            {
                var file = new DateTimeOffset(File.GetLastWriteTimeUtc(Environment.ProcessPath ?? ""), TimeSpan.Zero);
                return file > floor && file < floor.AddYears(50) ? file : floor;
            }
            catch (Exception e) when (e is IOException or ArgumentException)
            {
                return floor;
            }
        }
    }

    private static DateTimeOffset? Saved(HostPaths paths)
    {
        var path = PathOf(paths);
        return File.Exists(path) && long.TryParse(File.ReadAllText(path).Trim(), CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < 253402300799
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : null;
    }

    private static string PathOf(HostPaths paths) => Path.Combine(paths.State, "clock");
}
