using System.Buffers;
using System.IO.Compression;
using System.Text.Json;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using Serilog;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Sends the lines of all services to the fleet: one compressed request that stays open while there is something to say. After a break
/// it goes on with the first line that may not have arrived, as far back as the engine's own files reach: rather twice than never.</summary>
internal sealed class LogShipper(HostPaths paths, Reconciler reconciler, FleetApi api, FleetConfig config, ILogger log)
{
    private static readonly TimeSpan Gather = TimeSpan.FromSeconds(0.1);
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SaveEvery = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMinutes(5);

    private readonly Unconfirmed unconfirmed = new();
    private readonly Lock gate = new();
    private SortedDictionary<string, long> shipped = new(StringComparer.Ordinal);

    /// <summary>The supervisor's own lines that nobody took yet, a bounded number.</summary>
    private List<LogLine> own = [];
    private TimeSpan saved;
    private int failures;

    private string File => Path.Combine(paths.Data, "supervisor", "logs-shipped.json");

    /// <summary>min(5 min, 5 s · 2ⁿ).</summary>
    public static TimeSpan RetryAfter(int failures) => TimeSpan.FromSeconds(Math.Min(LastRetry.TotalSeconds, FirstRetry.TotalSeconds * Math.Pow(2, Math.Clamp(failures - 1, 0, 10))));

    public async Task RunAsync(FleetIdentity identity, CancellationToken stop)
    {
        Load();
        try
        {
            while (true)
            {
                using var session = CancellationTokenSource.CreateLinkedTokenSource(stop);
                using var pipe = new Pipe(TakeOwn());
                var following = new LogFollowers(reconciler, pipe.AddAsync).RunAsync(shipped, 0, session.Token);
                await ShipAsync(identity, pipe, following, session.Token);
                await session.CancelAsync();
                await Task.WhenAny(following);
                KeepOwn([.. unconfirmed.TakeBack(), .. pipe.Own()]);
                await PauseAsync(stop);
            }
        }
        finally
        {
            // Ended by ourselves, over a link that works as far as we know.
            unconfirmed.Confirm(shipped, TimeSpan.MaxValue);
            Save();
        }
    }

    /// <summary>Until the next try. What the supervisor does meanwhile is kept.</summary>
    private async Task PauseAsync(CancellationToken stop)
    {
        void Keep(Step step, string outcome) => KeepOwn([LogFollowers.Own(step, outcome)]);
        reconciler.Done += Keep;
        try
        {
            await Task.Delay(RetryAfter(failures), stop);
        }
        finally
        {
            reconciler.Done -= Keep;
        }
    }

    private void KeepOwn(List<LogLine> lines)
    {
        lock (gate) own = [.. own.Concat(lines).TakeLast(Unconfirmed.MostOwn)];
    }

    private List<LogLine> TakeOwn()
    {
        lock (gate)
        {
            var lines = own;
            own = [];
            return lines;
        }
    }

    private async Task ShipAsync(FleetIdentity identity, Pipe pipe, Task following, CancellationToken stop)
    {
        while (!following.IsCompleted)
        {
            await pipe.WaitAsync(stop);
            var answer = await api.StreamLogsAsync(config.LogsEndpoint, identity, (to, t) => WriteAsync(pipe, to, t), stop);
            if (!answer.Ok)
            {
                if (failures++ == 0) log.Information("logs are kept on the device until the fleet takes them again: {Reason}", answer.Explain);
                return;
            }

            failures = 0;
            unconfirmed.Confirm(shipped, TimeSpan.MaxValue);
        }
    }

