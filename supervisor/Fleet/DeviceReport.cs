using System.Text.Json.Nodes;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What the device tells its fleet of itself. Pure: from what was observed to the report's fields.</summary>
internal static class DeviceReport
{
    /// <summary>The fields that change all the time; a change of nothing else is told rarely.</summary>
    public static readonly HashSet<string> Metrics = ["cpu_usage", "cpu_temp", "memory_usage", "storage_usage"];

    /// <param name="facts">The device.</param>
    /// <param name="addresses">Its addresses on the network.</param>
    /// <param name="secret">The key by which the fleet speaks to the device API.</param>
    /// <param name="metrics">Readings, settled; null when they are not to be sent.</param>
    /// <param name="apps">From <see cref="Apps"/>; null while the fleet does not decide what runs.</param>
    /// <param name="busy">True while something is being changed.</param>
    public static JsonObject Build(DeviceFacts facts, HostAddresses addresses, string secret, HostMetrics? metrics, JsonObject? apps, bool busy)
    {
        var report = new JsonObject
        {
            ["status"] = busy ? "Updating" : "Idle",
            ["os_version"] = $"{facts.OsName} {facts.OsVersion}".Trim(),
            ["supervisor_version"] = DeviceFacts.CompatibleVersion,
            ["ip_address"] = addresses.Ip,
            ["mac_address"] = addresses.Mac,
            ["api_port"] = facts.Port,
            ["api_secret"] = secret,
        };
        metrics?.AddTo(report);
        if (apps is not null) report["apps"] = apps;
        return report;
    }

    public static JsonObject Apps(TargetState? target, FleetTarget? fleet, CurrentState? seen, Memory memory, IReadOnlyDictionary<string, int> downloads)
    {
        var apps = new JsonObject();
        foreach (var release in target?.Apps ?? []) if (release.Commit.Length > 0) apps[release.App] = App(release, seen, memory, downloads);
        foreach (var rejected in fleet?.Rejected ?? [])
        {
            if (apps[rejected.App] is not JsonObject app) apps[rejected.App] = app = new JsonObject { ["releases"] = new JsonObject() };
            app["releases"]!.AsObject()[rejected.Commit] = new JsonObject { ["update_status"] = "rejected", ["services"] = new JsonObject() };
        }

        return apps;
    }

    private static JsonObject App(Release wanted, CurrentState? seen, Memory memory, IReadOnlyDictionary<string, int> downloads)
    {
        var bad = seen is not null && AppPlan.IsBad(seen, wanted);
        var good = memory.Good.GetValueOrDefault(wanted.App);
        var other = good is not null && good.Commit.Length > 0 && good.Commit != wanted.Commit && good.Fingerprint() != wanted.Fingerprint() ? good : null;
        var status = bad ? "aborted" : UpdateStatus(wanted, seen);
        var releases = new JsonObject { [wanted.Commit] = new JsonObject { ["update_status"] = status, ["services"] = Services(wanted, seen, downloads, onlyRunning: bad) } };
        var running = status == "done" ? wanted.Commit : other?.Commit;
        if (other is not null && seen is not null && other.Services.Values.Any(s => ContainerOf(other, s, seen) is not null))
            releases[other.Commit] = new JsonObject { ["update_status"] = "done", ["services"] = Services(other, seen, downloads, onlyRunning: true) };
        var app = new JsonObject { ["releases"] = releases };
        if (running is not null) app["release_uuid"] = running;
        return app;
    }

    /// <summary>How far an update is, in the fleet's words.</summary>
    public static string UpdateStatus(Release release, CurrentState? seen)
    {
        if (seen is null) return "applying changes";
        var wanted = release.Services.Values.Where(s => s.Running).ToList();
        if (wanted.Exists(s => seen.Image(s.Image) is null && ContainerOf(release, s, seen) is null)) return "downloading";
        var missing = wanted.Where(s => ContainerOf(release, s, seen) is not { } c || c.Status == ContainerStatus.Created).ToList();
        var old = seen.Containers.Exists(c => c.App == release.App && c.Up && (!release.Services.TryGetValue(c.Service, out var s) || s.Hash() != c.Hash));
        if (missing.Count == 0 && !old) return "done";
        return old && missing.Count > 0 && Locks.Hold(seen, release.App) is not null ? "downloaded" : "applying changes";
    }

