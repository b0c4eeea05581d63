using System.Globalization;

namespace OsBuild.Supervisor.Linux;

/// <summary>Memory this process has and does not need.</summary>
internal static class OwnMemory
{
    /// <summary>
    /// Gives memory back that only the start or a burst of work needed: garbage, what the C library keeps in reserve, and pages of program and
    /// libraries. Those pages are clean and stay in the kernel's page cache while there is room; what is run again is mapped again.
    /// </summary>
    public static void GiveBack()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        Libc.TrimHeap();
        try
        {
            foreach (var (start, length) in UnchangedFilePages(File.ReadLines("/proc/self/smaps")).ToList()) Libc.ForgetPages(start, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A kernel without CONFIG_PROC_PAGE_MONITOR: it takes such pages itself when it is short of them.
        }
    }

    /// <summary>The mappings of files that cannot be written and of which no page was ever changed; forgetting a changed one would undo the change,
    /// a relocation for example.</summary>
    /// <param name="smaps">Lines of /proc/PID/smaps (proc(5)).</param>
    /// <returns>Address and length in bytes.</returns>
    public static IEnumerable<(ulong Start, ulong Length)> UnchangedFilePages(IEnumerable<string> smaps)
    {
        (ulong Start, ulong Length)? mapping = null;
        foreach (var line in smaps)
        {
            // 00405000-00b18000 r-xp 00005000 08:02 1234    /usr/lib/osbuild/supervisor
            // Anonymous:             0 kB
            // Swap:                  0 kB      a changed page may lie there
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is [var range, ['r', '-', _, 'p'], _, _, _, ..]) mapping = words is [_, _, _, _, not "0", ['/', ..], ..] && !words[5].StartsWith("/dev/", StringComparison.Ordinal) ? Range(range) : null;
            else if (words is [_, { Length: 4 }, _, _, _, ..] or ["Anonymous:", not "0", _]) mapping = null;
            else if (words is ["Swap:", "0", "kB"] && mapping is { } unchanged) yield return unchanged;
        }
    }

    private static (ulong, ulong)? Range(string text) =>
        text.Split('-') is [var from, var to] && ulong.TryParse(from, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var start) && ulong.TryParse(to, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var end) && end > start
            ? (start, end - start) : null;
}
