using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>Reads one service of a compose file. Every key of the file is either read, ignored with a reason, or refused by name.</summary>
internal sealed partial class ServiceReader(Diagnostics diagnostics, ComposeSources sources)
{
    private readonly Values values = new(diagnostics);

    /// <summary>Keys that mean something on other platforms or need what a device does not have.</summary>
    private static readonly Dictionary<string, string> Refused = new()
    {
        ["build"] = "cannot be built on the device; name an image, or use 'supervisor push'",
        ["credential_spec"] = "is for Windows containers",
        ["isolation"] = "is for Windows containers",
        ["develop"] = "is for development machines",
        ["provider"] = "needs plugins that are not on the device",
        ["models"] = "is not supported",
        ["links"] = "is not supported; services on one network find each other by name",
        ["external_links"] = "is not supported; use networks with 'external: true'",
        ["volumes_from"] = "is not supported; name the volume in both services",
        ["use_api_socket"] = "is not supported",
        ["attach"] = "is for an attached terminal",
    };

    /// <summary>What the engine refuses for a container that is in the network of another.</summary>
    private static readonly string[] NetworkKeys = ["ports", "expose", "hostname", "domainname", "dns", "dns_opt", "dns_search", "extra_hosts", "mac_address"];

    public Service? Read(MapNode map)
    {
        var container = new ContainerSpec();
        var service = new Service { Name = map.Key, Image = "" };
        foreach (var (key, node) in map.Entries)
        {
            if (key.StartsWith("x-", StringComparison.Ordinal) || key is "extends" or "profiles" || key == "build" && sources.Built is not null) continue;
            if (Refused.TryGetValue(key, out var reason)) diagnostics.Error(node, reason);
            else if (ReadPolicy(key, node, service) is { } read) service = read;
            else if ((ReadProcess(key, node, container) ?? ReadPlaces(key, node, container) ?? ReadRights(key, node, container) ?? ReadLimits(key, node, container)) is { } spec) container = spec;
            else diagnostics.Error(node, "is not a key this supervisor knows");
        }

        if (map["env_file"] is { } files) container = WithEnvFiles(files, container);
        if (map["label_file"] is { } labels) container = WithLabelFiles(labels, container);
        container = WithFiles(map, container);
        service = service with { Container = container };
        if (map["deploy"] is MapNode deploy) service = ReadDeploy(deploy, service);
        if (map["image"] is null && !(sources.Built is not null && map["build"] is not null)) diagnostics.Error(map, "has no image");
        service = UpdateLabels.Apply(service, (_, message) => diagnostics.Error(map["labels"] ?? map, message));
        Check(map, service);
        return service;
    }

    /// <summary>Keys that do not go into the container.</summary>
    private Service? ReadPolicy(string key, Node node, Service service) => key switch
    {
        "image" => service with { Image = Image(node) },
        "restart" => ReadRestart(node, service),
        "depends_on" => service with { DependsOn = ReadDependsOn(node) },
        "stop_grace_period" => service with { StopGrace = values.Time(node) ?? service.StopGrace },
        "pull_policy" => ReadPull(node, service),
        "scale" => values.Whole(node) is null or 1 ? service : Refuse(node, "only one container per service runs on a device", service),
        // Read after the others, because they change what the others say.
        "env_file" or "label_file" or "deploy" or "configs" or "secrets" => service,
        _ => null,
    };

    private string Image(Node node)
    {
        var text = values.Text(node) ?? "";
        if (text.Length == 0) diagnostics.Error(node, "is empty");
        else if (!ImageReference.TryParse(text, out _)) diagnostics.Error(node, $"'{text}' is not a valid image name");
        return text;
    }

    private Service ReadRestart(Node node, Service service)
    {
        var text = values.Text(node) ?? "";
        var limit = (int?)null;
        if (text.StartsWith("on-failure:", StringComparison.Ordinal) && int.TryParse(text[11..], out var most) && most >= 0) (text, limit) = ("on-failure", most);
        RestartPolicy? policy = text switch { "no" or "false" => RestartPolicy.No, "always" => RestartPolicy.Always, "on-failure" => RestartPolicy.OnFailure, "unless-stopped" => RestartPolicy.UnlessStopped, _ => null };
        if (policy is null) diagnostics.Error(node, $"must be no, always, on-failure[:times] or unless-stopped, not '{text}'");
        return service with { Restart = policy ?? RestartPolicy.Default, RestartLimit = limit };
    }

