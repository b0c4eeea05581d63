namespace OsBuild.Supervisor.State;

/// <summary>What should run on this device. Every master (a compose file, a fleet, a local push) is mapped to this.</summary>
internal sealed record TargetState(List<Release> Apps)
{
    public static readonly TargetState Nothing = new([]);

    public Release? Find(string app) => Apps.FirstOrDefault(a => a.App == app);
}

/// <summary>One version of one app: its services with the networks, volumes and files they use.</summary>
internal sealed record Release
{
    public required string App { get; init; }

    /// <summary>The master's own name for this version (a commit); empty when it has none. Never decides about restarts.</summary>
    public string Commit { get; init; } = "";
    public SortedDictionary<string, Service> Services { get; init; } = [];
    public SortedDictionary<string, NetworkSpec> Networks { get; init; } = [];
    public SortedDictionary<string, VolumeSpec> Volumes { get; init; } = [];

    /// <summary>Contents of configs and secrets by their SHA-256.</summary>
    public SortedDictionary<string, byte[]> Files { get; init; } = [];

    /// <summary>The master's own numbers for it; nothing is decided by them.</summary>
    public ReleaseIds? Ids { get; init; }

    /// <summary>The exact image each service proved itself with; only in a release that is good.</summary>
    public SortedDictionary<string, string>? ImageIds { get; init; }

    /// <summary>A name for what this release runs: equal for two releases exactly when no container, network or volume differs.</summary>
    public string Fingerprint() => SpecHash.Of(this);
}

/// <summary>How a fleet numbers an app and its release.</summary>
internal sealed record ReleaseIds(long App, string AppName, long Release);

/// <summary>How a fleet numbers a service and its image.</summary>
internal sealed record ServiceIds(long Service, long Image);

/// <summary>A network of a release.</summary>
internal sealed record NetworkSpec
{
    /// <summary>The engine's name, when the release names it; otherwise app and key are joined.</summary>
    public string? Name { get; init; }
    public bool External { get; init; }
    public string? Driver { get; init; }
    public bool? Internal { get; init; }
    public bool? EnableIpv6 { get; init; }
    public SortedDictionary<string, string>? Options { get; init; }
    public SortedDictionary<string, string>? Labels { get; init; }
    public string? IpamDriver { get; init; }
    public SortedDictionary<string, string>? IpamOptions { get; init; }
    public List<Subnet>? Subnets { get; init; }

    public string EngineName(string app, string key) => Name ?? $"{app}_{key}";
}

internal sealed record Subnet(string? Cidr, string? Gateway, string? Range, SortedDictionary<string, string>? Reserved);

/// <summary>A volume of a release. The supervisor makes volumes and never removes one by itself.</summary>
internal sealed record VolumeSpec
{
    public string? Name { get; init; }
    public bool External { get; init; }
    public string? Driver { get; init; }
    public SortedDictionary<string, string>? Options { get; init; }
    public SortedDictionary<string, string>? Labels { get; init; }

    public string EngineName(string app, string key) => Name ?? $"{app}_{key}";
}
