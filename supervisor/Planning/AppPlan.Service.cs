using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>The next steps of one service: image, container, replacement of the old one, crash loops.</summary>
internal sealed partial class AppPlan
{
    /// <summary>How often it is looked whether a device that is waited for was plugged in.</summary>
    private static readonly TimeSpan DeviceLook = TimeSpan.FromSeconds(2);

    private void PlanService(Service service)
    {
        var chosen = Chosen(service);
        foreach (var extra in Matching(service).Where(c => c != chosen)) StopOrRemove(extra, "it is a second container of the same service");
        var old = Of(service).Except(Matching(service)).ToList();
        if (chosen is not { Up: true }) KeepServing(old);
        if (chosen is null)
        {
            if (!service.Running || Held(service.Name)) StopAll(old, service, service.Running ? "a person stopped it" : "the target wants it stopped");
            if (ImageOf(service) is not { } image) PlanImage(service, old);
            else if (service.Running && !Held(service.Name)) PlanCreate(service, image, old);
            return;
        }

        Refresh(service);
        if (!service.Running || Held(service.Name))
        {
            StopAll([chosen, .. old], service, service.Running ? "a person stopped it" : "the target wants it stopped");
            return;
        }

        if (chosen.Up) PlanRunning(service, chosen, old);
        else PlanStopped(service, chosen, old);
        foreach (var container in old)
            if (!container.Up && !KeptForReturn(container) && (chosen.Up || IsFinished(service, chosen)))
                StopOrRemove(container, rolledBack is null ? "its successor runs" : $"its release is bad: {rolledBack.Reason}");
    }

    /// <summary>The image is not here: load or pull it, in the order the strategy wants.</summary>
    private void PlanImage(Service service, List<ContainerState> old)
    {
        var full = ImageReference.Normalize(service.Image);
        var archive = current.Archives.GetValueOrDefault(full);
        var pullFailed = current.Failures.GetValueOrDefault("image " + full) is { Count: > 0 } failure && failure.Subject == "";
        var makesRoom = archive is null && service.Running && service.Pull != PullPolicy.Never && service.Update.Strategy is UpdateStrategy.KillThenDownload or UpdateStrategy.DeleteThenDownload;
        if (makesRoom && old.Exists(c => c.Up) && MissingDevice(service) is { } device)
        {
            steps.Add(new Step.Wait($"the device {device}", now + DeviceLook, $"the new {service.Name} needs it and it is not there"));
            return;
        }

        // Nothing is stopped or deleted for an image that cannot be had.
        if (makesRoom && !pullFailed && old.Count > 0 && !current.Probed.Contains(full))
        {
            Try(new Step.Probe(full, $"{service.Name} is stopped before its new image is downloaded"));
            return;
        }

        if (makesRoom && !pullFailed && old.Exists(c => c.Up))
        {
            Replace(service, old, $"{service.Name} is stopped before its new image is downloaded");
            return;
        }

        if (makesRoom && !pullFailed && service.Update.Strategy == UpdateStrategy.DeleteThenDownload && DeleteOld(service, old)) return;
        // The download failed: what was stopped to make room serves again until it succeeds.
        if (makesRoom && pullFailed && !old.Exists(c => c.Up) && old.Find(c => c.Status == ContainerStatus.Exited) is { } last)
            Try(new Step.Start(last.Id, last.Name, last.Hash, $"the download of {service.Image} failed, so the old container serves on"));
        if (makesRoom && good is not null && old.Count == 0 && Refusals("image " + full, "") is { } refusal) Fail(service, $"cannot be downloaded: {refusal}");
        if (failed) return;
        if (archive is not null && !(current.Failures.GetValueOrDefault("archive " + archive) is { Count: > 0 } broken && broken.Subject == "" && broken.Count % 2 == 1 && !pullFailed))
            Try(new Step.Load(full, archive, "the image is not here, but its archive is"));
        else if (service.Pull == PullPolicy.Never)
            steps.Add(new Step.Wait($"the image {service.Image}", null, "it is not here, and its pull policy is never"));
        else
            Try(new Step.Fetch(full, old.Count > 0 ? "the release needs it" : "the image is not here"));
    }

