using System.Globalization;
using System.Text.Json.Nodes;

namespace OsBuild.Supervisor.Init;

/// <summary>What PID 1 says: lines on the console, stamped with the time since the kernel started, and the boot's events for host.json.</summary>
internal sealed class BootLog(Action<string> write)
{
    private readonly Lock _lock = new();
    private readonly List<(string Name, long Milliseconds)> _events = [];

    /// <summary>Milliseconds since the kernel started (CLOCK_MONOTONIC).</summary>
    public static long Now => Environment.TickCount64;

    public IReadOnlyList<(string Name, long Milliseconds)> Events
    {
        get
        {
            lock (_lock) return [.. _events];
        }
    }

    /// <summary>Told of every event: name and detail.</summary>
    public Action<string, string>? Heard { get; set; }

    /// <summary>An event of the boot's time line.</summary>
    public void Event(string name, string detail = "")
    {
        var now = Now;
        lock (_lock) _events.Add((name, now));
        Line(now, detail.Length == 0 ? name : $"{name}: {detail}");
        Heard?.Invoke(name, detail);
    }

    public void Say(string text) => Line(Now, text);

    private void Line(long now, string text)
    {
        lock (_lock)
        {
            try
            {
                write($"[osbuild] +{(now / 1000.0).ToString("0.000", CultureInfo.InvariantCulture)}s {text}");
            }
            catch (IOException)
            {
                // A console that does not take text must not stop a boot.
            }
        }
    }

    /// <summary>The time line as JSON: event name to milliseconds.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject();
        foreach (var (name, milliseconds) in Events) json[name] = milliseconds;
        return json;
    }
}
