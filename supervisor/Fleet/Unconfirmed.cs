namespace OsBuild.Supervisor.Fleet;

/// <summary>What was written into the open request and is not known to have arrived: a broken link takes what it is given for a while. Lines of
/// containers need not be kept, the engine has them and their position is enough; the supervisor's own lines are.</summary>
internal sealed class Unconfirmed
{
    /// <summary>A link that still takes lines after this time has taken the ones before.</summary>
    public static readonly TimeSpan Doubt = TimeSpan.FromSeconds(60);

    /// <summary>The most lines of the supervisor's own that are kept over a break.</summary>
    public const int MostOwn = 200;

    private readonly Queue<(TimeSpan At, List<LogLine> Own, Dictionary<string, long> Positions)> sent = new();
    private readonly Lock gate = new();

    public void Sent(List<LogLine> lines, TimeSpan now)
    {
        var positions = new Dictionary<string, long>();
        foreach (var line in lines) if (!line.System) positions[line.Container] = line.Position;
        lock (gate) sent.Enqueue((now, [.. lines.Where(l => l.System)], positions));
    }

    /// <summary>What was sent until then has arrived; for containers that is written into <paramref name="shipped"/>.</summary>
    public void Confirm(IDictionary<string, long> shipped, TimeSpan until)
    {
        lock (gate)
            while (sent.TryPeek(out var first) && first.At <= until)
            {
                foreach (var (container, position) in first.Positions) shipped[container] = position;
                sent.Dequeue();
            }
    }

    /// <summary>The link broke: gives the own lines that are to be sent again, and forgets the rest, which is read again.</summary>
    public List<LogLine> TakeBack()
    {
        lock (gate)
        {
            List<LogLine> own = [.. sent.SelectMany(s => s.Own).TakeLast(MostOwn)];
            sent.Clear();
            return own;
        }
    }
}
