using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Compose;

/// <summary>What only the whole file shows: names that lead nowhere, cycles, a port twice; and the default network.</summary>
internal static class CrossCheck
{
    public static Release Apply(Release release, MapNode root, Diagnostics diagnostics)
    {
        release = WithOwners(release, root, diagnostics);
        foreach (var service in release.Services.Values)
        {
            var at = At(root, service.Name);
            CheckDependencies(release, service, at, diagnostics);
            foreach (var link in service.Container.Networks ?? [])
                if (link.Network != "default" && !release.Networks.ContainsKey(link.Network)) diagnostics.Error(At(root, service.Name, "networks"), $"the network '{link.Network}' is not defined under the file's networks");
            foreach (var mount in service.Container.Mounts ?? [])
                if (mount is { Kind: MountKind.Volume, Source: { } source } && !release.Volumes.ContainsKey(source)) diagnostics.Error(At(root, service.Name, "volumes"), $"the volume '{source}' is not defined under the file's volumes");
        }

        CheckPorts(release, root, diagnostics);
        CheckNames(release, root, diagnostics);
        if (Cycle(release) is { } cycle) diagnostics.Error(At(root, cycle[0], "depends_on"), $"the services wait for each other: {string.Join(" → ", cycle)}");
        return WithDefaultNetwork(release);
    }

    private static void CheckDependencies(Release release, Service service, Node at, Diagnostics diagnostics)
    {
        var node = (at as MapNode)?["depends_on"] ?? at;
        foreach (var dependency in service.DependsOn)
        {
            if (!release.Services.TryGetValue(dependency.Service, out var other))
            {
                if (dependency.Required) diagnostics.Error(node, $"the service '{dependency.Service}' does not exist or its profile is not active");
            }
            else if (dependency.Condition == DependencyCondition.Healthy && other.Container.Healthcheck?.Test is ["NONE"])
            {
                diagnostics.Error(node, $"the service '{dependency.Service}' can never be healthy: its healthcheck is disabled");
            }
            else if (dependency.Condition == DependencyCondition.CompletedSuccessfully && other.Restart is RestartPolicy.Always or RestartPolicy.UnlessStopped)
            {
                diagnostics.Error(node, $"the service '{dependency.Service}' never completes: its restart policy starts it again");
            }
        }
    }

    /// <summary>A service in the name spaces of another depends on it, as with docker compose, and goes along when that one is handed over: what
    /// stayed in the old network would be cut off when the old one ends.</summary>
    private static Release WithOwners(Release release, MapNode root, Diagnostics diagnostics)
    {
        var services = new SortedDictionary<string, Service>(release.Services, StringComparer.Ordinal);
        // As often as there are services: one may be in the network of one that is in another's.
        for (var i = 0; i < services.Count; i++)
            foreach (var service in services.Values.ToList())
                if (Namespaces.Owner(service.Container.NetworkMode) is { } owner && service.Update.Strategy != UpdateStrategy.HandOver && services.GetValueOrDefault(owner)?.Update.Strategy == UpdateStrategy.HandOver)
                    services[service.Name] = service with { Update = service.Update with { Strategy = UpdateStrategy.HandOver } };
        foreach (var service in services.Values.ToList())
            foreach (var (key, mode) in (ReadOnlySpan<(string, string?)>)[("network_mode", service.Container.NetworkMode), ("pid", service.Container.Pid), ("ipc", service.Container.Ipc)])
            {
                if (Namespaces.Owner(mode) is not { } owner) continue;
                if (Problem(release, service, key, owner) is { } problem) diagnostics.Error(At(root, service.Name, key), problem);
                else if (!services[service.Name].DependsOn.Exists(d => d.Service == owner)) services[service.Name] = services[service.Name] with { DependsOn = [.. services[service.Name].DependsOn, new(owner, DependencyCondition.Started)] };
            }

        return release with { Services = services };
    }

    private static string? Problem(Release release, Service service, string key, string owner)
    {
        if (!release.Services.TryGetValue(owner, out var other)) return $"the service '{owner}' does not exist or its profile is not active";
        if (owner == service.Name) return "a service cannot be in its own name spaces";
        if (key == "ipc" && other.Container.Ipc is not ("shareable" or "host")) return $"'{owner}' does not share its memory; give it 'ipc: shareable'";
        return service.DependsOn.Exists(d => d.Service == owner && d.Condition == DependencyCondition.CompletedSuccessfully) ? $"'{owner}' cannot have completed and be running at the same time; depend on it otherwise" : null;
    }

    private static void CheckPorts(Release release, MapNode root, Diagnostics diagnostics)
    {
        var taken = new Dictionary<(int, string), List<(string? Address, string Service)>>();
        foreach (var service in release.Services.Values)
            foreach (var port in service.Container.Ports ?? [])
            {
                if (port.HostPort == 0) continue;
                var others = taken.TryGetValue((port.HostPort, port.Protocol), out var list) ? list : taken[(port.HostPort, port.Protocol)] = [];
                var clash = others.Find(o => o.Address is null || port.HostAddress is null || o.Address == port.HostAddress);
                if (clash.Service is not null) diagnostics.Error(At(root, service.Name, "ports"), $"the host port {port.HostPort}/{port.Protocol} is already published by {(clash.Service == service.Name ? "the same service" : $"'{clash.Service}'")}");
                others.Add((port.HostAddress, service.Name));
            }
    }

    private static void CheckNames(Release release, MapNode root, Diagnostics diagnostics)
    {
        foreach (var twice in release.Services.Values.Where(s => s.Container.Name is not null).GroupBy(s => s.Container.Name).Where(g => g.Count() > 1))
            diagnostics.Error(At(root, twice.Last().Name, "container_name"), $"the name '{twice.Key}' is used by {string.Join(" and ", twice.Select(s => s.Name))}");
    }

    private static List<string>? Cycle(Release release)
    {
        var done = new HashSet<string>();
        var path = new List<string>();
        List<string>? Visit(string name)
        {
            var seen = path.IndexOf(name);
            if (seen >= 0) return [.. path[seen..], name];
            if (!release.Services.TryGetValue(name, out var service) || !done.Add(name)) return null;
            path.Add(name);
            foreach (var dependency in service.DependsOn) if (Visit(dependency.Service) is { } cycle) return cycle;
            path.RemoveAt(path.Count - 1);
            return null;
        }

        return release.Services.Keys.Select(Visit).FirstOrDefault(c => c is not null);
    }

    /// <summary>A service that says nothing about networks is on the app's default network.</summary>
    private static Release WithDefaultNetwork(Release release)
    {
        var services = new SortedDictionary<string, Service>(StringComparer.Ordinal);
        foreach (var (name, service) in release.Services)
            services[name] = service.Container is { Networks: null, NetworkMode: null } ? service with { Container = service.Container with { Networks = [new("default")] } } : service;
        var networks = new SortedDictionary<string, NetworkSpec>(release.Networks, StringComparer.Ordinal);
        if (services.Values.Any(s => s.Container.Networks?.Exists(n => n.Network == "default") == true)) networks.TryAdd("default", new());
        // A network nobody is attached to is not made, as with docker compose.
        foreach (var unused in networks.Keys.Where(n => !services.Values.Any(s => s.Container.Networks?.Exists(l => l.Network == n) == true)).ToList()) networks.Remove(unused);
        return release with { Services = services, Networks = networks };
    }

    private static Node At(MapNode root, string service, string? key = null)
    {
        var map = (root["services"] as MapNode)?[service];
        return (key is null ? null : (map as MapNode)?[key]) ?? map ?? root;
    }
}
