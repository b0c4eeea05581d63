using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>The next steps of one app. Works on the effective release: the wanted one, or the last good one while the wanted one is bad.</summary>
internal sealed partial class AppPlan
{
    /// <summary>How often a container of a release on trial may end before the release is bad.</summary>
    private const int TrialExits = 3;

    /// <summary>How often the engine may refuse to create or start one.</summary>
    private const int TrialRefusals = 3;

    /// <summary>Without a healthcheck, a container that runs this long counts as ready.</summary>
    private static readonly TimeSpan ReadyAfter = TimeSpan.FromSeconds(5);

    private readonly CurrentState current;
    private readonly Release release;
    private readonly Release? good;
    private readonly BadRelease? rolledBack;
    private readonly TimeSpan now;
    private readonly List<Step> steps;
    private readonly List<ContainerState> containers;
    private readonly bool trial;
    private readonly string? lockHolder;
    private readonly bool imagesReady;

    /// <summary>What each reference of the release means now, looked up once.</summary>
    private readonly Dictionary<string, ImageState?> images = [];
    private readonly Dictionary<string, List<ContainerState>> matching = [];
    private bool failed;

    public AppPlan(CurrentState current, Release wanted, TimeSpan now, List<Step> steps)
    {
        (this.current, this.now, this.steps) = (current, now, steps);
        containers = [.. current.Containers.Where(c => c.App == wanted.App)];
        good = current.Memory.Good.GetValueOrDefault(wanted.App);
        rolledBack = good is null ? null : FindBad(current, wanted);
        release = rolledBack is null ? wanted : good!;
        foreach (var service in release.Services.Values) images.TryAdd(service.Image, current.Image(service.Image));
        trial = rolledBack is null && !IsGood();
        lockHolder = Locks.Hold(current, wanted.App);
        imagesReady = release.Services.Values.All(s => !s.Running || ImageOf(s) is not null || Matching(s).Count > 0);
    }

    public static bool IsBad(CurrentState current, Release release) => FindBad(current, release) is not null;

    /// <summary>A release is bad with the images it failed with; when a tag means another image now, it has another chance.</summary>
    private static BadRelease? FindBad(CurrentState current, Release release) => current.Memory.Bad.Find(b =>
        b.App == release.App && b.Fingerprint == release.Fingerprint()
        && release.Services.Values.All(s => b.ImageIds.GetValueOrDefault(s.Name) is not { } id || current.Image(s.Image) is not { } image || image.Id == id));

    public void Plan()
    {
        PlanNetworks();
        PlanVolumes();
        foreach (var service in InOrder()) PlanService(service);
        PlanLeftovers();
        PlanVerdict();
    }

    private bool IsGood() => good is not null && good.Fingerprint() == release.Fingerprint()
        && release.Services.Values.All(s => good.ImageIds?.GetValueOrDefault(s.Name) is not { } id || images[s.Image] is not { } image || image.Id == id);

    /// <summary>The image a service should run, when it is here. A release that came back takes exactly the images it proved itself with.</summary>
    private string? ImageOf(Service service)
    {
        var pinned = rolledBack is null ? null : release.ImageIds?.GetValueOrDefault(service.Name);
        if (pinned is not null && current.Images.Exists(i => i.Id == pinned)) return pinned;
        return images[service.Image]?.Id;
    }

    private IEnumerable<ContainerState> Of(Service service) => containers.Where(c => c.Service == service.Name);

    /// <summary>The containers that are what the service should be, the one to keep first.</summary>
    private List<ContainerState> Matching(Service service)
    {
        if (matching.TryGetValue(service.Name, out var known)) return known;
        var (hash, image) = (service.Hash(), ImageOf(service));
        return matching[service.Name] = [.. Of(service).Where(c => c.Hash == hash && (image is null || c.ImageId == image) && SharesRightly(service, c))
            .OrderByDescending(c => c.Up).ThenBy(c => c.Health == Health.Unhealthy).ThenByDescending(c => c.RunningFor).ThenBy(c => c.Id, StringComparer.Ordinal)];
    }

    /// <summary>True when it is in the name spaces of the containers that run for their services now. In those of one that was replaced it is cut off.</summary>
    private bool SharesRightly(Service service, ContainerState container) => Namespaces.Owners(service.Container).TrueForAll(owner =>
        !release.Services.TryGetValue(owner, out var other) || Chosen(other) is not { } its || container.SharesWith.Contains(its.Id));

