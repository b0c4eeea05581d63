namespace OsBuild.Supervisor.State;

/// <summary>The name spaces a container takes from another service of its release: <c>network_mode</c>, <c>pid</c> and <c>ipc</c> of the form
/// <c>service:NAME</c>. The engine knows containers only, so that the one it means is named when the container is created.</summary>
internal static class Namespaces
{
    private const string Prefix = "service:";

    /// <summary>The service a mode names, or null.</summary>
    public static string? Owner(string? mode) => mode?.StartsWith(Prefix, StringComparison.Ordinal) == true ? mode[Prefix.Length..] : null;

    /// <summary>The services whose name spaces a container is in; each once.</summary>
    public static List<string> Owners(ContainerSpec spec) => spec is { NetworkMode: null, Pid: null, Ipc: null } ? [] : [.. new[] { spec.NetworkMode, spec.Pid, spec.Ipc }.Select(Owner).OfType<string>().Distinct()];

    /// <summary>A mode as the engine takes it.</summary>
    /// <param name="mode">As in the specification.</param>
    /// <param name="containers">The container of each service that is named.</param>
    public static string? ForEngine(string? mode, IReadOnlyDictionary<string, string> containers) => Owner(mode) is { } owner ? "container:" + containers[owner] : mode;
}
