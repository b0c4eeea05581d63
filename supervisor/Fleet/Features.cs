using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Fleet;

/// <summary>What a fleet's service finds in its container besides what its composition says: who and where it is, and what it asks for
/// with <c>io.balena.features.*</c> labels.</summary>
internal static class Features
{
    /// <summary>The network by which services reach the device API. Its gateway is the device, under an address that never changes.</summary>
    public const string NetworkName = "supervisor0";
    public const string NetworkGateway = "10.114.104.1";

    public static readonly NetworkSpec Network = new()
    {
        Name = NetworkName,
        Driver = "bridge",
        Options = new(StringComparer.Ordinal) { ["com.docker.network.bridge.name"] = NetworkName },
        Subnets = [new("10.114.104.0/25", NetworkGateway, null, null)],
    };

    private const string Prefix = "io.balena.features.";
    private const string LockPath = "/tmp/balena/updates.lock";
    private const string HandOverPath = "/tmp/balena/handover-complete";

    /// <summary>Host folders that labels bring in, by label: host path and path in the container. Only what the host has is mounted.</summary>
    private static readonly (string Label, string Host, string Container)[] Mounts =
    [
        ("dbus", "/run/dbus", "/host/run/dbus"),
        ("kernel-modules", "/lib/modules", "/lib/modules"),
        ("firmware", "/lib/firmware", "/lib/firmware"),
        ("sysfs", "/sys", "/sys"),
        ("procfs", "/proc", "/proc"),
        ("journal-logs", "/run/log/journal", "/run/log/journal"),
        ("journal-logs", "/var/log/journal", "/var/log/journal"),
        ("journal-logs", "/etc/machine-id", "/etc/machine-id"),
    ];

    public static IEnumerable<string> Paths => Mounts.Select(m => m.Host);

    /// <summary><c>io.resin.</c> labels in their newer spelling.</summary>
    public static string Renamed(string label) => label.StartsWith("io.resin.", StringComparison.Ordinal) ? "io.balena." + label["io.resin.".Length..] : label;

    public static bool Asks(ContainerSpec spec, string feature) => spec.Labels?.GetValueOrDefault(Prefix + feature) is "1" or "true";

    public static Service Apply(Service service, Release release, DeviceFacts facts)
    {
        var spec = service.Container;
        var environment = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Identify(environment, service, release, facts);
        if (Asks(spec, "balena-api")) Both(environment, ("API_KEY", facts.DeviceKey), ("API_URL", facts.ApiEndpoint));
        if (Asks(spec, "supervisor-api")) Reach(environment, spec, facts, facts.ServiceKey(release.App, service.Name));
        if (Asks(spec, "balena-socket")) environment["DOCKER_HOST"] = "unix:///var/run/balena-engine.sock";
        // What a person configured is stronger than what the device says of itself.
        foreach (var (name, value) in spec.Environment ?? []) environment[name] = value;
        var mounts = MountsOf(spec, facts);
        return service with
        {
            Container = spec with
            {
                Environment = environment,
                Mounts = mounts.Count == 0 ? null : mounts,
                Gpus = Asks(spec, "gpu") ? [.. spec.Gpus ?? [], new(null, 1, null, ["gpu"])] : spec.Gpus,
                Networks = Joins(spec) ? [.. spec.Networks ?? [], new NetworkLink(NetworkName) { Priority = -1 }] : spec.Networks,
            },
        };
    }

    /// <summary>True when a service reaches the device API over the network made for it.</summary>
    public static bool Joins(ContainerSpec spec) => Asks(spec, "supervisor-api") && spec.NetworkMode is null;

    private static void Identify(SortedDictionary<string, string> environment, Service service, Release release, DeviceFacts facts)
    {
        environment["USER"] = "root";
        environment["BALENA"] = environment["RESIN"] = "1";
        Both(environment,
            ("APP_ID", $"{release.Ids?.App}"), ("APP_UUID", release.App), ("APP_NAME", release.Ids?.AppName ?? release.App), ("SERVICE_NAME", service.Name),
            ("DEVICE_UUID", facts.Uuid), ("DEVICE_TYPE", facts.DeviceType), ("DEVICE_ARCH", facts.Architecture), ("DEVICE_NAME_AT_INIT", facts.Name),
            ("HOST_OS_VERSION", $"{facts.OsName} {facts.OsVersion}".Trim()), ("APP_LOCK_PATH", LockPath), ("SERVICE_HANDOVER_COMPLETE_PATH", HandOverPath));
        environment["RESIN_SERVICE_KILL_ME_PATH"] = HandOverPath;
    }

    private static void Reach(SortedDictionary<string, string> environment, ContainerSpec spec, DeviceFacts facts, string key)
    {
        var host = spec.NetworkMode == "host" ? "127.0.0.1" : NetworkGateway;
        Both(environment, ("SUPERVISOR_API_KEY", key), ("SUPERVISOR_HOST", host), ("SUPERVISOR_PORT", $"{facts.Port}"), ("SUPERVISOR_ADDRESS", $"http://{host}:{facts.Port}"));
    }

    private static void Both(SortedDictionary<string, string> environment, params ReadOnlySpan<(string Name, string Value)> variables)
    {
        foreach (var (name, value) in variables) environment["BALENA_" + name] = environment["RESIN_" + name] = value;
    }

    private static List<MountSpec> MountsOf(ContainerSpec spec, DeviceFacts facts)
    {
        var mounts = new List<MountSpec>(spec.Mounts ?? []);
        foreach (var (label, host, container) in Mounts)
            if (Asks(spec, label) && facts.HostPaths.Contains(host)) Add(new(MountKind.Bind, host, container));
        if (!Asks(spec, "balena-socket")) return mounts;
        foreach (var path in (string[])["/var/run/balena-engine.sock", "/var/run/balena.sock", "/host/run/balena-engine.sock"]) Add(new(MountKind.Bind, facts.EngineSocket, path));
        return mounts;

        void Add(MountSpec mount)
        {
            if (!mounts.Exists(m => m.Target == mount.Target)) mounts.Add(mount);
        }
    }
}