    private ContainerState? Chosen(Service service) => Matching(service).FirstOrDefault();

    private bool Held(string service) => current.Memory.Stopped.Contains($"{release.App}/{service}");

    /// <summary>Services so that each comes after what it depends on.</summary>
    private List<Service> InOrder()
    {
        var order = new List<Service>();
        var seen = new HashSet<string>();
        void Visit(Service service)
        {
            if (!seen.Add(service.Name)) return;
            foreach (var dependency in service.DependsOn)
                if (release.Services.TryGetValue(dependency.Service, out var other)) Visit(other);
            order.Add(service);
        }

        foreach (var service in release.Services.Values) Visit(service);
        return order;
    }

    private void PlanNetworks()
    {
        foreach (var (name, spec) in release.Networks)
        {
            if (spec.External) continue;
            var engineName = spec.EngineName(release.App, name);
            var existing = current.Networks.Find(n => n.Name == engineName);
            if (existing is null)
            {
                Try(new Step.CreateNetwork(release.App, name, spec, "the release needs it"));
            }
            else if (existing.Hash != SpecHash.Of(spec) && imagesReady)
            {
                var users = containers.Where(c => c.Addresses.ContainsKey(engineName)).ToList();
                var cause = $"the configuration of network {engineName} changed";
                if (lockHolder is not null && users.Exists(c => c.Up)) steps.Add(Step.Wait.ForLock(lockHolder, cause));
                else if (users.Count == 0) Try(new Step.RemoveNetwork(existing.Id, engineName, cause));
                // A stopped container still holds the old network's id, so it is made anew.
                else foreach (var user in users) StopOrRemove(user, cause);
            }
        }

        var wanted = release.Networks.Where(n => !n.Value.External).Select(n => n.Value.EngineName(release.App, n.Key)).ToHashSet();
        foreach (var network in current.Networks.Where(n => n.App == release.App && !wanted.Contains(n.Name)))
            if (!trial && !containers.Exists(c => c.Addresses.ContainsKey(network.Name))) Try(new Step.RemoveNetwork(network.Id, network.Name, "no service uses it any more"));
    }

    private bool NetworksReady(Service service) => (service.Container.Networks ?? []).TrueForAll(link =>
        !release.Networks.TryGetValue(link.Network, out var spec) || spec.External
        || current.Networks.Exists(n => n.Name == spec.EngineName(release.App, link.Network) && n.Hash == SpecHash.Of(spec)));

    private void PlanVolumes()
    {
        foreach (var (name, spec) in release.Volumes)
        {
            if (spec.External) continue;
            var engineName = spec.EngineName(release.App, name);
            var existing = current.Volumes.Find(v => v.Name == engineName);
            if (existing is null) Try(new Step.CreateVolume(release.App, name, spec, "the release needs it"));
            else if (existing.Hash.Length > 0 && existing.Hash != SpecHash.Of(spec)) steps.Add(new Step.Wait($"a decision about volume {engineName}", null, "its options changed, but its data is kept; remove it by hand to make it anew") { Settled = true });
        }
    }

    private bool VolumesReady(Service service) => (service.Container.Mounts ?? []).TrueForAll(mount =>
        mount.Kind != MountKind.Volume || mount.Source is null || !release.Volumes.TryGetValue(mount.Source, out var spec) || spec.External
        || current.Volumes.Exists(v => v.Name == spec.EngineName(release.App, mount.Source)));

    /// <summary>Containers of services that the release no longer has.</summary>
    private void PlanLeftovers()
    {
        if (!imagesReady) return;
        var leftovers = containers.Where(c => !release.Services.ContainsKey(c.Service)).ToList();
        foreach (var container in leftovers)
        {
            const string cause = "the release no longer has this service";
            if (container.Up)
            {
                if (leftovers.Exists(o => o.Up && o.Service != container.Service && o.DependsOn.Contains(container.Service) && !container.DependsOn.Contains(o.Service))) continue;
                if (lockHolder is not null) steps.Add(Step.Wait.ForLock(lockHolder, cause));
                else steps.Add(new Step.Stop(container.Id, container.Name, null, cause) { LockOf = current.ForceLocks ? null : container.Key });
            }
            else if (!KeptForReturn(container))
            {
                StopOrRemove(container, cause);
            }
        }
    }

