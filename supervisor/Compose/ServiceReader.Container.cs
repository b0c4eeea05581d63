using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>The keys that become the container, by topic. Each method answers null for a key of another topic.</summary>
internal sealed partial class ServiceReader
{
    private ContainerSpec? ReadProcess(string key, Node node, ContainerSpec spec) => key switch
    {
        "command" => spec with { Command = values.Command(node) },
        "entrypoint" => spec with { Entrypoint = values.Command(node) },
        "environment" => spec with { Environment = ReadEnvironment(node) },
        "labels" => spec with { Labels = values.Map(node) },
        "annotations" => spec with { Annotations = values.Map(node) },
        "container_name" => spec with { Name = Name(node) },
        "hostname" => spec with { Hostname = values.Text(node) },
        "domainname" => spec with { DomainName = values.Text(node) },
        "user" => spec with { User = values.Text(node) },
        "working_dir" => spec with { WorkingDir = values.Text(node) },
        "init" => spec with { Init = values.Flag(node) },
        "tty" => spec with { Tty = values.Flag(node) },
        "stdin_open" => spec with { StdinOpen = values.Flag(node) },
        "stop_signal" => spec with { StopSignal = values.Text(node) },
        "healthcheck" => spec with { Healthcheck = ReadHealthcheck(AsMap(node)) },
        "platform" => spec with { Platform = values.Text(node) },
        "runtime" => spec with { Runtime = values.Text(node) },
        "logging" => ReadLogging(AsMap(node), spec),
        "post_start" => spec with { PostStart = ReadHooks(node) },
        "pre_stop" => spec with { PreStop = ReadHooks(node) },
        _ => null,
    };

    private ContainerSpec? ReadPlaces(string key, Node node, ContainerSpec spec) => key switch
    {
        "ports" => spec with { Ports = ReadPorts(node) },
        "expose" => spec with { Expose = values.List(node) },
        "volumes" => spec with { Mounts = [.. (spec.Mounts ?? []).Where(m => m.Kind == MountKind.Tmpfs), .. ReadVolumes(node)] },
        "tmpfs" => spec with { Mounts = [.. spec.Mounts ?? [], .. (values.List(node) ?? []).Select(ReadTmpfs)] },
        "networks" => spec with { Networks = ReadNetworks(node) },
        "network_mode" => spec with { NetworkMode = Namespace(node, "host", "none", "bridge", Shared) },
        "mac_address" => spec with { Networks = spec.Networks is { Count: > 0 } n ? [n[0] with { MacAddress = values.Text(node) }, .. n[1..]] : [new("default") { MacAddress = values.Text(node) }] },
        "extra_hosts" => spec with { ExtraHosts = ReadExtraHosts(node) },
        "dns" => spec with { Dns = values.List(node) },
        "dns_opt" => spec with { DnsOptions = values.List(node) },
        "dns_search" => spec with { DnsSearch = values.List(node) },
        "devices" => spec with { Devices = [.. (values.List(node) ?? []).Select(text => ReadDevice(node, text)).OfType<DeviceSpec>()] },
        "gpus" => spec with { Gpus = ReadGpus(node) },
        _ => null,
    };

    private ContainerSpec? ReadRights(string key, Node node, ContainerSpec spec) => key switch
    {
        "cap_add" => spec with { CapAdd = values.List(node) },
        "cap_drop" => spec with { CapDrop = values.List(node) },
        "privileged" => spec with { Privileged = values.Flag(node) },
        "security_opt" => spec with { SecurityOpt = values.List(node) },
        "group_add" => spec with { GroupAdd = values.List(node) },
        "device_cgroup_rules" => spec with { DeviceCgroupRules = values.List(node) },
        "ipc" => spec with { Ipc = Namespace(node, "host", "none", "private", "shareable", Shared) },
        "pid" => spec with { Pid = Namespace(node, "host", Shared) },
        "uts" => spec with { Uts = Namespace(node, "host") },
        "cgroup" => spec with { CgroupNamespace = Namespace(node, "host", "private") },
        "userns_mode" => spec with { UsernsMode = Namespace(node, "host") },
        "cgroup_parent" => spec with { CgroupParent = values.Text(node) },
        "read_only" => spec with { ReadOnly = values.Flag(node) },
        "sysctls" => spec with { Sysctls = values.Map(node) },
        _ => null,
    };