    private static JsonObject Services(Release release, CurrentState? seen, IReadOnlyDictionary<string, int> downloads, bool onlyRunning)
    {
        var services = new JsonObject();
        foreach (var service in release.Services.Values)
        {
            var container = seen is null ? null : ContainerOf(release, service, seen);
            if (onlyRunning && container is null) continue;
            var progress = downloads.TryGetValue(ImageReference.Normalize(service.Image), out var percent) ? percent : (int?)null;
            var report = new JsonObject { ["image"] = service.Image, ["status"] = ServiceStatus(service, container, seen, progress) };
            if (progress is not null && container is null) report["download_progress"] = progress;
            services[service.Name] = report;
        }

        return services;
    }

    public static string ServiceStatus(Service service, ContainerState? container, CurrentState? seen, int? progress)
    {
        if (container is null) return progress is not null || seen?.Image(service.Image) is null ? "Downloading" : "Downloaded";
        var predecessor = service.Update.Strategy == UpdateStrategy.HandOver && seen!.Containers.Exists(c => c.Key == container.Key && c.Id != container.Id && c.Up);
        return container.Status switch
        {
            ContainerStatus.Created => "Installed",
            ContainerStatus.Running or ContainerStatus.Paused or ContainerStatus.Restarting => predecessor ? "Handing over" : "Running",
            ContainerStatus.Removing => "Stopping",
            ContainerStatus.Dead => "Dead",
            _ => "exited",
        };
    }

    public static ContainerState? ContainerOf(Release release, Service service, CurrentState seen)
    {
        var hash = service.Hash();
        return seen.Containers.Where(c => c.App == release.App && c.Service == service.Name && c.Hash == hash).OrderByDescending(c => c.Up).FirstOrDefault();
    }
}

/// <summary>The device's addresses, blanks between several.</summary>
internal sealed record HostAddresses(string Ip, string Mac);

/// <summary>Readings of the host. Sizes are MiB.</summary>
internal sealed record HostMetrics(int CpuUsage, int? CpuTemp, long MemoryUsage, long MemoryTotal, long StorageUsage, long StorageTotal, string StorageDevice, string? CpuId)
{
    /// <summary>Too little supply voltage was seen lately; null on a board without such a sensor.</summary>
    public bool? Undervolted { get; init; }

    /// <summary>Keeps what was sent while the new reading is near it, so that noise is never sent.</summary>
    public HostMetrics Settle(HostMetrics? sent) => sent is null ? this : this with
    {
        CpuUsage = Near(CpuUsage, sent.CpuUsage, 20),
        CpuTemp = CpuTemp is { } now && sent.CpuTemp is { } before ? Near(now, before, 5) : CpuTemp,
        MemoryUsage = MemoryTotal == sent.MemoryTotal ? Near(MemoryUsage, sent.MemoryUsage, Math.Max(16, MemoryTotal / 20)) : MemoryUsage,
        StorageUsage = StorageTotal == sent.StorageTotal ? Near(StorageUsage, sent.StorageUsage, Math.Max(16, StorageTotal / 50)) : StorageUsage,
    };

    public void AddTo(JsonObject report)
    {
        report["cpu_usage"] = CpuUsage;
        if (CpuTemp is { } temperature) report["cpu_temp"] = temperature;
        if (CpuId is { } id) report["cpu_id"] = id;
        if (Undervolted is { } undervolted) report["is_undervolted"] = undervolted;
        report["memory_usage"] = MemoryUsage;
        report["memory_total"] = MemoryTotal;
        report["storage_usage"] = StorageUsage;
        report["storage_total"] = StorageTotal;
        report["storage_block_device"] = StorageDevice;
    }

    private static int Near(int now, int before, int step) => Math.Abs(now - before) < step ? before : now;

    private static long Near(long now, long before, long step) => Math.Abs(now - before) < step ? before : now;
}
