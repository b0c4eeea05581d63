using System.Globalization;
using System.Text;

namespace OsBuild.Supervisor.Fleet;

/// <summary>One line of a service, or of the supervisor itself.</summary>
/// <param name="Position">Nanoseconds since 1970, as the engine stamped it: where to go on after a break.</param>
/// <param name="Container">Its container's id; empty for the supervisor's own lines.</param>
internal sealed record LogLine(long Position, string Message, string Container = "", string App = "", string Service = "", bool Error = false)
{
    public bool System => Container.Length == 0;

    /// <summary>Milliseconds since 1970.</summary>
    public long Timestamp => Position / 1_000_000;

    /// <summary>Reads what the engine writes with timestamps: <c>2026-01-31T10:00:00.123456789Z message</c>.</summary>
    public static (long Position, string Message)? Parse(string line)
    {
        var space = line.IndexOf(' ');
        var stamp = space < 0 ? line : line[..space];
        var dot = stamp.IndexOf('.');
        var end = stamp.Length - 1;
        if (end < 19 || stamp[end] != 'Z') return null;
        if (!DateTime.TryParseExact(stamp[..(dot < 0 ? end : dot)], "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)) return null;
        var fraction = dot < 0 ? "" : stamp[(dot + 1)..end];
        if (fraction.Length > 9 || !fraction.All(char.IsAsciiDigit)) return null;
        var nanoseconds = fraction.Length == 0 ? 0 : long.Parse(fraction.PadRight(9, '0'), CultureInfo.InvariantCulture);
        return ((time - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerSecond * 1_000_000_000 + nanoseconds, space < 0 ? "" : line[(space + 1)..].TrimEnd('\r'));
    }

    /// <summary>A position as the engine's <c>since</c> wants it.</summary>
    public static string Since(long position) => $"{position / 1_000_000_000}.{position % 1_000_000_000:000000000}";
}

/// <summary>Cuts a stream of bytes into lines. A longer line is cut off, since whoever writes one would otherwise fill the memory.</summary>
internal sealed class LineSplitter
{
    public const int MaxLine = 10_000;

    private readonly List<byte> line = [];
    private bool cut;

    public IEnumerable<string> Feed(ReadOnlyMemory<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            var b = bytes.Span[i];
            if (b == '\n')
            {
                yield return Take();
            }
            else if (line.Count < MaxLine)
            {
                line.Add(b);
            }
            else
            {
                cut = true;
            }
        }
    }

    /// <summary>What was written without a newline.</summary>
    public string? Rest() => line.Count == 0 ? null : Take();

    private string Take()
    {
        var text = Encoding.UTF8.GetString([.. line]) + (cut ? " …" : "");
        line.Clear();
        cut = false;
        return text;
    }
}

/// <summary>Lines on their way to the fleet: bounded, and honest about what did not fit.</summary>
internal sealed class LogBuffer(int capacity = 256 * 1024)
{
    private readonly Queue<LogLine> lines = new();
    private int size;
    private int suppressed;

    public bool IsEmpty => lines.Count == 0 && suppressed == 0;

    /// <summary>False when there is no room.</summary>
    public bool TryAdd(LogLine line)
    {
        // After a loss nothing slips in before the remark about it.
        if (size + Weight(line) > capacity) return false;
        lines.Enqueue(line);
        size += Weight(line);
        return true;
    }

    public void Suppress() => suppressed++;

    /// <summary>All that waits, in order, with a remark about what was lost in between.</summary>
    public List<LogLine> Drain(long now)
    {
        List<LogLine> all = [.. lines];
        if (suppressed > 0) all.Add(new(now, $"{suppressed} lines suppressed: they came faster than they could be sent"));
        lines.Clear();
        (size, suppressed) = (0, 0);
        return all;
    }

    /// <summary>Ends it, and gives the supervisor's own lines that were in it.</summary>
    public List<LogLine> TakeOwn()
    {
        List<LogLine> own = [.. lines.Where(l => l.System)];
        lines.Clear();
        (size, suppressed) = (0, 0);
        return own;
    }

    private static int Weight(LogLine line) => 64 + line.Message.Length;
}
