using System.Text.Json;
using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>Puts one release together from the services of a target state, whichever version of the state they come from.</summary>
internal sealed class ReleaseReader(string app, string commit, ReleaseIds ids, DeviceFacts facts)
{
    /// <summary>The keys of a composition that count. What else it has (build, logging ...) meant something where it was built.</summary>
    private static readonly HashSet<string> Keys = [
        "cap_add", "cap_drop", "cgroup", "cgroup_parent", "command", "cpu_count", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpus", "cpuset",
        "depends_on", "device_cgroup_rules", "devices", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "environment", "expose", "extra_hosts", "group_add",
        "healthcheck", "hostname", "init", "ipc", "labels", "mac_address", "mem_limit", "mem_reservation", "memswap_limit", "mem_swappiness", "network_mode", "networks", "oom_kill_disable", "oom_score_adj",
        "pid", "pids_limit", "platform", "ports", "privileged", "read_only", "restart", "runtime", "security_opt", "shm_size", "stop_grace_period", "stop_signal", "stdin_open", "storage_opt", "sysctls",
        "tmpfs", "tty", "ulimits", "user", "userns_mode", "uts", "volumes", "working_dir"];

    private static readonly string[] Strategies = ["download-then-kill", "kill-then-download", "delete-then-download", "hand-over"];

    private readonly Diagnostics diagnostics = new();
    private readonly List<KeyValuePair<string, Node>> nodes = [];
    private readonly SortedDictionary<string, Service> services = new(StringComparer.Ordinal);
    private readonly HashSet<string> leftOut = [];

    public List<string> Remarks { get; } = [];
    public List<string> Errors { get; } = [];

    /// <param name="name">The service.</param>
    /// <param name="json">Its identity, image, environment and labels.</param>
    /// <param name="composition">The compose keys; the same object in the older form of the state.</param>
    public void Add(string name, JsonElement json, JsonElement composition)
    {
        if (json.ValueKind != JsonValueKind.Object || !TargetReader.IsName(name))
        {
            Errors.Add($"'{name}' is not a service");
            return;
        }

        var map = Composition(name, json, composition);
        var image = TargetReader.Text(json, "image") ?? "";
        if (TargetReader.JsonOf(json, "contract") is { ValueKind: JsonValueKind.Object } contract && Contract.Unmet(contract, facts.Contract) is { } unmet)
        {
            var optional = map["labels"] is MapNode { } l && l["io.balena.features.optional"] is ScalarNode { Value: "1" or "true" };
            if (optional) leftOut.Add(name);
            (optional ? Remarks : Errors).Add($"{name} needs {unmet}, which this device does not have{(optional ? "; it is left out" : "")}");
            return;
        }

        var reader = new ServiceReader(diagnostics, new ComposeSources(new Dictionary<string, string>(), _ => null, "/"));
        if (reader.Read(map.With("image", new ScalarNode(map.File, 1, $"{map.Path}.image", image, Plain: false))) is not { } service) return;
        nodes.Add(new(name, map));
        var serviceIds = new ServiceIds(TargetReader.Whole(json, "serviceId") ?? TargetReader.Whole(json, "id") ?? 0, TargetReader.Whole(json, "image_id") ?? TargetReader.Whole(json, "imageId") ?? 0);
        var spec = service.Container;
        services[name] = service with
        {
            Name = name,
            Ids = serviceIds,
            Running = TargetReader.Flag(json, "running") ?? true,
            Restart = service.Restart == RestartPolicy.Default ? RestartPolicy.Always : service.Restart,
            // The form tools look for when they want a shell in a service.
            ContainerName = $"{name}_{serviceIds.Image}_{ids.Release}_{commit}",
            Container = spec with { Tty = spec.Tty ?? true, Ipc = spec.Ipc ?? "shareable" },
        };
    }

    /// <summary>Checks the services against each other and gives the release; null when <see cref="Errors"/> say why not.</summary>
    public Release? Finish(JsonElement json)
    {
        var (file, resources) = (Place, new ResourceReader(diagnostics, new Values(diagnostics)));
        // What waited for a service that is left out does not wait.
        foreach (var (name, service) in services.ToList()) services[name] = service with { DependsOn = [.. service.DependsOn.Where(d => !leftOut.Contains(d.Service))] };
        var release = new Release
        {
            App = app,
            Commit = commit,
            Ids = ids,
            Services = services,
            Networks = resources.Networks(JsonTree.Map(json, "networks", file, "networks")),
            Volumes = new(resources.Volumes(JsonTree.Map(json, "volumes", file, "volumes")).ToDictionary(v => v.Key, v => v.Value.External ? v.Value : v.Value with { Name = $"{ids.App}_{v.Key}" }), StringComparer.Ordinal),
        };
        release = CrossCheck.Apply(release, new MapNode(file, 1, "", [new("services", new MapNode(file, 1, "services", nodes))]), diagnostics);
        Errors.AddRange(diagnostics.Errors.Select(e => $"{e.Path}: {e.Message}"));
        return Errors.Count > 0 ? null : WithFeatures(release);
    }

    private string Place => $"release {commit}";

    private Release WithFeatures(Release release)
    {
        var networks = new SortedDictionary<string, NetworkSpec>(release.Networks, StringComparer.Ordinal);
        if (release.Services.Values.Any(s => Features.Joins(s.Container))) networks[Features.NetworkName] = Features.Network;
        return release with { Services = new(release.Services.ToDictionary(s => s.Key, s => Features.Apply(s.Value, release, facts)), StringComparer.Ordinal), Networks = networks };
    }

    private MapNode Composition(string name, JsonElement json, JsonElement composition)
    {
        var path = "services." + name;
        var map = composition.ValueKind == JsonValueKind.Object ? (MapNode)JsonTree.From(composition, Place, path) : new MapNode(Place, 1, path, []);
        map = map with { Entries = [.. map.Entries.Where(e => Keys.Contains(e.Key) && !e.Value.IsNull)] };
        return map.With("labels", Labels(map, json)).With("environment", Merge(map, json, "environment"));
    }

    private MapNode Labels(MapNode map, JsonElement json)
    {
        var labels = Merge(map, json, "labels");
        var kept = new List<KeyValuePair<string, Node>>();
        foreach (var (label, node) in labels.Entries)
        {
            var renamed = Features.Renamed(label);
            if (renamed == "io.balena.update.strategy" && node is ScalarNode { Value: { } strategy } && !Strategies.Contains(strategy)) Remarks.Add($"{map.Key}: '{strategy}' is not an update strategy; the default one is used");
            else if (!kept.Exists(k => k.Key == renamed)) kept.Add(new(renamed, node));
        }

        return labels with { Entries = kept };
    }

    /// <summary>The composition's own pairs, with those of the state over them: the fleet has already put all its levels together there.</summary>
    private MapNode Merge(MapNode map, JsonElement json, string key)
    {
        var path = $"{map.Path}.{key}";
        var pairs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in new Values(diagnostics).Pairs(map[key]) ?? []) pairs[name] = value ?? "";
        foreach (var (name, value) in TargetReader.Texts(json, key)) pairs[name] = value;
        return new MapNode(map.File, 1, path, [.. pairs.Select(p => KeyValuePair.Create(p.Key, (Node)new ScalarNode(map.File, 1, $"{path}.{p.Key}", p.Value, Plain: false)))]);
    }
}
