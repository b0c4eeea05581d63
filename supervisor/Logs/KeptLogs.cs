using System.Text;
using OsBuild.Supervisor.Engine;

namespace OsBuild.Supervisor.Logs;

/// <summary>The last lines of containers that were removed: the engine throws their logs away with them, and they are what tells why a release
/// failed. One file per service, and one that it took the place of; never more than <see cref="MaxFile"/> each.</summary>
internal sealed class KeptLogs(string directory)
{
    public const int MaxFile = 256 << 10;
    private const int Lines = 500;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Keeps the end of a container's log. It is best effort: no removal waits long for it, and none fails by it.</summary>
    public async Task KeepAsync(EngineClient engine, string id, string app, string service, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(Patience);
        try
        {
            using var stream = await engine.LogsAsync(id, new() { ShowStdout = true, ShowStderr = true, Timestamps = true, Tail = $"{Lines}" }, limit.Token);
            var text = new MemoryStream();
            var buffer = new byte[8192];
            while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, limit.Token) is { EOF: false } read && text.Length < MaxFile) text.Write(buffer, 0, read.Count);
            if (text.Length > 0) Add(app, service, text.ToArray());
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException or IOException or UnauthorizedAccessException || e is OperationCanceledException && !stop.IsCancellationRequested)
        {
        }
    }

    public void Add(string app, string service, byte[] text)
    {
        Directory.CreateDirectory(directory);
        var file = FileOf(app, service);
        if (File.Exists(file) && new FileInfo(file).Length + text.Length > MaxFile) File.Move(file, file + ".1", overwrite: true);
        using var stream = new FileStream(file, FileMode.Append, FileAccess.Write);
        stream.Write(text);
        if (text[^1] != '\n') stream.WriteByte((byte)'\n');
    }

    /// <summary>The kept lines of one service, or of each, that a query asks for, oldest first.</summary>
    public List<List<LogLine>> Read(string? key, LogQuery query)
    {
        var logs = new List<List<LogLine>>();
        if (!Directory.Exists(directory)) return logs;
        foreach (var file in Directory.EnumerateFiles(directory, "*.log").Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileNameWithoutExtension(file).Replace('@', '/');
            if (key is not null && name != key) continue;
            var lines = new[] { file + ".1", file }.Where(File.Exists).SelectMany(f => File.ReadLines(f, Encoding.UTF8)).Select(l => LogLine.Parse(name, l))
                .Where(l => query.Since is not { } since || string.CompareOrdinal(l.Time, since.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss")) >= 0);
            logs.Add([.. query.Tail is { } tail ? lines.TakeLast(tail) : lines]);
        }

        return logs;
    }

    /// <summary>Names of apps and services know no '@'.</summary>
    private string FileOf(string app, string service) => Path.Combine(directory, $"{app}@{service}.log");
}
