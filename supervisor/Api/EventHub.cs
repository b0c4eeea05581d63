using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Api;

/// <summary>Something that happened, for whoever listens.</summary>
/// <param name="Kind">step (something was done) or service (something changed).</param>
/// <param name="Service">app/service, when it is about one.</param>
/// <param name="What">What happened, for a person.</param>
/// <param name="Cause">Why a step was done.</param>
/// <param name="Outcome">done, given up, or what the engine said.</param>
internal sealed record ApiEvent(string At, string Kind, string Service, string What, string? Cause = null, string? Outcome = null);

/// <summary>What changed between two looks at the device, as events. Pure.</summary>
internal static class Changes
{
    public static List<ApiEvent> Between(CurrentState? before, CurrentState after, string at)
    {
        var events = new List<ApiEvent>();
        var old = (before?.Containers ?? []).ToDictionary(c => c.Id);
        foreach (var container in after.Containers)
            if (!old.Remove(container.Id, out var was) || Text(was) != Text(container)) events.Add(new(at, "service", container.Key, $"{container.Name} is {Text(container)}"));
        events.AddRange(old.Values.Select(gone => new ApiEvent(at, "service", gone.Key, $"{gone.Name} is gone")));
        return events;
    }

    /// <summary>State and health of a container as a person says it.</summary>
    public static string Text(ContainerState c) => c.Status.ToString().ToLowerInvariant() + (c.Up || c.Status == ContainerStatus.Created ? "" : $" with code {c.ExitCode}{(c.OutOfMemory ? ", out of memory" : "")}") + (c.Health == Health.None ? "" : $" and {(c.Health == Health.Starting ? "not yet healthy" : c.Health.ToString().ToLowerInvariant())}");
}

/// <summary>Hands events to everybody who listens. A listener who is slow loses the oldest, never holds up the device.</summary>
internal sealed class EventHub
{
    private const int Waiting = 256;
    private static readonly TimeSpan Pulse = TimeSpan.FromSeconds(15);

    private readonly Lock gate = new();
    private readonly List<Channel<ApiEvent>> listeners = [];
    private CurrentState? seen;

    public void Publish(ApiEvent happened)
    {
        lock (gate)
            foreach (var listener in listeners) listener.Writer.TryWrite(happened);
    }

    public void Observe(CurrentState state, DateTimeOffset now)
    {
        var events = Changes.Between(seen, state, now.UtcDateTime.ToString("O"));
        seen = state;
        events.ForEach(Publish);
    }

    public void Observe(HistoryEntry entry) => Publish(new(entry.At.UtcDateTime.ToString("O"), "step", entry.Service, entry.What, entry.Cause, entry.Outcome));

    /// <summary>Writes events as they come (text/event-stream) until the other side is gone.</summary>
    public async Task StreamAsync(Stream to, CancellationToken stop)
    {
        var channel = Channel.CreateBounded<ApiEvent>(new BoundedChannelOptions(Waiting) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (gate) listeners.Add(channel);
        try
        {
            await to.WriteAsync(": listening\n\n"u8.ToArray(), stop);
            while (true)
            {
                using var pulse = CancellationTokenSource.CreateLinkedTokenSource(stop);
                pulse.CancelAfter(Pulse);
                try
                {
                    var happened = await channel.Reader.ReadAsync(pulse.Token);
                    await to.WriteAsync(Encoding.UTF8.GetBytes($"event: {happened.Kind}\ndata: {JsonSerializer.Serialize(happened, SaidJson.Default.ApiEvent)}\n\n"), stop);
                }
                catch (OperationCanceledException) when (!stop.IsCancellationRequested)
                {
                    await to.WriteAsync(": still here\n\n"u8.ToArray(), stop);
                }
            }
        }
        finally
        {
            lock (gate) listeners.Remove(channel);
        }
    }
}
