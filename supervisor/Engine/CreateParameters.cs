using System.Text;
using Docker.DotNet.Models;
using OsBuild.Supervisor.State;
using ContainerSpec = OsBuild.Supervisor.State.ContainerSpec;
using NetworkSpec = OsBuild.Supervisor.State.NetworkSpec;

namespace OsBuild.Supervisor.Engine;

/// <summary>From our specifications to the engine's create calls. Pure.</summary>
internal static class CreateParameters
{
    /// <summary>Where a service finds its update lock and hand-over file, as with balena.</summary>
    public const string SharedTarget = "/tmp/balena";

    /// <param name="release">The release the service belongs to.</param>
    /// <param name="service">The service.</param>
    /// <param name="imageId">The exact image.</param>
    /// <param name="name">The container's name.</param>
    /// <param name="sharedDirectory">The host directory for lock and hand-over file.</param>
    /// <param name="fileOf">Where the content of a config or secret lies on the host.</param>
    /// <param name="inherited">Anonymous volumes of the container that is replaced, by target.</param>
    /// <param name="shares">The container of each service whose name spaces it is in.</param>
    public static CreateContainerParameters Container(Release release, Service service, string imageId, string name, string sharedDirectory, Func<FileMount, string> fileOf, IReadOnlyDictionary<string, string> inherited, IReadOnlyDictionary<string, string> shares)
    {
        var spec = service.Container;
        var links = Links(release, spec);
        var parameters = new CreateContainerParameters
        {
            Name = name,
            Image = imageId,
            Platform = spec.Platform!,
            Cmd = spec.Command!,
            Entrypoint = spec.Entrypoint!,
            Env = spec.Environment?.Select(e => $"{e.Key}={e.Value}").ToList()!,
            Labels = Labels(release, service, links, shares),
            Hostname = spec.Hostname!,
            Domainname = spec.DomainName!,
            User = spec.User!,
            WorkingDir = spec.WorkingDir!,
            Tty = spec.Tty ?? false,
            OpenStdin = spec.StdinOpen ?? false,
            StopSignal = spec.StopSignal!,
            StopTimeout = service.StopGrace,
            ExposedPorts = (spec.Expose ?? []).Select(e => e.Contains('/') ? e : e + "/tcp").Concat((spec.Ports ?? []).Select(p => $"{p.ContainerPort}/{p.Protocol}")).Distinct().ToDictionary(p => p, _ => default(EmptyStruct)),
            Healthcheck = Healthcheck(spec.Healthcheck)!,
            HostConfig = Host(release, service, shares),
        };
        parameters.HostConfig.Binds = Binds(release, spec, sharedDirectory, fileOf);
        parameters.HostConfig.Mounts = [.. Mounts(release, spec), .. inherited.Where(v => spec.Mounts?.Exists(m => m.Target == v.Key) != true).Select(v => new Mount { Type = "volume", Source = v.Value, Target = v.Key })];
        // Engines before API 1.44 take one network here; the others are connected before the first start.
        if (links.Count > 0) parameters.NetworkingConfig = new() { EndpointsConfig = new Dictionary<string, EndpointSettings> { [links[0].EngineName] = Endpoint(service.Name, links[0].Link) } };
        return parameters;
    }

    public static EndpointSettings Endpoint(string service, NetworkLink link) => new()
    {
        Aliases = [service, .. link.Aliases ?? []],
        IPAMConfig = link is { Ipv4: null, Ipv6: null, LinkLocal: null } ? null! : new() { IPv4Address = link.Ipv4!, IPv6Address = link.Ipv6!, LinkLocalIPs = link.LinkLocal! },
        MacAddress = link.MacAddress!,
        DriverOpts = link.DriverOptions!,
    };

    /// <summary>The networks of a service, the most important first.</summary>
    public static List<(string EngineName, NetworkLink Link)> Links(Release release, ContainerSpec spec) => [.. (spec.Networks ?? []).OrderByDescending(l => l.Priority ?? 0)
        .Select(l => (release.Networks.TryGetValue(l.Network, out var network) ? network.EngineName(release.App, l.Network) : $"{release.App}_{l.Network}", l))];

    public static NetworksCreateParameters Network(string app, string name, NetworkSpec spec) => new()
    {
        Name = spec.EngineName(app, name),
        Driver = spec.Driver!,
        Internal = spec.Internal ?? false,
        EnableIPv6 = spec.EnableIpv6,
        Options = spec.Options!,
        Labels = With(spec.Labels, app, SpecHash.Of(spec)),
        IPAM = spec is { IpamDriver: null, Subnets: null, IpamOptions: null } ? null! : new()
        {
            Driver = spec.IpamDriver ?? "default",
            Options = spec.IpamOptions!,
            Config = spec.Subnets?.Select(s => new IPAMConfig { Subnet = s.Cidr!, Gateway = s.Gateway!, IPRange = s.Range!, AuxAddress = s.Reserved! }).ToList()!,
        },
    };