    private Service ReadPull(Node node, Service service)
    {
        var text = values.Text(node) ?? "";
        if (text.StartsWith("every_", StringComparison.Ordinal) && Values.TryTime(text[6..], out var every)) return service with { Pull = PullPolicy.Every, PullEvery = every };
        return text switch
        {
            "missing" or "if_not_present" => service with { Pull = PullPolicy.Missing },
            "always" => service with { Pull = PullPolicy.Always },
            "never" => service with { Pull = PullPolicy.Never },
            "daily" => service with { Pull = PullPolicy.Every, PullEvery = TimeSpan.FromDays(1) },
            "weekly" => service with { Pull = PullPolicy.Every, PullEvery = TimeSpan.FromDays(7) },
            "build" when sources.Built is not null => service with { Pull = PullPolicy.Never },
            _ => Refuse(node, $"must be missing, always, never, daily, weekly or every_<time>, not '{text}'", service),
        };
    }

    private List<Dependency> ReadDependsOn(Node node)
    {
        if (node is not MapNode map) return [.. (values.List(node) ?? []).Distinct().Select(name => new Dependency(name, DependencyCondition.Started))];
        var dependencies = new List<Dependency>();
        foreach (var (name, value) in map.Entries)
        {
            var entry = AsMap(value);
            OnlyKeys(entry, "condition", "required", "restart");
            var condition = values.OneOf(entry["condition"], ("service_started", DependencyCondition.Started), ("service_healthy", DependencyCondition.Healthy), ("service_completed_successfully", DependencyCondition.CompletedSuccessfully));
            dependencies.Add(new(name, condition ?? DependencyCondition.Started, values.Flag(entry["required"]) ?? true, values.Flag(entry["restart"]) ?? false));
        }

        return dependencies;
    }

    /// <summary>Mistakes that only the whole service shows.</summary>
    private void Check(MapNode map, Service service)
    {
        var spec = service.Container;
        if (spec.NetworkMode is not null && spec.Networks is not null) diagnostics.Error(map["network_mode"]!, "cannot be used together with networks");
        if (Namespaces.Owner(spec.NetworkMode) is { } owner)
            foreach (var key in NetworkKeys)
                if (map[key] is { IsNull: false } node) diagnostics.Error(node, $"belongs to the network of '{owner}', which this service is in; say it there");
        if (spec.NetworkMode == "host" && spec.Ports is not null) diagnostics.Error(map["ports"]!, "cannot be published with network_mode host: the service already listens on the host");
        if (spec.NetworkMode == "none" && spec.Ports is not null) diagnostics.Error(map["ports"]!, "cannot be published with network_mode none");
        if (service.Update.Strategy != UpdateStrategy.HandOver) return;
        foreach (var port in spec.Ports ?? [])
            if (port.Protocol != "tcp") diagnostics.Error(map["ports"]!, $"{port}: only tcp ports can be handed over; use another update strategy");
            else if (port.HostPort == 0) diagnostics.Error(map["ports"]!, $"{port}: a port that is handed over needs a fixed host port");
        if (spec.Name is not null) diagnostics.Warn(map["container_name"]!, "during a hand-over the new container has a temporary name");
        foreach (var link in spec.Networks ?? [])
            if (link.Ipv4 is not null || link.Ipv6 is not null) diagnostics.Error(map["networks"]!, "a fixed address cannot belong to two containers during a hand-over");
    }

    private T Refuse<T>(Node node, string message, T value)
    {
        diagnostics.Error(node, message);
        return value;
    }

    private MapNode AsMap(Node node)
    {
        if (node is MapNode map) return map;
        if (!node.IsNull) diagnostics.Error(node, $"must be a map, but is {node.Kind}");
        return new MapNode(node.File, node.Line, node.Path, []);
    }

    private void OnlyKeys(MapNode map, params string[] known)
    {
        foreach (var (key, node) in map.Entries)
            if (!known.Contains(key) && !key.StartsWith("x-", StringComparison.Ordinal)) diagnostics.Error(node, $"is not known here; known are {string.Join(", ", known)}");
    }
}