    private ContainerSpec? ReadLimits(string key, Node node, ContainerSpec spec) => key switch
    {
        "shm_size" => spec with { ShmSize = values.Size(node) },
        "ulimits" => spec with { Ulimits = ReadUlimits(AsMap(node)) },
        "mem_limit" => spec with { Memory = values.Size(node) },
        "mem_reservation" => spec with { MemoryReservation = values.Size(node) },
        "memswap_limit" => spec with { MemorySwap = values.Size(node, minusOne: true) },
        "mem_swappiness" => spec with { MemorySwappiness = values.Whole(node, -1, 100) },
        "cpus" => spec with { NanoCpus = values.Cpus(node) },
        "cpu_count" or "cpu_percent" => Refuse(node, "is for Windows containers; use cpus", spec),
        "cpu_shares" => spec with { CpuShares = values.Whole(node, 0) },
        "cpu_period" => spec with { CpuPeriod = Microseconds(node) },
        "cpu_quota" => spec with { CpuQuota = Microseconds(node) },
        "cpu_rt_period" => spec with { CpuRealtimePeriod = Microseconds(node) },
        "cpu_rt_runtime" => spec with { CpuRealtimeRuntime = Microseconds(node) },
        "cpuset" => spec with { Cpuset = values.Text(node) },
        "pids_limit" => spec with { PidsLimit = values.Whole(node, -1) },
        "oom_kill_disable" => spec with { OomKillDisable = values.Flag(node) },
        "oom_score_adj" => spec with { OomScoreAdj = values.Whole(node, -1000, 1000) },
        "storage_opt" => spec with { StorageOpt = values.Map(node) },
        "blkio_config" => spec with { Blkio = ReadBlkio(AsMap(node)) },
        _ => null,
    };

    private string? Name(Node node)
    {
        var name = values.Text(node);
        var good = name is not null && name.Length > 1 && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-');
        if (!good) diagnostics.Error(node, $"'{name}' is not a container name; use letters, digits, '_', '.' and '-'");
        return name;
    }

    private const string Shared = "service:NAME";

    private string? Namespace(Node node, params string[] modes)
    {
        if (values.Text(node) is not { } text) return null;
        if (modes.Contains(text) || modes.Contains(Shared) && Namespaces.Owner(text) is { Length: > 0 }) return text;
        if (text.StartsWith("container:", StringComparison.Ordinal))
            diagnostics.Error(node, $"'{text}': a container may be replaced at any time; name its service, as in {Shared}");
        else
            diagnostics.Error(node, $"must be {string.Join(" or ", modes)}, not '{text}'");
        return null;
    }

    private long? Microseconds(Node node)
    {
        if (node is ScalarNode { Value: { } text } && !text.All(char.IsAsciiDigit)) return values.Time(node) is { } time ? (long)time.TotalMicroseconds : null;
        return values.Whole(node, -1);
    }

    private SortedDictionary<string, string>? ReadEnvironment(Node node)
    {
        if (values.Pairs(node) is not { Count: > 0 } pairs) return null;
        var result = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in pairs)
        {
            if (key.Length == 0) diagnostics.Error(node, "has a variable without a name");
            // NAME alone passes the variable on from .env, and is left out when that has none.
            else if (value is not null) result[key] = value;
            else if (node is MapNode { } map && map[key] is ScalarNode { Null: false }) result[key] = "";
            else if (sources.Variables.TryGetValue(key, out var outer)) result[key] = outer;
        }

