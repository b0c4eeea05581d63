using System.Security.Cryptography;
using System.Text;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>The deploy section as far as one device carries it, and what comes from other files.</summary>
internal sealed partial class ServiceReader
{
    private Service ReadDeploy(MapNode map, Service service)
    {
        OnlyKeys(map, "mode", "replicas", "resources", "restart_policy", "update_config", "rollback_config", "labels", "endpoint_mode", "placement");
        if (values.Text(map["mode"]) is { } mode && mode != "replicated") diagnostics.Error(map["mode"]!, $"'{mode}' needs a cluster; only replicated is known");
        if (values.Whole(map["replicas"]) is { } replicas and not 1) diagnostics.Error(map["replicas"]!, $"{replicas} containers of one service do not run on a device; use 1");
        if (map["placement"] is { } placement) diagnostics.Error(placement, "needs a cluster");
        foreach (var key in (string[])["rollback_config", "labels", "endpoint_mode"])
            if (map[key] is { } ignored) diagnostics.Warn(ignored, "has no meaning on a single device and is ignored");
        if (map["resources"] is MapNode resources) service = service with { Container = ReadResources(resources, service.Container) };
        if (map["restart_policy"] is MapNode restart) service = ReadRestartPolicy(restart, service);
        if (map["update_config"] is MapNode update) service = service with { Update = ReadUpdateConfig(update, service.Update) };
        return service;
    }

    private ContainerSpec ReadResources(MapNode map, ContainerSpec spec)
    {
        OnlyKeys(map, "limits", "reservations");
        if (map["limits"] is MapNode limits)
        {
            OnlyKeys(limits, "cpus", "memory", "pids");
            spec = spec with { NanoCpus = values.Cpus(limits["cpus"]) ?? spec.NanoCpus, Memory = values.Size(limits["memory"]) ?? spec.Memory, PidsLimit = values.Whole(limits["pids"], -1) ?? spec.PidsLimit };
        }

        if (map["reservations"] is not MapNode reservations) return spec;
        OnlyKeys(reservations, "cpus", "memory", "devices");
        if (reservations["cpus"] is { } cpus) diagnostics.Warn(cpus, "cannot be reserved on a device and is ignored");
        if (reservations["devices"] is ListNode devices) spec = spec with { Gpus = [.. devices.Items.Select(d => ReadGpu(AsMap(d)))] };
        return spec with { MemoryReservation = values.Size(reservations["memory"]) ?? spec.MemoryReservation };
    }

    private Service ReadRestartPolicy(MapNode map, Service service)
    {
        OnlyKeys(map, "condition", "delay", "max_attempts", "window");
        var policy = values.OneOf(map["condition"], ("none", RestartPolicy.No), ("on-failure", RestartPolicy.OnFailure), ("any", RestartPolicy.Always));
        return service with { Restart = policy ?? RestartPolicy.Always, RestartLimit = (int?)values.Whole(map["max_attempts"], 0, int.MaxValue) ?? service.RestartLimit };
    }

    /// <summary>start-first is a hand-over without a signal; monitor is the proving time.</summary>
    private UpdatePolicy ReadUpdateConfig(MapNode map, UpdatePolicy policy)
    {
        OnlyKeys(map, "order", "failure_action", "monitor", "parallelism", "delay", "max_failure_ratio");
        var startFirst = values.OneOf(map["order"], ("start-first", true), ("stop-first", false)) ?? false;
        var rollback = values.OneOf(map["failure_action"], ("rollback", true), ("pause", false), ("continue", false));
        return policy with
        {
            Strategy = startFirst ? UpdateStrategy.HandOver : policy.Strategy,
            Rollback = rollback ?? policy.Rollback,
            ProvingTime = values.Time(map["monitor"]) ?? policy.ProvingTime,
        };
    }

    /// <summary>Values of the file are weaker than those of <c>environment</c>.</summary>
    private ContainerSpec WithEnvFiles(Node node, ContainerSpec spec)
    {
        var environment = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var item in node is ListNode list ? list.Items : [node])
        {
            var map = item as MapNode;
            if (map is not null) OnlyKeys(map, "path", "required", "format");
            if (values.Text(map is null ? item : map["path"]) is not { } path) continue;
            if (sources.Read(path) is { } bytes) foreach (var (key, value) in DotEnv.Read(path, Encoding.UTF8.GetString(bytes), diagnostics)) environment[key] = value;
            else if (map is null || values.Flag(map["required"]) != false) diagnostics.Error(item, $"the file {path} cannot be read; put it beside the compose file");
        }

        foreach (var (key, value) in spec.Environment ?? []) environment[key] = value;
        return spec with { Environment = environment.Count == 0 ? null : environment };
    }

    private ContainerSpec WithLabelFiles(Node node, ContainerSpec spec)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var path in values.List(node) ?? [])
        {
            if (sources.Read(path) is { } bytes) foreach (var (key, value) in DotEnv.Read(path, Encoding.UTF8.GetString(bytes), diagnostics)) labels[key] = value;
            else diagnostics.Error(node, $"the file {path} cannot be read; put it beside the compose file");
        }

        foreach (var (key, value) in spec.Labels ?? []) labels[key] = value;
        return spec with { Labels = labels.Count == 0 ? null : labels };
    }

    private ContainerSpec WithFiles(MapNode map, ContainerSpec spec)
    {
        var files = new List<FileMount>();
        foreach (var (key, folder) in (ReadOnlySpan<(string, string)>)[("configs", "/"), ("secrets", "/run/secrets/")])
        {
            if (map[key] is not { IsNull: false } node) continue;
            if (node is not ListNode list)
            {
                diagnostics.Error(node, "must be a list");
                continue;
            }

            foreach (var item in list.Items)
            {
                var entry = item as MapNode;
                if (entry is not null) OnlyKeys(entry, "source", "target", "uid", "gid", "mode");
                if (values.Text(entry is null ? item : entry["source"]) is not { } source) continue;
                if (sources.File(key, source) is not { } content)
                {
                    diagnostics.Error(item, $"'{source}' is not defined under the file's {key}");
                    continue;
                }

                var target = values.Text(entry?["target"]) ?? source;
                files.Add(new(target.StartsWith('/') ? target : folder + target, Convert.ToHexStringLower(SHA256.HashData(content)), Octal(entry?["mode"]), (int?)values.Whole(entry?["uid"], 0, int.MaxValue), (int?)values.Whole(entry?["gid"], 0, int.MaxValue)));
            }
        }

        return files.Count == 0 ? spec : spec with { Files = files };
    }
}
