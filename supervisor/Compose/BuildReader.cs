namespace OsBuild.Supervisor.Compose;

/// <summary>How the image of a service is built.</summary>
/// <param name="Context">The folder that is sent to the engine, relative to the compose file.</param>
/// <param name="Dockerfile">Relative to the context; null for its Dockerfile.</param>
/// <param name="Inline">The text of the Dockerfile itself.</param>
internal sealed record BuildSpec(string Service, string Context, string? Dockerfile, string? Inline)
{
    public string? Target { get; init; }
    public string? Network { get; init; }
    public bool NoCache { get; init; }
    public bool Pull { get; init; }
    public SortedDictionary<string, string> Arguments { get; init; } = [];
    public SortedDictionary<string, string> Labels { get; init; } = [];
    public List<string> ExtraHosts { get; init; } = [];
}

/// <summary>Reads <c>build</c> of a service: what the engine's own builder can do. What needs BuildKit is refused by name.</summary>
internal sealed class BuildReader(Diagnostics diagnostics, Values values)
{
    private static readonly string[] Known = ["context", "dockerfile", "dockerfile_inline", "target", "args", "labels", "network", "no_cache", "pull", "extra_hosts"];
    private static readonly string[] LeftOut = ["cache_from", "cache_to", "tags", "platforms", "shm_size", "isolation", "privileged"];
    private static readonly string[] NeedsBuildKit = ["secrets", "ssh", "additional_contexts", "entitlements", "provenance", "sbom"];

    public BuildSpec? Read(string service, Node node)
    {
        if (node is ScalarNode) return Checked(new(service, values.Text(node) ?? ".", null, null), node);
        if (node is not MapNode map)
        {
            diagnostics.Error(node, $"must be a folder or a map, but is {node.Kind}");
            return null;
        }

        foreach (var (key, value) in map.Entries)
        {
            if (NeedsBuildKit.Contains(key)) diagnostics.Error(value, "needs BuildKit, which the engine of a device has not");
            else if (LeftOut.Contains(key)) diagnostics.Warn(value, "is left out: the device builds for itself, with its own cache");
            else if (!Known.Contains(key) && !key.StartsWith("x-", StringComparison.Ordinal)) diagnostics.Error(value, "is not a part of build");
        }

        return Checked(new(service, values.Text(map["context"]) ?? ".", values.Text(map["dockerfile"]), values.Text(map["dockerfile_inline"]))
        {
            Target = values.Text(map["target"]),
            Network = values.Text(map["network"]),
            NoCache = values.Flag(map["no_cache"]) ?? false,
            Pull = values.Flag(map["pull"]) ?? false,
            // An argument without a value has none here: the variables of the developer's shell are not the device's.
            Arguments = Plain(map["args"]),
            Labels = Plain(map["labels"]),
            ExtraHosts = [.. (values.Pairs(map["extra_hosts"], "=:") ?? []).Select(h => $"{h.Key}:{h.Value}")],
        }, node);
    }

    private BuildSpec Checked(BuildSpec spec, Node node)
    {
        if (spec.Context.Contains("://", StringComparison.Ordinal) || spec.Context.StartsWith("git@", StringComparison.Ordinal)) diagnostics.Error(node, $"the context {spec.Context} is not a folder; only folders are built");
        if (spec is { Dockerfile: not null, Inline: not null }) diagnostics.Error(node, "has both dockerfile and dockerfile_inline; one of them is enough");
        return spec;
    }

    private SortedDictionary<string, string> Plain(Node? node) => new((values.Pairs(node) ?? []).Where(p => p.Value is not null).ToDictionary(p => p.Key, p => p.Value!), StringComparer.Ordinal);
}