        return result.Count == 0 ? null : result;
    }

    private HealthcheckSpec? ReadHealthcheck(MapNode map)
    {
        OnlyKeys(map, "test", "interval", "timeout", "retries", "start_period", "start_interval", "disable");
        if (values.Flag(map["disable"]) == true) return new() { Test = ["NONE"] };
        var test = map["test"] is ScalarNode { IsNull: false } line ? ["CMD-SHELL", line.Value] : values.List(map["test"]);
        if (test is { Count: > 0 } && test[0] is not ("NONE" or "CMD" or "CMD-SHELL")) diagnostics.Error(map["test"]!, "must begin with NONE, CMD or CMD-SHELL, or be one line");
        if (test is ["CMD"] or ["CMD-SHELL"]) diagnostics.Error(map["test"]!, "has no command");
        return new()
        {
            Test = test is { Count: > 0 } ? test : null,
            Interval = AtLeastOneMillisecond(map["interval"]),
            Timeout = AtLeastOneMillisecond(map["timeout"]),
            StartPeriod = values.Time(map["start_period"]),
            StartInterval = AtLeastOneMillisecond(map["start_interval"]),
            Retries = (int?)values.Whole(map["retries"], 0, int.MaxValue),
        };
    }

    private List<HookSpec>? ReadHooks(Node node)
    {
        if (node is not ListNode list) return node.IsNull ? null : Refuse<List<HookSpec>?>(node, "must be a list of hooks, each with a command", null);
        var hooks = new List<HookSpec>();
        foreach (var item in list.Items.Select(AsMap))
        {
            OnlyKeys(item, "command", "user", "privileged", "working_dir", "environment");
            if (values.Command(item["command"]) is not { Count: > 0 } command) diagnostics.Error(item, "needs a command");
            else hooks.Add(new() { Command = command, User = values.Text(item["user"]), Privileged = values.Flag(item["privileged"]), WorkingDir = values.Text(item["working_dir"]), Environment = item["environment"] is { } environment ? ReadEnvironment(environment) : null });
        }

        return hooks.Count == 0 ? null : hooks;
    }

    private TimeSpan? AtLeastOneMillisecond(Node? node)
    {
        var time = values.Time(node);
        // The engine refuses less, but only when the container is made.
        if (time is { } t && t < TimeSpan.FromMilliseconds(1)) diagnostics.Error(node!, "must be at least 1ms");
        return time;
    }

    private ContainerSpec ReadLogging(MapNode map, ContainerSpec spec)
    {
        OnlyKeys(map, "driver", "options");
        return spec with { LogDriver = values.Text(map["driver"]), LogOptions = values.Map(map["options"]) };
    }

    private List<string>? ReadExtraHosts(Node node)
    {
        var hosts = new List<string>();
        foreach (var (name, address) in values.Pairs(node, "=:") ?? [])
        {
            if (string.IsNullOrEmpty(address)) diagnostics.Error(node, $"'{name}' has no address; write name=address");
            else hosts.Add($"{name}:{address.Trim('[', ']')}");
        }

        return hosts.Count == 0 ? null : hosts;
    }

    private DeviceSpec? ReadDevice(Node node, string text)
    {
        var parts = text.Split(':');
        var permissions = parts.Length > 2 ? parts[2] : "rwm";
        if (parts.Length is >= 1 and <= 3 && parts[0].StartsWith('/') && permissions.Length > 0 && permissions.All(c => "rwm".Contains(c)))
            return new(parts[0], parts.Length > 1 && parts[1].Length > 0 ? parts[1] : parts[0], permissions);
        diagnostics.Error(node, $"'{text}' is not HOST[:CONTAINER[:rwm]] with a path of the host; CDI devices are not supported");
        return null;
    }

    private List<GpuRequest>? ReadGpus(Node node)
    {
        if (node is ScalarNode { Value: "all" }) return [new(null, -1, null, ["gpu"])];
        if (node is ListNode list) return [.. list.Items.Select(item => ReadGpu(AsMap(item)))];
        diagnostics.Error(node, "must be 'all' or a list");
        return null;
    }

    private GpuRequest ReadGpu(MapNode map)
    {
        OnlyKeys(map, "driver", "count", "device_ids", "capabilities", "options");
        var ids = values.List(map["device_ids"]);
        var count = ids is not null ? 0 : map["count"] is ScalarNode { Value: "all" } or null ? -1 : values.Whole(map["count"], 0) ?? 0;
        return new(values.Text(map["driver"]), count, ids, values.List(map["capabilities"]) ?? ["gpu"]);
    }

    private SortedDictionary<string, UlimitSpec>? ReadUlimits(MapNode map)
    {
        var limits = new SortedDictionary<string, UlimitSpec>(StringComparer.Ordinal);
        foreach (var (name, node) in map.Entries)
        {
            if (node is MapNode both)
            {
                OnlyKeys(both, "soft", "hard");
                var hard = values.Whole(both["hard"], -1);
                var soft = values.Whole(both["soft"], -1);
                if (soft is null && hard is null) diagnostics.Error(node, "needs soft and hard");
                else limits[name] = new(soft ?? hard!.Value, hard ?? soft!.Value);
            }
            else if (values.Whole(node, -1) is { } one)
            {
                limits[name] = new(one, one);
            }
        }

        return limits.Count == 0 ? null : limits;
    }

    private BlkioSpec ReadBlkio(MapNode map)
    {
        OnlyKeys(map, "weight", "weight_device", "device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops");
        return new()
        {
            Weight = (int?)values.Whole(map["weight"], 10, 1000),
            WeightDevice = Rates(map["weight_device"], "weight"),
            ReadBps = Rates(map["device_read_bps"], "rate"),
            WriteBps = Rates(map["device_write_bps"], "rate"),
            ReadIops = Rates(map["device_read_iops"], "rate"),
            WriteIops = Rates(map["device_write_iops"], "rate"),
        };
    }

    private List<BlkioRate>? Rates(Node? node, string value)
    {
        if (node is not ListNode list) return null;
        var rates = new List<BlkioRate>();
        foreach (var item in list.Items.Select(AsMap))
        {
            OnlyKeys(item, "path", value);
            if (values.Text(item["path"]) is { } path && values.Size(item[value]) is { } rate) rates.Add(new(path, rate));
            else diagnostics.Error(item, $"needs path and {value}");
        }

        return rates.Count == 0 ? null : rates;
    }
}
