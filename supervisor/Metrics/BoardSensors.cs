using System.Globalization;

namespace OsBuild.Supervisor.Metrics;

/// <summary>What the board's own sensors say at one moment.</summary>
/// <param name="Temperatures">The thermal zones.</param>
/// <param name="Undervolted">True while a supply is below its critical voltage; null when no sensor tells.</param>
internal sealed record BoardSample(List<TemperatureSample> Temperatures, bool? Undervolted);

/// <summary>Reads the sensors of a board: thermal zones (kernel's Documentation/driver-api/thermal/sysfs-api.rst) and supply voltages
/// (Documentation/hwmon/sysfs-interface.rst; on a Raspberry Pi the chip rpi_volt, whose in0_lcrit_alarm is the firmware's under-voltage bit).</summary>
internal static class BoardSensors
{
    /// <param name="sys">Where sysfs is mounted.</param>
    public static BoardSample Read(string sys = "/sys")
    {
        var zones = Folders(Path.Combine(sys, "class/thermal"), "thermal_zone*").Select(Zone).OfType<TemperatureSample>();
        var alarms = Folders(Path.Combine(sys, "class/hwmon"), "hwmon*").SelectMany(chip => Files(chip, "in*_lcrit_alarm")).Select(Number).OfType<double>().ToList();
        return new([.. zones], alarms.Count == 0 ? null : alarms.Exists(a => a != 0));
    }

    private static TemperatureSample? Zone(string zone)
    {
        if (Number(Path.Combine(zone, "temp")) is not { } milli || milli <= 0) return null;
        var trips = Files(zone, "trip_point_*_type").Select(file => (Kind: Text(file), At: Number(file[..^"type".Length] + "temp"))).Where(t => t.At > 0).ToList();
        return new(Text(Path.Combine(zone, "type")), milli / 1000, Lowest("passive"), Lowest("hot", "critical"));

        double? Lowest(params string[] kinds) => trips.Where(t => kinds.Contains(t.Kind)).Min(t => t.At) / 1000;
    }

    private static IEnumerable<string> Folders(string folder, string pattern)
    {
        try
        {
            return Directory.Exists(folder) ? [.. Directory.EnumerateDirectories(folder, pattern).OrderBy(f => f.Length).ThenBy(f => f, StringComparer.Ordinal)] : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static IEnumerable<string> Files(string folder, string pattern)
    {
        try
        {
            return [.. Directory.EnumerateFiles(folder, pattern)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static double? Number(string file) => double.TryParse(Text(file), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;

    /// <summary>Empty when the driver does not answer, as some do while their device sleeps.</summary>
    private static string Text(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