    /// <summary>delete-then-download: the old container and its image go before the download. True while there is still something to do.</summary>
    private bool DeleteOld(Service service, List<ContainerState> old)
    {
        var cause = $"{service.Name} makes room before its new image is downloaded";
        if (old.Count > 0)
        {
            foreach (var container in old) StopOrRemove(container, cause);
            return true;
        }

        var image = good?.ImageIds?.GetValueOrDefault(service.Name);
        if (image is null || !current.Images.Exists(i => i.Id == image) || current.Containers.Exists(c => c.ImageId == image)) return false;
        if (current.Failures.ContainsKey("image " + image) || release.Services.Values.Any(s => ImageOf(s) == image)) return false;
        if (good!.ImageIds!.Any(other => other.Key != service.Name && other.Value == image)) return false;
        steps.Add(new Step.RemoveImage(image, service.Image, cause));
        return true;
    }

    private void PlanCreate(Service service, string image, List<ContainerState> old)
    {
        var cause = WhyNew(service, image, old);
        var shares = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var owner in Namespaces.Owners(service.Container))
        {
            if (Chosen(release.Services[owner]) is not { } its)
            {
                steps.Add(new Step.Wait(owner, null, $"{service.Name} is made in its name spaces: it has no container"));
                return;
            }

            shares[owner] = its.Id;
        }

        if (old.Exists(c => c.Up) && !imagesReady && service.Update.Strategy is UpdateStrategy.DownloadThenKill or UpdateStrategy.HandOver)
        {
            steps.Add(new Step.Wait($"all images of {release.App}", null, $"{service.Name} is replaced when they are all here"));
            return;
        }

        if (!NetworksReady(service) || !VolumesReady(service)) return;
        var (key, subject) = ($"create {release.App}/{service.Name}", service.Hash() + " " + image);
        // What is said of another release's image says nothing about this one.
        if (current.Failures.GetValueOrDefault(key) is { } broken && broken.Subject == subject && PlanRepair(service, image, broken)) return;
        if (Refusals(key, subject) is { } reason)
        {
            Fail(service, $"cannot be created: {reason}");
            if (failed) return;
        }

