using System.Collections.Concurrent;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Follows what all containers write, new ones too, and what the supervisor does. Whoever takes the lines sets the pace: while it does
/// not take one, nothing is read, and the engine keeps the lines in its own files.</summary>
internal sealed class LogFollowers(Reconciler reconciler, Func<LogLine, CancellationToken, ValueTask> take)
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(0.5);

    /// <summary>How much of a container's past is told when nothing is known of what was told before.</summary>
    private const string Past = "1000";

    private readonly ConcurrentDictionary<string, long> positions = new();
    private readonly ConcurrentDictionary<(string Container, string StartedAt), bool> begun = new();

    /// <param name="since">Per container where to go on after.</param>
    /// <param name="from">Lines before this (nanoseconds since 1970) are left out for containers that are not in <paramref name="since"/>.</param>
    /// <param name="stop">Ends it.</param>
    public async Task RunAsync(IReadOnlyDictionary<string, long> since, long from, CancellationToken stop)
    {
        foreach (var (container, position) in since) positions[container] = position;
        var tasks = new List<Task>();
        reconciler.Done += Tell;
        try
        {
            while (true)
            {
                foreach (var container in reconciler.Seen?.Containers ?? [])
                    if (container.StartedAt.Length > 0 && container.Status != ContainerStatus.Created && begun.TryAdd((container.Id, container.StartedAt), true)) tasks.Add(FollowAsync(container, from, stop));
                tasks.RemoveAll(t => t.IsCompletedSuccessfully);
                if (tasks.Find(t => t.IsFaulted) is { } failed) await failed;
                await Task.Delay(Look, stop);
            }
        }
        finally
        {
            reconciler.Done -= Tell;
        }

        void Tell(Step step, string outcome) => _ = TellAsync(Own(step, outcome), stop);
    }

    /// <summary>What the supervisor says of a step.</summary>
    public static LogLine Own(Step step, string outcome) => new(Now(), outcome == "done" ? $"{step.What} ({step.Cause})" : $"could not {step.What}: {outcome}");

    public static long Now() => (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;

    private async Task TellAsync(LogLine line, CancellationToken stop)
    {
        try
        {
            await take(line, stop);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
        }
    }

    private async Task FollowAsync(ContainerState container, long from, CancellationToken stop)
    {
        try
        {
            var known = positions.TryGetValue(container.Id, out var position);
            if (!known) position = from;
            using var stream = await reconciler.Engine.LogsAsync(container.Id, new() { ShowStdout = true, ShowStderr = true, Follow = true, Timestamps = true, Since = position > 0 ? LogLine.Since(position) : null!, Tail = known || from > 0 ? "all" : Past }, stop);
            var (output, errors, buffer) = (new LineSplitter(), new LineSplitter(), new byte[8192]);
            while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, stop) is { EOF: false } read)
            {
                var error = read.Target == Docker.DotNet.MultiplexedStream.TargetStream.StandardError;
                foreach (var line in (error ? errors : output).Feed(buffer.AsMemory(0, read.Count))) await PassAsync(container, line, error, stop);
            }

            if (output.Rest() is { } last) await PassAsync(container, last, false, stop);
            if (errors.Rest() is { } lastError) await PassAsync(container, lastError, true, stop);
        }
        catch (Exception e) when (e is EngineRefusedException or EngineUnreachableException || e is IOException && !stop.IsCancellationRequested)
        {
            // The container or the engine is gone. When it comes back it has another start time and is followed again.
            begun.TryRemove((container.Id, container.StartedAt), out _);
            await Task.Delay(TimeSpan.FromSeconds(2), stop);
        }
    }

    private async ValueTask PassAsync(ContainerState container, string text, bool error, CancellationToken stop)
    {
        if (LogLine.Parse(text) is not { } line) return;
        // The engine's "since" takes the line at that very time along.
        if (positions.TryGetValue(container.Id, out var last) && line.Position <= last) return;
        positions[container.Id] = line.Position;
        await take(new(line.Position, line.Message, container.Id, container.App, container.Service, error), stop);
    }
}