    public static VolumesCreateParameters Volume(string app, string name, VolumeSpec spec) => new()
    {
        Name = spec.EngineName(app, name),
        Driver = spec.Driver!,
        DriverOpts = spec.Options!,
        Labels = With(spec.Labels, app, SpecHash.Of(spec)),
    };

    private static Dictionary<string, string> With(SortedDictionary<string, string>? labels, string app, string hash) => new(labels ?? []) { [EngineLabels.App] = app, [EngineLabels.Hash] = hash };

    private static Dictionary<string, string> Labels(Release release, Service service, List<(string EngineName, NetworkLink)> links, IReadOnlyDictionary<string, string> shares) => new(service.Container.Labels ?? [])
    {
        [EngineLabels.App] = release.App,
        [EngineLabels.Service] = service.Name,
        [EngineLabels.Hash] = service.Hash(),
        [EngineLabels.Spec] = Encoding.UTF8.GetString(SpecHash.Canonical(service)),
        [EngineLabels.DependsOn] = string.Join(',', service.DependsOn.Select(d => d.Service)),
        [EngineLabels.Networks] = string.Join(',', links.Select(l => l.EngineName)),
        [EngineLabels.Shares] = string.Join(',', shares.Values),
        [EngineLabels.Commit] = release.Commit,
    };

    private static HealthcheckConfig? Healthcheck(HealthcheckSpec? spec) => spec is null ? null : new()
    {
        Test = spec.Test!,
        Interval = spec.Interval,
        Timeout = spec.Timeout,
        StartPeriod = spec.StartPeriod,
        StartInterval = spec.StartInterval,
        Retries = spec.Retries,
    };

    private static List<string> Binds(Release release, ContainerSpec spec, string sharedDirectory, Func<FileMount, string> fileOf)
    {
        var binds = new List<string> { $"{sharedDirectory}:{SharedTarget}" };
        foreach (var file in spec.Files ?? []) binds.Add($"{fileOf(file)}:{file.Target}:ro");
        foreach (var mount in spec.Mounts ?? [])
        {
            if (!AsBind(mount)) continue;
            var options = new List<string>();
            if (mount.ReadOnly == true) options.Add("ro");
            if (mount.NoCopy == true) options.Add("nocopy");
            if (mount.Propagation is { } propagation) options.Add(propagation);
            binds.Add($"{SourceOf(release, mount)}:{mount.Target}{(options.Count == 0 ? "" : ":" + string.Join(',', options))}");
        }

        return binds;
    }

    /// <summary>The bind form creates a missing host directory at every start, which the mount form refuses to do.</summary>
    private static bool AsBind(MountSpec mount) => mount.Kind == MountKind.Bind && mount.NoCreate != true || mount is { Kind: MountKind.Volume, Source: not null, Subpath: null };

    private static string SourceOf(Release release, MountSpec mount) => mount.Kind == MountKind.Volume && mount.Source is { } name
        ? release.Volumes.TryGetValue(name, out var volume) ? volume.EngineName(release.App, name) : name
        : mount.Source ?? "";

    private static IEnumerable<Mount> Mounts(Release release, ContainerSpec spec)
    {
        foreach (var mount in spec.Mounts ?? [])
        {
            if (AsBind(mount) || mount is { Kind: MountKind.Tmpfs, TmpfsOptions: not null }) continue;
            yield return new Mount
            {
                Type = mount.Kind switch { MountKind.Bind => "bind", MountKind.Tmpfs => "tmpfs", _ => "volume" },
                Source = mount.Source is null ? null! : SourceOf(release, mount),
                Target = mount.Target,
                ReadOnly = mount.ReadOnly ?? false,
                BindOptions = mount is { Kind: MountKind.Bind, Propagation: not null } ? new() { Propagation = mount.Propagation } : null!,
                VolumeOptions = mount is { Kind: MountKind.Volume } && (mount.NoCopy is not null || mount.Subpath is not null) ? new() { NoCopy = mount.NoCopy ?? false, Subpath = mount.Subpath! } : null!,
                TmpfsOptions = mount.Kind == MountKind.Tmpfs && (mount.TmpfsSize ?? mount.TmpfsMode) is not null ? new() { SizeBytes = mount.TmpfsSize, Mode = (uint?)mount.TmpfsMode } : null!,
            };
        }
    }

    /// <summary>Bounded whatever the engine's own default is: a service that talks too much must not fill the disk.</summary>
    private static LogConfig Log(ContainerSpec spec)
    {
        var options = new Dictionary<string, string>(spec.LogOptions ?? []);
        if (spec.LogDriver is not (null or "local" or "json-file")) return new() { Type = spec.LogDriver, Config = options };
        options.TryAdd("max-size", "2m");
        options.TryAdd("max-file", "3");
        return new() { Type = spec.LogDriver ?? "local", Config = options };
    }