        Try(new Step.Create(release, service, image, FreeName(service), cause) { Shares = shares });
    }

    /// <summary>The engine's copy of the image, or of a container made from it, is broken: both go and the image is had again. Only when it can be
    /// had, and never under a container that runs.</summary>
    private bool PlanRepair(Service service, string image, Failure broken)
    {
        var full = ImageReference.Normalize(service.Image);
        var tried = current.Failures.GetValueOrDefault(FailureLog.Repaired(full)) is { } done && done.Subject == image
            && done.Count >= StoreDamage.MostRepairs && now - done.At < StoreDamage.NextRepair;
        if (!StoreDamage.Is(broken.Reason) || tried || current.Containers.Exists(c => c.ImageId == image && c.Up)) return false;
        var cause = $"the engine's copy of it is broken: {broken.Reason}";
        if (current.Archives.ContainsKey(full) || current.Probed.Contains(full)) Try(new Step.Repair(image, full, [.. current.Containers.Where(c => c.ImageId == image).Select(c => c.Id)], cause));
        else Try(new Step.Probe(full, cause));
        return true;
    }

    private string? Refusals(string key, string subject) =>
        current.Failures.TryGetValue(key, out var failure) && failure.Subject == subject && failure.Count >= TrialRefusals ? failure.Reason : null;

    private string NameOf(Service service) => service.Container.Name ?? service.ContainerName ?? $"{release.App}-{service.Name}";

    private string FreeName(Service service)
    {
        var name = NameOf(service);
        var refused = service.Container.Name is null && current.Failures.ContainsKey($"create {release.App}/{service.Name}");
        if (!refused && !current.Containers.Exists(c => c.Name == name)) return name;
        var other = $"{name}-{service.Hash()[..8]}";
        return current.Containers.Exists(c => c.Name == other) ? $"{other}-{current.Containers.Count}" : other;
    }

    private string WhyNew(Service service, string image, List<ContainerState> old)
    {
        if (rolledBack is not null) return $"the newer release is bad ({rolledBack.Reason}) and the last good one returns";
        if (old.Count == 0) return "the service has no container";
        var before = old[0];
        if (before.Hash == service.Hash() && before.ImageId == image) return $"{string.Join(" and ", Namespaces.Owners(service.Container))}, whose name spaces it is in, has another container";
        return before.Hash == service.Hash() ? $"{service.Image} is another image now" : $"changed: {SpecHash.Difference(before.Spec, System.Text.Encoding.UTF8.GetString(SpecHash.Canonical(service)))}";
    }

    private void PlanStopped(Service service, ContainerState chosen, List<ContainerState> old)
    {
        if (chosen.Status is ContainerStatus.Dead or ContainerStatus.Removing)
        {
            if (chosen.Status == ContainerStatus.Dead && PlanRepair(service, chosen.ImageId, new(1, now, chosen.Error, ""))) return;
            StopOrRemove(chosen, "the engine cannot use it any more");
            return;
        }

        if (IsFinished(service, chosen))
        {
            if (chosen.ExitCode != 0) Fail(service, $"ended with code {chosen.ExitCode}");
            if (old.Exists(c => c.Up)) Replace(service, old, "its successor has finished");
            return;
        }

        if (MissingDevice(service) is { } device)
        {
            // Also when it ran before: the device was pulled out, and the program ended for it.
            steps.Add(new Step.Wait($"the device {device}", now + DeviceLook, $"{service.Name} needs it and it is not there"));
            return;
        }

        if (chosen.AllStarts >= TrialExits) Fail(service, $"ended {chosen.AllStarts} times, last with {(chosen.OutOfMemory ? "out of memory" : $"code {chosen.ExitCode}")}");
        if (current.Failures.GetValueOrDefault("container " + chosen.Id) is { } broken && PlanRepair(service, chosen.ImageId, broken)) return;
        if (Refusals("container " + chosen.Id, chosen.Hash) is { } reason) Fail(service, $"cannot be started: {reason}");
        if (failed) return;
        if (MissingDependency(service) is { } waiting)
        {
            steps.Add(new Step.Wait(waiting.For, null, $"{service.Name} depends on it: {waiting.Why}"));
            return;
        }

        var beside = service.Update.Strategy == UpdateStrategy.HandOver;
        if (!beside && old.Exists(c => c.Up))
        {
            // Refused starts are retried with the old one still stopped: it holds the port or the device.
            if (!imagesReady && service.Update.Strategy == UpdateStrategy.DownloadThenKill) steps.Add(new Step.Wait($"all images of {release.App}", null, $"{service.Name} is replaced when they are all here"));
            else Replace(service, old, WhyNew(service, chosen.ImageId, old));
            return;
        }

        if (!service.OwnsPorts && current.Relays.ContainsKey(chosen.Key))
        {
            steps.Add(new Step.Withdraw(chosen.Key, "the engine publishes its ports now"));
            return;
        }

        var due = Backoff.Restart(chosen.Starts) - chosen.EndedFor;
        if (chosen.Starts > 0 && due > TimeSpan.Zero) steps.Add(new Step.Wait($"the next start of {chosen.Name}", now + due, $"it ended with {(chosen.OutOfMemory ? "out of memory" : $"code {chosen.ExitCode}")}") { Settled = true });
        else Start(chosen);
    }

    private void Start(ContainerState chosen)
    {
        var (cause, again) = chosen switch
        {
            _ when rolledBack is not null => ($"the newer release is bad ({rolledBack.Reason})", false),
            { Status: ContainerStatus.Created } => ("it is new", false),
            { OutOfMemory: true } => ("it ended because it ran out of memory", true),
            { StartedThisBoot: false } => ("it was not started since the device booted", false),
            _ => ($"it ended with code {chosen.ExitCode}", true),
        };
        Try(new Step.Start(chosen.Id, chosen.Name, chosen.Hash, cause) { Again = again });
    }

    /// <summary>True when it ended and its restart policy says that is the end.</summary>
    private static bool IsFinished(Service service, ContainerState container) => container.Status == ContainerStatus.Exited && service.Restart switch
    {
        RestartPolicy.No => true,
        RestartPolicy.OnFailure when service.RestartLimit is { } limit && container.Starts > limit => true,
        RestartPolicy.Default or RestartPolicy.OnFailure => container.ExitCode == 0 && container.StartedThisBoot,
        _ => false,
    };

    /// <param name="service">The service.</param>
    /// <param name="container">Its container.</param>
    /// <param name="taking">True while it takes over from a running one: only then there is something to signal.</param>
    private bool IsReady(Service service, ContainerState container, bool taking = false) => container.Up && HooksRan(service, container) && container.Health switch
    {
        Health.Healthy => true,
        Health.None => container.RunningFor >= ReadyAfter,
        _ => false,
    } && (!taking || !service.Update.Signal || container.Signalled || rolledBack is not null);

    /// <summary>A start counts when what has to be run after it was run; only then it is marked.</summary>
    private static bool HooksRan(Service service, ContainerState container) => service.Container.PostStart is null || container.StartedThisBoot;

    /// <summary>A device the service names that is not plugged in (yet).</summary>
    private string? MissingDevice(Service service) => service.Container.Devices?.Find(d => current.MissingDevices.Contains(d.Host))?.Host;

    private (string For, string Why)? MissingDependency(Service service)
    {
        foreach (var owner in Namespaces.Owners(service.Container))
            if (Chosen(release.Services[owner]) is not { Up: true }) return (owner, "it is not running");
        foreach (var dependency in service.DependsOn)
        {
            if (!release.Services.TryGetValue(dependency.Service, out var other)) continue;
            var container = Chosen(other);
            var met = dependency.Condition switch
            {
                DependencyCondition.Started => container is { Up: true } || container is not null && IsFinished(other, container),
                DependencyCondition.Healthy => container is { Up: true, Health: Health.Healthy },
                _ => container is { Status: ContainerStatus.Exited, ExitCode: 0 } && IsFinished(other, container),
            };
            // What is not required only has to be given its chance.
            if (met || !dependency.Required && container is { Status: ContainerStatus.Exited, Starts: > 0 }) continue;
            return (other.Name, dependency.Condition switch { DependencyCondition.Started => "it is not running", DependencyCondition.Healthy => "it is not healthy", _ => "it has not completed" });
        }

        return null;
    }

    private void Refresh(Service service)
    {
        var full = ImageReference.Normalize(service.Image);
        if (rolledBack is not null || service.Pull is not (PullPolicy.Always or PullPolicy.Every)) return;
        var last = current.Pulled.TryGetValue(full, out var at) ? at : (TimeSpan?)null;
        if (last is { } time && (service.Pull == PullPolicy.Always || now - time < (service.PullEvery ?? TimeSpan.FromDays(1)))) return;
        Try(new Step.Fetch(full, $"its pull policy is {(service.Pull == PullPolicy.Always ? "always" : "every " + service.PullEvery)}"));
    }

    private void StopAll(IEnumerable<ContainerState> all, Service service, string cause)
    {
        foreach (var container in all.Where(c => c.Up)) steps.Add(new Step.Stop(container.Id, container.Name, service.StopGrace, cause));
    }

    /// <summary>Stops the containers that give way, unless their app holds an update lock.</summary>
    private void Replace(Service service, List<ContainerState> old, string cause)
    {
        if (lockHolder is not null) steps.Add(Step.Wait.ForLock(lockHolder, cause));
        else foreach (var container in old.Where(c => c.Up)) steps.Add(new Step.Stop(container.Id, container.Name, service.StopGrace, cause) { LockOf = current.ForceLocks ? null : container.Key });
    }
}