    /// <summary>One request's body: until there was nothing to say for a while.</summary>
    private async Task WriteAsync(Pipe pipe, Stream to, CancellationToken stop)
    {
        await using var compressed = new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true);
        do
        {
            await Task.Delay(Gather, stop);
            var lines = pipe.Drain();
            var json = new ArrayBufferWriter<byte>();
            foreach (var line in lines) Write(json, line, ServiceId(line));
            await compressed.WriteAsync(json.WrittenMemory, stop);
            await compressed.FlushAsync(stop);
            await to.FlushAsync(stop);
            unconfirmed.Sent(lines, reconciler.Now);
            unconfirmed.Confirm(shipped, reconciler.Now - Unconfirmed.Doubt);
            if (reconciler.Now - saved > SaveEvery) Save();
        }
        while (await pipe.WaitAsync(Silence, stop));
    }

    /// <summary>A line as the fleet wants it.</summary>
    public static void Write(IBufferWriter<byte> to, LogLine line, long? service)
    {
        using (var json = new Utf8JsonWriter(to))
        {
            json.WriteStartObject();
            json.WriteString("message", line.Message);
            json.WriteNumber("timestamp", line.Timestamp);
            if (line.System) json.WriteBoolean("isSystem", true);
            if (line.Error) json.WriteBoolean("isStdErr", true);
            if (service is { } id) json.WriteNumber("serviceId", id);
            json.WriteEndObject();
        }

        to.Write("\n"u8);
    }

    private long? ServiceId(LogLine line) => reconciler.Journal.Memory.Target?.Find(line.App)?.Services.GetValueOrDefault(line.Service)?.Ids?.Service;

    private void Load()
    {
        try
        {
            if (System.IO.File.Exists(File)) shipped = new(JsonSerializer.Deserialize(System.IO.File.ReadAllBytes(File), FleetJson.Default.SortedDictionaryStringInt64)!, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            // Some lines are sent twice.
        }
    }

    private void Save()
    {
        saved = reconciler.Now;
        try
        {
            foreach (var gone in shipped.Keys.Where(id => reconciler.Seen?.Containers.Exists(c => c.Id == id) == false).ToList()) shipped.Remove(gone);
            Directory.CreateDirectory(Path.GetDirectoryName(File)!);
            System.IO.File.WriteAllBytes(File, JsonSerializer.SerializeToUtf8Bytes(shipped, FleetJson.Default.SortedDictionaryStringInt64));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Some lines are sent twice after the next start.
        }
    }

    /// <summary>The buffer between those who read and the one who sends.</summary>
    private sealed class Pipe : IDisposable
    {
        private readonly LogBuffer buffer = new();
        private readonly Lock gate = new();
        private readonly SemaphoreSlim filled = new(0);
        private readonly SemaphoreSlim drained = new(0);

        /// <param name="first">Lines that were to be sent before and were not.</param>
        public Pipe(List<LogLine> first)
        {
            foreach (var line in first) Add(line);
        }

        /// <summary>The supervisor's own lines among those that wait; the containers' are read again.</summary>
        public List<LogLine> Own()
        {
            lock (gate) return buffer.TakeOwn();
        }

        public async ValueTask AddAsync(LogLine line, CancellationToken stop)
        {
            if (Add(line)) return;
            // A burst waits for the link; a flood is cut.
            var until = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
            while (Environment.TickCount64 < until)
            {
                await drained.WaitAsync(TimeSpan.FromMilliseconds(Math.Max(1, until - Environment.TickCount64)), stop);
                if (Add(line)) return;
            }

            lock (gate) buffer.Suppress();
        }

        public Task<bool> WaitAsync(CancellationToken stop) => WaitAsync(Timeout.InfiniteTimeSpan, stop);

        public async Task<bool> WaitAsync(TimeSpan limit, CancellationToken stop)
        {
            lock (gate) if (!buffer.IsEmpty) return true;
            return await filled.WaitAsync(limit, stop);
        }

        public List<LogLine> Drain()
        {
            lock (gate)
            {
                while (filled.Wait(0))
                {
                }

                var lines = buffer.Drain(LogFollowers.Now());
                if (drained.CurrentCount == 0) drained.Release();
                return lines;
            }
        }

        public void Dispose()
        {
            filled.Dispose();
            drained.Dispose();
        }

        private bool Add(LogLine line)
        {
            lock (gate)
            {
                if (!buffer.TryAdd(line)) return false;
                if (filled.CurrentCount == 0) filled.Release();
                return true;
            }
        }
    }
}
