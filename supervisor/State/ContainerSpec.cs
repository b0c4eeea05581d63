using System.Text.Json.Serialization;

namespace OsBuild.Supervisor.State;

/// <summary>What one container is created with, besides its image. Null is the engine's default and is left out of the hash, so
/// a later supervisor that knows more keys does not restart anything.</summary>
internal sealed record ContainerSpec
{
    public List<string>? Command { get; init; }
    public List<string>? Entrypoint { get; init; }
    public SortedDictionary<string, string>? Environment { get; init; }
    public SortedDictionary<string, string>? Labels { get; init; }
    public SortedDictionary<string, string>? Annotations { get; init; }
    public List<PortSpec>? Ports { get; init; }
    public List<string>? Expose { get; init; }
    public List<MountSpec>? Mounts { get; init; }
    public List<FileMount>? Files { get; init; }
    public List<NetworkLink>? Networks { get; init; }

    /// <summary>host, none, bridge, or <c>service:NAME</c> for the network of another service of the release (see <see cref="Namespaces"/>).</summary>
    public string? NetworkMode { get; init; }
    public string? Name { get; init; }
    public string? Hostname { get; init; }
    public string? DomainName { get; init; }
    public List<string>? ExtraHosts { get; init; }
    public List<string>? Dns { get; init; }
    public List<string>? DnsOptions { get; init; }
    public List<string>? DnsSearch { get; init; }
    public List<DeviceSpec>? Devices { get; init; }
    public List<string>? DeviceCgroupRules { get; init; }
    public List<GpuRequest>? Gpus { get; init; }
    public List<string>? CapAdd { get; init; }
    public List<string>? CapDrop { get; init; }
    public bool? Privileged { get; init; }
    public List<string>? SecurityOpt { get; init; }
    public List<string>? GroupAdd { get; init; }
    public string? User { get; init; }
    public string? WorkingDir { get; init; }
    public bool? Init { get; init; }
    public string? Ipc { get; init; }
    public string? Pid { get; init; }
    public string? Uts { get; init; }
    public string? CgroupNamespace { get; init; }
    public string? CgroupParent { get; init; }
    public string? UsernsMode { get; init; }
    public string? Runtime { get; init; }
    public string? Platform { get; init; }
    public bool? ReadOnly { get; init; }
    public long? ShmSize { get; init; }
    public string? StopSignal { get; init; }
    public SortedDictionary<string, string>? Sysctls { get; init; }
    public SortedDictionary<string, UlimitSpec>? Ulimits { get; init; }
    public HealthcheckSpec? Healthcheck { get; init; }
    public bool? Tty { get; init; }
    public bool? StdinOpen { get; init; }
    public long? Memory { get; init; }
    public long? MemoryReservation { get; init; }
    public long? MemorySwap { get; init; }
    public long? MemorySwappiness { get; init; }
    public long? NanoCpus { get; init; }
    public long? CpuShares { get; init; }
    public long? CpuPeriod { get; init; }
    public long? CpuQuota { get; init; }
    public long? CpuRealtimePeriod { get; init; }
    public long? CpuRealtimeRuntime { get; init; }
    public string? Cpuset { get; init; }
    public long? PidsLimit { get; init; }
    public bool? OomKillDisable { get; init; }
    public long? OomScoreAdj { get; init; }
    public SortedDictionary<string, string>? StorageOpt { get; init; }
    public string? LogDriver { get; init; }
    public SortedDictionary<string, string>? LogOptions { get; init; }
    public BlkioSpec? Blkio { get; init; }

    /// <summary>Run inside, in order, each time it was started; a service whose hook fails cannot be started.</summary>
    public List<HookSpec>? PostStart { get; init; }

    /// <summary>Run inside, in order, before it is stopped, within its grace.</summary>
    public List<HookSpec>? PreStop { get; init; }
}

/// <summary>A command run inside a running container.</summary>
internal sealed record HookSpec
{
    /// <summary>How long one hook after a start may take; the hooks run one after another, so a start takes at most their number times this.</summary>
    public static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(1);

    public required List<string> Command { get; init; }
    public string? User { get; init; }
    public bool? Privileged { get; init; }
    public string? WorkingDir { get; init; }
    public SortedDictionary<string, string>? Environment { get; init; }

    public override string ToString() => string.Join(' ', Command);
}

/// <summary>A published port. <see cref="HostPort"/> 0 lets the engine choose.</summary>
internal sealed record PortSpec(int ContainerPort, int HostPort, string Protocol = "tcp", string? HostAddress = null)
{
    public override string ToString() => $"{(HostAddress is null ? "" : HostAddress + ":")}{HostPort}:{ContainerPort}/{Protocol}";
}

[JsonConverter(typeof(EnumName<MountKind>))]
internal enum MountKind { Volume, Bind, Tmpfs }

/// <summary>A mount. For a volume, <see cref="Source"/> is the name in the release (null: anonymous); for a bind, a path of the host.</summary>
internal sealed record MountSpec(MountKind Kind, string? Source, string Target)
{
    public bool? ReadOnly { get; init; }
    public bool? NoCreate { get; init; }
    public string? Propagation { get; init; }
    public bool? NoCopy { get; init; }
    public string? Subpath { get; init; }
    public long? TmpfsSize { get; init; }
    public int? TmpfsMode { get; init; }
    public string? TmpfsOptions { get; init; }
}

/// <summary>A config or secret: a file with this content, read-only in the container. The content itself is in <see cref="Release.Files"/>.</summary>
internal sealed record FileMount(string Target, string Sha256, int? Mode = null, int? Uid = null, int? Gid = null);

/// <summary>How a container is attached to a network of its release.</summary>
internal sealed record NetworkLink(string Network)
{
    public List<string>? Aliases { get; init; }
    public string? Ipv4 { get; init; }
    public string? Ipv6 { get; init; }
    public List<string>? LinkLocal { get; init; }
    public string? MacAddress { get; init; }
    public int? Priority { get; init; }
    public SortedDictionary<string, string>? DriverOptions { get; init; }
}

internal sealed record DeviceSpec(string Host, string Container, string Permissions);

internal sealed record GpuRequest(string? Driver, long Count, List<string>? Ids, List<string> Capabilities);

internal sealed record UlimitSpec(long Soft, long Hard);

internal sealed record HealthcheckSpec
{
    /// <summary><c>NONE</c>, <c>CMD</c> and arguments, or <c>CMD-SHELL</c> and one line; null keeps the image's own test.</summary>
    public List<string>? Test { get; init; }
    public TimeSpan? Interval { get; init; }
    public TimeSpan? Timeout { get; init; }
    public TimeSpan? StartPeriod { get; init; }
    public TimeSpan? StartInterval { get; init; }
    public int? Retries { get; init; }
}

internal sealed record BlkioSpec
{
    public int? Weight { get; init; }
    public List<BlkioRate>? WeightDevice { get; init; }
    public List<BlkioRate>? ReadBps { get; init; }
    public List<BlkioRate>? WriteBps { get; init; }
    public List<BlkioRate>? ReadIops { get; init; }
    public List<BlkioRate>? WriteIops { get; init; }
}

internal sealed record BlkioRate(string Path, long Rate);
