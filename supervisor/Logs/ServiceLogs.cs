using System.Runtime.CompilerServices;
using System.Text;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Logs;

/// <summary>What services wrote: the engine's own bounded files for containers that are there, and the kept ends of those that were replaced.</summary>
/// <remarks>Nothing is gathered in memory: the sources are merged line by line, by time.</remarks>
internal sealed class ServiceLogs(EngineClient engine, KeptLogs kept)
{
    private const int MaxLine = 16 * 1024;
    private static readonly TimeSpan NewContainers = TimeSpan.FromMilliseconds(500);

    /// <summary>Writes the lines of all these containers, and with <see cref="LogQuery.Follow"/> goes on until the other side is gone, also with
    /// the containers that come after them.</summary>
    /// <param name="containers">The containers of the service, or of all, now.</param>
    /// <param name="service">The one service (<c>app/service</c>), or null for all: then each line begins with its name.</param>
    public async Task WriteAsync(Func<List<ContainerState>> containers, string? service, LogQuery query, Stream to, CancellationToken stop)
    {
        using var gate = new SemaphoreSlim(1);
        // From when on a container's lines are still to come; one that is not in here is new, and all its lines are.
        var followed = new Dictionary<string, string>();
        var now = containers();
        foreach (var container in now) followed[container.Id] = Seconds(query.Since ?? DateTimeOffset.UtcNow);
        var sources = now.ConvertAll(c => Known(ReadAsync(c, new() { Tail = query.Tail?.ToString() ?? "all", Since = query.Since is { } s ? Seconds(s) : null! }, stop), line => followed[c.Id] = line.Next() ?? followed[c.Id]));
        sources.AddRange(kept.Read(service, query).Select(k => k.ToAsyncEnumerable()));
        await foreach (var line in MergeAsync(sources)) await WriteAsync(line, gate, service is null, query.Times, to, stop);
        if (!query.Follow) return;

        var followers = new List<Task>();
        var begun = new HashSet<string>();
        while (!stop.IsCancellationRequested)
        {
            foreach (var container in containers().Where(c => c.Up && begun.Add(c.Id))) followers.Add(FollowAsync(container, followed.GetValueOrDefault(container.Id)));
            foreach (var ended in followers.Where(f => f.IsCompleted).ToList())
            {
                await ended;
                followers.Remove(ended);
            }

            await Task.Delay(NewContainers, stop);
            begun.IntersectWith(containers().Where(c => c.Up).Select(c => c.Id));
        }

        async Task FollowAsync(ContainerState container, string? from)
        {
            await foreach (var line in ReadAsync(container, new() { Follow = true, Tail = "all", Since = from! }, stop))
            {
                if (line.Next() is { } next) followed[container.Id] = next;
                await WriteAsync(line, gate, service is null, query.Times, to, stop);
            }
        }
    }

    /// <summary>Takes sources that are each in order into one order by time.</summary>
    public static async IAsyncEnumerable<LogLine> MergeAsync(IEnumerable<IAsyncEnumerable<LogLine>> sources)
    {
        var heads = new List<IAsyncEnumerator<LogLine>>();
        try
        {
            foreach (var source in sources)
            {
                var head = source.GetAsyncEnumerator();
                heads.Add(head);
                if (!await head.MoveNextAsync()) await EndAsync(head);
            }

            while (heads.Count > 0)
            {
                var first = heads[0];
                foreach (var head in heads)
                    if (string.CompareOrdinal(head.Current.Time, first.Current.Time) < 0) first = head;
                yield return first.Current;
                if (!await first.MoveNextAsync()) await EndAsync(first);
            }
        }
        finally
        {
            foreach (var head in heads) await head.DisposeAsync();
        }

        async ValueTask EndAsync(IAsyncEnumerator<LogLine> head)
        {
            heads.Remove(head);
            await head.DisposeAsync();
        }
    }

    /// <summary>The lines of one container, each with its time.</summary>
    private async IAsyncEnumerable<LogLine> ReadAsync(ContainerState container, Docker.DotNet.Models.ContainerLogsParameters parameters, [EnumeratorCancellation] CancellationToken stop)
    {
        (parameters.ShowStdout, parameters.ShowStderr, parameters.Timestamps) = (true, true, true);
        Docker.DotNet.MultiplexedStream stream;
        try
        {
            stream = await engine.LogsAsync(container.Id, parameters, stop);
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException)
        {
            stream = null!;
        }

        if (stream is null) yield break;
        using (stream)
        {
            var buffer = new byte[8192];
            var line = new MemoryStream();
            while (await NextAsync(stream, buffer, stop) is var count and > 0)
                for (var at = 0; at < count;)
                {
                    var end = buffer.AsSpan(at, count - at).IndexOf((byte)'\n');
                    var take = end < 0 ? count - at : end;
                    line.Write(buffer, at, take);
                    at += take + (end < 0 ? 0 : 1);
                    if (end < 0 && line.Length < MaxLine) continue;
                    yield return LogLine.Parse(container.Key, Take(line));
                }

            if (line.Length > 0) yield return LogLine.Parse(container.Key, Take(line));
        }
    }

    private static async Task<int> NextAsync(Docker.DotNet.MultiplexedStream stream, byte[] buffer, CancellationToken stop)
    {
        try
        {
            return await stream.ReadOutputAsync(buffer, 0, buffer.Length, stop) is { EOF: false } read ? read.Count : 0;
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            return 0; // the engine went away; what it gave so far is still true
        }
    }

    private static string Take(MemoryStream line)
    {
        var text = Encoding.UTF8.GetString(line.GetBuffer(), 0, (int)line.Length).TrimEnd('\r');
        line.SetLength(0);
        return text;
    }

    private static async IAsyncEnumerable<LogLine> Known(IAsyncEnumerable<LogLine> lines, Action<LogLine> seen)
    {
        await foreach (var line in lines)
        {
            seen(line);
            yield return line;
        }
    }

    private static async Task WriteAsync(LogLine line, SemaphoreSlim gate, bool named, bool times, Stream to, CancellationToken stop)
    {
        var text = (times && line.Time.Length > 0 ? line.Time + " " : "") + (named ? line.Service[(line.Service.IndexOf('/') + 1)..] + " | " : "") + line.Text + "\n";
        await gate.WaitAsync(stop);
        try
        {
            await to.WriteAsync(Encoding.UTF8.GetBytes(text), stop);
        }
        finally
        {
            gate.Release();
        }
    }

    private static string Seconds(DateTimeOffset moment) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{moment.ToUnixTimeSeconds()}.{moment.Millisecond:D3}000000");
}
