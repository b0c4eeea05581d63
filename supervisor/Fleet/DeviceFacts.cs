namespace OsBuild.Supervisor.Fleet;

/// <summary>What services may be told about the device they run on, and what contracts are checked against.</summary>
internal sealed record DeviceFacts
{
    /// <summary>The version of balena's supervisor whose interfaces (device API v3, device API v1 and v2) this one speaks. Tools decide by it
    /// what they may ask for, and contracts name it.</summary>
    public const string CompatibleVersion = "19.0.5";

    public string Uuid { get; init; } = "";

    /// <summary>The device's name when the fleet first told it.</summary>
    public string Name { get; init; } = "";
    public string DeviceType { get; init; } = "";

    /// <summary>As balena names them: amd64, aarch64, armv7hf ...</summary>
    public string Architecture { get; init; } = "";
    public string OsName { get; init; } = "";
    public string OsVersion { get; init; } = "";
    public string KernelVersion { get; init; } = "";
    public string ApiEndpoint { get; init; } = "";
    public string DeviceKey { get; init; } = "";
    public int Port { get; init; } = FleetConfig.DefaultPort;
    public string EngineSocket { get; init; } = "";

    /// <summary>Those of <see cref="Features.Paths"/> that the host has.</summary>
    public IReadOnlySet<string> HostPaths { get; init; } = new HashSet<string>();

    /// <summary>The key by which a service speaks to the device API, by app and service.</summary>
    public Func<string, string, string> ServiceKey { get; init; } = (_, _) => "";

    public IReadOnlyDictionary<string, ContractFact> Contract => new Dictionary<string, ContractFact>
    {
        ["sw.supervisor"] = new("balena-supervisor", CompatibleVersion),
        ["sw.os"] = new(null, OsVersion),
        ["sw.kernel"] = new(null, KernelVersion.Split('-')[0]),
        ["hw.device-type"] = new(DeviceType, null),
        ["arch.sw"] = new(Architecture, null),
    };
}
