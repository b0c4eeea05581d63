using System.Globalization;
using System.Text;
using OsBuild.Supervisor.Planning;

namespace OsBuild.Supervisor.Running;

/// <summary>One step that was done or that failed, with its cause.</summary>
internal sealed record HistoryEntry(DateTimeOffset At, string What, string Cause, string Outcome, string Service);

/// <summary>The last steps with their causes: what <c>why</c> answers from. Bounded in memory and, in two files that take turns, on disk.</summary>
internal sealed class History(string directory)
{
    public const int Capacity = 10_000;
    private const long MaxFile = 1 << 20;
    private readonly Queue<HistoryEntry> entries = new();
    private readonly Lock gate = new();

    /// <summary>Called for every entry of this life.</summary>
    public event Action<HistoryEntry>? Added;

    /// <summary>Reads what earlier lives wrote; damaged lines are left out.</summary>
    public static History Open(string directory)
    {
        var history = new History(directory);
        foreach (var name in (string[])["history.old", "history"])
        {
            try
            {
                var path = Path.Combine(directory, name);
                if (!File.Exists(path)) continue;
                foreach (var line in File.ReadLines(path))
                {
                    var parts = line.Split('\t');
                    if (parts.Length == 5 && DateTimeOffset.TryParse(parts[0], CultureInfo.InvariantCulture, out var at)) history.Remember(new(at, parts[1], parts[2], parts[3], parts[4]));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
            }
        }

        return history;
    }

    public void Add(DateTimeOffset at, Step step, string outcome, string? service) => Add(new(at, step.What, step.Cause, outcome, service ?? ServiceOf(step)));

    public void Add(HistoryEntry entry)
    {
        lock (gate)
        {
            Remember(entry);
            try
            {
                Directory.CreateDirectory(directory);
                var path = Path.Combine(directory, "history");
                if (File.Exists(path) && new FileInfo(path).Length > MaxFile) File.Move(path, path + ".old", overwrite: true);
                var line = new StringBuilder().Append(entry.At.ToString("O", CultureInfo.InvariantCulture));
                foreach (var part in (string[])[entry.What, entry.Cause, entry.Outcome, entry.Service]) line.Append('\t').Append(part.ReplaceLineEndings(" ").Replace('\t', ' '));
                File.AppendAllText(path, line.Append('\n').ToString());
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Explaining is worth less than going on; memory still has the entry.
            }
        }

        Added?.Invoke(entry);
    }

    public List<HistoryEntry> Of(string? service, int last)
    {
        lock (gate) return [.. entries.Where(e => service is null || e.Service == service || e.Service.EndsWith("/" + service, StringComparison.Ordinal)).TakeLast(last)];
    }

    private void Remember(HistoryEntry entry)
    {
        entries.Enqueue(entry);
        while (entries.Count > Capacity) entries.Dequeue();
    }

    private static string ServiceOf(Step step) => step switch
    {
        Step.Create s => $"{s.Release.App}/{s.Service.Name}",
        Step.Publish s => s.ServiceKey,
        Step.Withdraw s => s.ServiceKey,
        Step.MarkGood s => s.Release.App,
        Step.MarkBad s => s.Bad.App,
        _ => "",
    };
}
