using System.Globalization;

namespace OsBuild.Supervisor.Init;

/// <summary>What a process really costs: its proportional set size.</summary>
internal static class MemoryUse
{
    /// <summary>Kilobytes from the text of smaps_rollup, or null.</summary>
    public static long? Pss(string smapsRollup)
    {
        foreach (var line in smapsRollup.Split('\n'))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is ["Pss:", var number, "kB"] && long.TryParse(number, CultureInfo.InvariantCulture, out var kilobytes)) return kilobytes;
        }

        return null;
    }

    public static long? Of(int pid)
    {
        try
        {
            return Pss(File.ReadAllText($"/proc/{pid}/smaps_rollup"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // ended, or a kernel without it
        }
    }
}
