using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Clock;

/// <summary>The battery clock, kept in UTC.</summary>
internal static unsafe class Rtc
{
    // include/uapi/linux/rtc.h: struct rtc_time is nine ints
    private const uint ReadTime = 0x80247009, SetTime = 0x4024700a;
    private const string Device = "/dev/rtc0";

    /// <summary>Its time, or null when there is none or it has lost its battery.</summary>
    public static DateTimeOffset? Read()
    {
        if (!File.Exists(Device)) return null;
        try
        {
            using var file = File.OpenHandle(Device, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var fields = stackalloc int[9];
            if (Libc.Ioctl(file, ReadTime, fields) < 0) return null;
            return FromFields(new ReadOnlySpan<int>(fields, 9));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public static void Write(DateTimeOffset time)
    {
        if (!File.Exists(Device)) return;
        using var file = File.OpenHandle(Device, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var utc = time.UtcDateTime;
        var fields = stackalloc int[9] { utc.Second, utc.Minute, utc.Hour, utc.Day, utc.Month - 1, utc.Year - 1900, 0, 0, 0 };
        var result = Libc.Ioctl(file, SetTime, fields);
        if (result < 0) throw new LinuxException("set the hardware clock", -result);
    }

    /// <summary>sec, min, hour, mday, mon from 0, year from 1900; null for what is no date.</summary>
    public static DateTimeOffset? FromFields(ReadOnlySpan<int> f)
    {
        var (year, month) = (f[5] + 1900, f[4] + 1);
        if (year is < 1970 or > 2200 || month is < 1 or > 12 || f[3] < 1 || f[3] > DateTime.DaysInMonth(year, month)) return null;
        if (f[2] is < 0 or > 23 || f[1] is < 0 or > 59 || f[0] is < 0 or > 59) return null;
        return new DateTimeOffset(year, month, f[3], f[2], f[1], f[0], TimeSpan.Zero);
    }
}