    private static HostConfig Host(Release release, Service service, IReadOnlyDictionary<string, string> shares)
    {
        var spec = service.Container;
        var links = Links(release, spec);
        return new HostConfig
        {
            // The supervisor restarts containers itself: it knows order, proving time and back-off.
            RestartPolicy = new() { Name = RestartPolicyKind.No },
            NetworkMode = Namespaces.ForEngine(spec.NetworkMode, shares) ?? (links.Count > 0 ? links[0].EngineName : "none"),
            PortBindings = service.OwnsPorts ? null! : (spec.Ports ?? []).GroupBy(p => $"{p.ContainerPort}/{p.Protocol}").ToDictionary(g => g.Key, g => (IList<PortBinding>)[.. g.Select(p => new PortBinding { HostIP = p.HostAddress ?? "", HostPort = p.HostPort == 0 ? "" : $"{p.HostPort}" })]),
            ExtraHosts = spec.ExtraHosts!,
            DNS = spec.Dns!,
            DNSOptions = spec.DnsOptions!,
            DNSSearch = spec.DnsSearch!,
            Devices = spec.Devices?.Select(d => new DeviceMapping { PathOnHost = d.Host, PathInContainer = d.Container, CgroupPermissions = d.Permissions }).ToList()!,
            DeviceCgroupRules = spec.DeviceCgroupRules!,
            DeviceRequests = spec.Gpus?.Select(g => new DeviceRequest { Driver = g.Driver ?? "", Count = g.Count, DeviceIDs = g.Ids!, Capabilities = [g.Capabilities] }).ToList()!,
            CapAdd = spec.CapAdd!,
            CapDrop = spec.CapDrop!,
            Privileged = spec.Privileged ?? false,
            SecurityOpt = spec.SecurityOpt!,
            GroupAdd = spec.GroupAdd!,
            Init = spec.Init,
            IpcMode = Namespaces.ForEngine(spec.Ipc, shares)!,
            PidMode = Namespaces.ForEngine(spec.Pid, shares)!,
            UTSMode = spec.Uts!,
            CgroupnsMode = spec.CgroupNamespace!,
            UsernsMode = spec.UsernsMode!,
            CgroupParent = spec.CgroupParent!,
            ReadonlyRootfs = spec.ReadOnly ?? false,
            Sysctls = spec.Sysctls!,
            ShmSize = spec.ShmSize ?? 0,
            Ulimits = spec.Ulimits?.Select(u => new Ulimit { Name = u.Key, Soft = u.Value.Soft, Hard = u.Value.Hard }).ToList()!,
            Memory = spec.Memory ?? 0,
            MemoryReservation = spec.MemoryReservation ?? 0,
            MemorySwap = spec.MemorySwap ?? 0,
            MemorySwappiness = spec.MemorySwappiness,
            NanoCPUs = spec.NanoCpus ?? 0,
            CPUShares = spec.CpuShares ?? 0,
            CPUPeriod = spec.CpuPeriod ?? 0,
            CPUQuota = spec.CpuQuota ?? 0,
            CPURealtimePeriod = spec.CpuRealtimePeriod ?? 0,
            CPURealtimeRuntime = spec.CpuRealtimeRuntime ?? 0,
            CpusetCpus = spec.Cpuset!,
            PidsLimit = spec.PidsLimit,
            OomKillDisable = spec.OomKillDisable,
            OomScoreAdj = spec.OomScoreAdj ?? 0,
            StorageOpt = spec.StorageOpt!,
            Runtime = spec.Runtime!,
            Annotations = spec.Annotations!,
            LogConfig = Log(spec),
            Tmpfs = (spec.Mounts ?? []).Where(m => m is { Kind: MountKind.Tmpfs, TmpfsOptions: not null }).ToDictionary(m => m.Target, m => m.TmpfsOptions!),
            BlkioWeight = (ushort)(spec.Blkio?.Weight ?? 0),
            BlkioWeightDevice = spec.Blkio?.WeightDevice?.Select(r => new WeightDevice { Path = r.Path, Weight = (ushort)r.Rate }).ToList()!,
            BlkioDeviceReadBps = Throttle(spec.Blkio?.ReadBps)!,
            BlkioDeviceWriteBps = Throttle(spec.Blkio?.WriteBps)!,
            BlkioDeviceReadIOps = Throttle(spec.Blkio?.ReadIops)!,
            BlkioDeviceWriteIOps = Throttle(spec.Blkio?.WriteIops)!,
        };
    }

    private static List<ThrottleDevice>? Throttle(List<BlkioRate>? rates) => rates?.Select(r => new ThrottleDevice { Path = r.Path, Rate = (ulong)r.Rate }).ToList();
}