    /// <summary>A stopped container of the last good release stays until the next one has proved itself: going back is then a start.</summary>
    private bool KeptForReturn(ContainerState container) => container.Status is ContainerStatus.Exited or ContainerStatus.Created && IsLastGood(container);

    /// <summary>True while another release is on trial and this container is what it would go back to.</summary>
    private bool IsLastGood(ContainerState container) => trial && good?.Services.GetValueOrDefault(container.Service) is { } service
        && container.Hash == service.Hash() && good.ImageIds?.GetValueOrDefault(container.Service) == container.ImageId;

    /// <summary>Good when every service has proved itself.</summary>
    private void PlanVerdict()
    {
        if (!trial || failed) return;
        var proven = new SortedDictionary<string, string>(StringComparer.Ordinal);
        TimeSpan? remaining = null;
        foreach (var service in release.Services.Values)
        {
            var chosen = Chosen(service);
            if (chosen is not null) proven[service.Name] = chosen.ImageId;
            if (!service.Running || Held(service.Name)) continue;
            if (chosen is null || Of(service).Any(c => c.Up && c != chosen)) return;
            if (!chosen.Up && IsFinished(service, chosen) && chosen.ExitCode == 0) continue;
            if (!chosen.Up) return;
            if (!IsReady(service, chosen))
            {
                steps.Add(new Step.Wait($"{service.Name} to be ready", chosen.Health == Health.None && chosen.RunningFor < ReadyAfter ? now + ReadyAfter - chosen.RunningFor : null, Missing(service, chosen)) { Settled = true });
                return;
            }

            // The first release of all has nothing to go back to, so being ready is enough.
            var left = (good is null ? ReadyAfter : service.Update.ProvingTime) - chosen.RunningFor;
            if (left > TimeSpan.Zero && (remaining is null || left > remaining)) remaining = left;
        }

        if (containers.Exists(c => c.Up && !release.Services.ContainsKey(c.Service))) return;
        if (remaining is { } time) steps.Add(new Step.Wait($"the proving time of {release.App}", now + time, "every service is ready, but the release is still on trial") { Settled = true });
        else if (!steps.Exists(s => s is Step.Create or Step.CreateNetwork or Step.CreateVolume)) steps.Add(new Step.MarkGood(release with { ImageIds = proven }, "every service has proved itself"));
    }

    /// <summary>A service of the release on trial failed for good.</summary>
    private void Fail(Service service, string reason)
    {
        if (failed || !trial) return;
        if (!service.Update.Rollback || good is null)
        {
            steps.Add(new Step.Wait($"a better release of {service.Name}", null, good is null ? $"{reason}; there is no earlier release to go back to" : $"{reason}; its update policy does not go back") { Settled = true });
            return;
        }

        failed = true;
        var failing = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var other in release.Services.Values) if (images[other.Image] is { } image) failing[other.Name] = image.Id;
        var text = $"{service.Name} {reason}";
        steps.Add(new Step.MarkBad(new(release.App, release.Fingerprint(), failing, text, release.Commit), text));
    }

    /// <summary>Adds a step unless it failed lately.</summary>
    private bool Try(Step step)
    {
        if (step is Step.Fetch or Step.Load && current.Disk.Full)
        {
            steps.Add(new Step.Wait($"room to {step.What}", null, $"only {current.Disk} are left on the data partition"));
            return false;
        }

        if (current.Failures.TryGetValue(step.Key, out var failure) && failure.Subject == step.Subject)
        {
            var due = failure.At + Backoff.Step(failure.Count);
            if (now < due)
            {
                steps.Add(new Step.Wait($"the next try to {step.What}", due, $"it failed {failure.Count}×: {failure.Reason}"));
                return false;
            }
        }

        steps.Add(step);
        return true;
    }

    private void StopOrRemove(ContainerState container, string cause)
    {
        if (container.Up) steps.Add(new Step.Stop(container.Id, container.Name, release.Services.GetValueOrDefault(container.Service)?.StopGrace, cause));
        else if (container.Status != ContainerStatus.Removing) Try(new Step.Remove(container.Id, container.Name, cause));
    }
}
