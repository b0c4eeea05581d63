namespace OsBuild.Supervisor.Running;

/// <summary>Where the worker finds its host. On a board these are fixed; tests and other inits set them through the environment.</summary>
/// <param name="Boot">The mounted boot partition: config.yaml, compose.yaml, apps/.</param>
/// <param name="State">The mounted state partition: identity, journal, snapshots.</param>
/// <param name="Data">The mounted data partition: engine store, volumes, logs.</param>
/// <param name="Run">Run-time files that vanish at power-off: sockets, resolv.conf.</param>
/// <param name="EngineSocket">The engine's unix socket.</param>
internal sealed record HostPaths(string Boot, string State, string Data, string Run, string EngineSocket)
{
    /// <summary>The user's settings of the host.</summary>
    public string ConfigYaml => Path.Combine(Boot, "config.yaml");

    /// <summary>The fleet this device belongs to.</summary>
    public string ConfigJson => Path.Combine(Boot, "config.json");

    /// <summary>The worker's own API socket.</summary>
    public string ApiSocket => Path.Combine(Run, "supervisor.sock");

    /// <summary>TCP port of the API and the page; 0 takes a free one (its number is in <c>Run/api-port</c>).</summary>
    public int ApiPort { get; init; } = 8008;

    public static HostPaths FromEnvironment() => new(
        Environment.GetEnvironmentVariable("OSBUILD_BOOT") ?? "/boot",
        Environment.GetEnvironmentVariable("OSBUILD_STATE") ?? "/state",
        Environment.GetEnvironmentVariable("OSBUILD_DATA") ?? "/data",
        Environment.GetEnvironmentVariable("OSBUILD_RUN") ?? "/run/osbuild",
        Environment.GetEnvironmentVariable("OSBUILD_ENGINE") ?? "/run/docker.sock")
    {
        ApiPort = int.TryParse(Environment.GetEnvironmentVariable("OSBUILD_PORT"), out var port) ? port : 8008,
    };
}
