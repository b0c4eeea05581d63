using System.Globalization;
using OsBuild.Supervisor.Compose;

namespace OsBuild.Supervisor.Logs;

/// <summary>Which lines somebody wants to see.</summary>
/// <param name="Follow">Go on with what is written from now on.</param>
/// <param name="Tail">At most so many lines of each container that are there already; null for all.</param>
/// <param name="Since">Only lines written after this moment.</param>
/// <param name="Times">Each line begins with its time.</param>
internal sealed record LogQuery(bool Follow, int? Tail, DateTimeOffset? Since, bool Times)
{
    public const int DefaultTail = 200;

    /// <summary>From the query of a request (follow, tail, since, times).</summary>
    /// <exception cref="FormatException">Something cannot be understood; the message says what can.</exception>
    public static LogQuery Parse(IReadOnlyDictionary<string, string> query, DateTimeOffset now)
    {
        var since = query.TryGetValue("since", out var text) && text.Length > 0 ? Moment(text, now) : (DateTimeOffset?)null;
        return new(Flag("follow"), Lines(query.GetValueOrDefault("tail"), since is not null), since, Flag("times"));

        bool Flag(string name) => query.GetValueOrDefault(name) is "1" or "true";
    }

    /// <summary>A moment: <c>10m</c> or <c>2h30m</c> ago, a date and time, or seconds since 1970.</summary>
    public static DateTimeOffset Moment(string text, DateTimeOffset now)
    {
        if (Values.TryTime(text, out var ago)) return now - ago;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < 100_000_000_000) return DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment)) return moment;
        throw new FormatException($"'{text}' is not a time; say 10m, 2h30m, 2026-01-31T12:00:00 or seconds since 1970");
    }

    private static int? Lines(string? text, bool all) => text switch
    {
        // Whoever says since when wants everything since then.
        null or "" => all ? null : DefaultTail,
        "all" => null,
        _ when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lines) => lines,
        _ => throw new FormatException($"'{text}' is not a number of lines"),
    };
}

/// <summary>One line of a log.</summary>
/// <param name="Time">As the engine writes it: RFC 3339 in UTC with nine digits, so that text order is time order.</param>
internal sealed record LogLine(string Time, string Service, string Text)
{
    /// <summary>Splits what the engine gives when asked for times.</summary>
    public static LogLine Parse(string service, string line)
    {
        var space = line.IndexOf(' ');
        return space is > 19 and < 40 && line[10] == 'T' ? new(line[..space], service, line[(space + 1)..]) : new("", service, line);
    }

    /// <summary>The moment after this line, as the engine takes it (seconds with nine digits), or null when it has none.</summary>
    public string? Next()
    {
        // Without the fraction, which a DateTimeOffset would round.
        if (Time.Length < 20 || !DateTimeOffset.TryParse(Time.AsSpan(0, 19), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var moment)) return null;
        var dot = Time.IndexOf('.');
        var digits = dot < 0 ? "" : new string([.. Time[(dot + 1)..].TakeWhile(char.IsAsciiDigit)]);
        var nanoseconds = long.Parse(digits.PadRight(9, '0')[..9], CultureInfo.InvariantCulture) + 1;
        return string.Create(CultureInfo.InvariantCulture, $"{moment.ToUnixTimeSeconds() + nanoseconds / 1_000_000_000}.{nanoseconds % 1_000_000_000:D9}");
    }
}
