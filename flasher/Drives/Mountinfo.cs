using System.Text;

namespace OsBuild.Flasher.Drives;

/// <summary>A line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).</summary>
/// <param name="Number">Device number as <c>major:minor</c>; major 0 for file systems without a device of their own.</param>
/// <param name="Root">What of the file system is mounted.</param>
/// <param name="At">The mount point.</param>
/// <param name="Type">The file system.</param>
/// <param name="Source">What it was mounted from.</param>
internal sealed record MountLine(string Number, string Root, string At, string Type, string Source)
{
    public bool HasOwnDevice => !Number.StartsWith("0:", StringComparison.Ordinal);

    /// <summary>Reads all lines.</summary>
    /// <exception cref="FormatException">A line is not as the kernel writes them.</exception>
    public static IEnumerable<MountLine> Parse(string text)
    {
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var fields = line.Split(' ');
            var dash = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
            if (dash < 0 || fields.Length < dash + 3) throw new FormatException($"not a mountinfo line: {line}");
            yield return new MountLine(fields[2], Unescape(fields[3]), Unescape(fields[4]), fields[dash + 1], Unescape(fields[dash + 2]));
        }
    }

    /// <summary>Undoes the kernel's octal escapes for blank, tab, newline and backslash; bytes that are not UTF-8 stay visible.</summary>
    public static string Unescape(string text)
    {
        if (!text.Contains('\\')) return text;
        var bytes = new List<byte>();
        var from = Encoding.UTF8.GetBytes(text);
        for (var i = 0; i < from.Length; i++)
        {
            if (from[i] == '\\' && i + 3 < from.Length && from.AsSpan(i + 1, 3).IndexOfAnyExceptInRange((byte)'0', (byte)'7') < 0)
            {
                bytes.Add((byte)(((from[i + 1] - '0') << 6) | ((from[i + 2] - '0') << 3) | (from[i + 3] - '0')));
                i += 3;
            }
            else
            {
                bytes.Add(from[i]);
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }
}
