using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Planning;

/// <summary>A container that runs as it should: hand-over from the old one, published ports, health, name.</summary>
internal sealed partial class AppPlan
{
    /// <summary>How long connections to the old container may last after its address was led to the new one.</summary>
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(10);

    /// <summary>Starts closer together than this belong to one start of the whole app.</summary>
    private static readonly TimeSpan JustNow = TimeSpan.FromSeconds(1);

    private void PlanRunning(Service service, ContainerState chosen, List<ContainerState> old)
    {
        if (!HooksRan(service, chosen) && chosen.RunningFor >= HookTime(service))
        {
            // The supervisor was restarted while they ran.
            Replace(service, [chosen], "its post_start hooks did not end");
            return;
        }

        if (chosen.Health == Health.Unhealthy)
        {
            Fail(service, "is unhealthy");
            if (failed) return;
            PlanUnhealthy(service, chosen);
        }

        var predecessors = old.Where(c => c.Up).ToList();
        if (service.Update.Strategy == UpdateStrategy.HandOver && predecessors.Count > 0)
        {
            PlanHandOver(service, chosen, predecessors);
            return;
        }

        if (predecessors.Count == 0 && NewDependency(service, chosen) is { } dependency) Replace(service, [chosen], $"{dependency.Service} was replaced, and it wants to be started again then");
        else if (predecessors.Count == 0 && RestartedOwner(service, chosen) is { } owner) Replace(service, [chosen], $"{owner}, whose name spaces it is in, was started after it");
        if (service.OwnsPorts && !PublishTo(service, chosen)) return;
        if (predecessors.Count > 0) Replace(service, predecessors, rolledBack is null ? "its successor runs" : $"its release is bad: {rolledBack.Reason}");
        else PlanName(service, chosen);
    }

    /// <summary>The new container runs beside the old one. When it is ready, health and signal, the addresses move to it; the old one runs on until the new one
    /// has proved itself, and has the addresses back at once when that fails. A new one that does not become ready in time has lost.</summary>
    private void PlanHandOver(Service service, ContainerState chosen, List<ContainerState> predecessors)
    {
        var late = chosen.RunningFor >= service.Update.Timeout;
        var missing = !IsReady(service, chosen, taking: true) ? Missing(service, chosen) : UnreadyCompanion(service) is { } companion ? $"{companion}, which is in its network, is not ready" : null;
        if (missing is not null && !(rolledBack is not null && late))
        {
            KeepServing(predecessors);
            if (late) Fail(service, $"was not ready to take over within {service.Update.Timeout.TotalSeconds:0.#} s ({missing})");
            else steps.Add(new Step.Wait($"{service.Name} to take over", now + service.Update.Timeout - chosen.RunningFor, missing) { Untold = true });
            return;
        }

        var cause = rolledBack is null ? $"{service.Name} has taken over" : $"the newer release is bad: {rolledBack.Reason}";
        // A lock holds the update, not the way back, and not what has taken over already.
        if (service.OwnsPorts && lockHolder is not null && rolledBack is null && current.Relays.GetValueOrDefault(chosen.Key)?.ContainerId != chosen.Id)
        {
            KeepServing(predecessors);
            steps.Add(Step.Wait.ForLock(lockHolder, $"{service.Name} is ready to take over"));
            return;
        }

        // Ports that the engine publishes for the old one are free only when it has stopped.
        if (service.OwnsPorts && predecessors.Exists(c => !c.OwnsPorts))
        {
            Replace(service, [.. predecessors.Where(c => !c.OwnsPorts)], cause);
            return;
        }

        if (service.OwnsPorts && !PublishTo(service, chosen)) return;
        // What nobody used yet has proved nothing: with ports the time counts from when they lead to it.
        var proved = (service.OwnsPorts ? current.Relays[chosen.Key].Since : now - chosen.RunningFor) + service.Update.ProvingTime;
        var staying = service.Update.Rollback && now < proved ? predecessors.Where(IsLastGood).ToList() : [];
        if (staying.Count > 0) steps.Add(new Step.Wait($"the proving time of {service.Name}", proved, $"{staying[0].Name} runs on until {chosen.Name} has proved itself") { Settled = true });
        if (predecessors.Except(staying).ToList() is { Count: > 0 } leaving) StopDrained(service, chosen, leaving, cause);
    }

    /// <summary>Stops what has handed over, when its connections have ended or have had their time.</summary>
    private void StopDrained(Service service, ContainerState chosen, List<ContainerState> leaving, string cause)
    {
        var relay = current.Relays.GetValueOrDefault(chosen.Key);
        var open = relay is null ? 0 : leaving.Sum(c => relay.Connections.GetValueOrDefault(c.Id));
        var drained = (relay?.Since ?? now) + (service.StopGrace > DrainTime ? service.StopGrace : DrainTime);
        if (open > 0 && now < drained) steps.Add(new Step.Wait($"{open} connections to {leaving[0].Name}", drained, "new connections already go to its successor"));
        else Replace(service, leaving, cause);
    }

    /// <summary>Longer than the hooks of a start may take, one after another.</summary>
    private static TimeSpan HookTime(Service service) => HookSpec.StartLimit * ((service.Container.PostStart?.Count ?? 0) + 1);

    private static string Missing(Service service, ContainerState container) => container.Health switch
    {
        _ when !HooksRan(service, container) => "its post_start hooks have not ended",
        Health.Starting => "its healthcheck has not passed yet",
        Health.Unhealthy => "its healthcheck fails",
        Health.None when container.RunningFor < ReadyAfter => "it has just started",
        _ when service.Update.Signal && !container.Signalled => "it has not signalled that it took over",
        _ => "it is not ready",
    };

    /// <summary>While the new container is not there, or not ready, what runs has the addresses, with the ports it has always had: also after a restart of the
    /// supervisor, and when the new one fails in its proving time.</summary>
    private void KeepServing(List<ContainerState> predecessors)
    {
        var able = predecessors.Where(c => c is { Up: true, OwnsPorts: true } && c.Health != Health.Unhealthy).ToList();
        if (able.Count == 0 || able.Exists(c => current.Relays.GetValueOrDefault(c.Key)?.ContainerId == c.Id)) return;
        var serving = able.Find(IsLastGood) ?? able[0];
        if (SpecHash.Read(serving.Spec) is { Ports: { } ports } spec && AddressOf(spec, serving) is { } address)
            Try(new Step.Publish(serving.Key, serving.Id, serving.Name, address, ports, "its successor is not ready"));
    }

    /// <summary>True when the owned addresses lead to this container; otherwise adds the step that does it.</summary>
    private bool PublishTo(Service service, ContainerState container)
    {
        var address = AddressOf(service.Container, container);
        if (address is null)
        {
            steps.Add(new Step.Wait($"an address of {container.Name}", null, "its ports are published when it has one"));
            return false;
        }

        if (current.Relays.TryGetValue(container.Key, out var relay) && relay.ContainerId == container.Id && relay.Address == address) return true;
        var step = new Step.Publish(container.Key, container.Id, container.Name, address, service.Container.Ports!, relay is null ? "its ports are not open" : "it takes over");
        if (Refusals(step.Key, step.Subject) is { } reason) Fail(service, $"cannot have its ports: {reason}");
        if (!failed) Try(step);
        return false;
    }

    private string? AddressOf(ContainerSpec spec, ContainerState container)
    {
        foreach (var link in (spec.Networks ?? []).OrderByDescending(n => n.Priority ?? 0))
        {
            if (release.Networks.TryGetValue(link.Network, out var network) && network.Internal == true) continue;
            var name = network?.EngineName(release.App, link.Network) ?? link.Network;
            if (container.Addresses.TryGetValue(name, out var address) && address.Length > 0) return address;
        }

        return container.Addresses.Values.FirstOrDefault(a => a.Length > 0);
    }

    /// <summary>A container that stays unhealthy after its release was good is started again, at growing intervals.</summary>
    private void PlanUnhealthy(Service service, ContainerState chosen)
    {
        if (service.Restart == RestartPolicy.No || trial && good is not null) return;
        var wait = TimeSpan.FromSeconds(Math.Min(Backoff.Longest.TotalSeconds, 15 * Math.Pow(2, Math.Clamp(chosen.Starts - 1, 0, 10))));
        if (chosen.RunningFor >= wait) Replace(service, [chosen], "it is unhealthy");
        else steps.Add(new Step.Wait($"the health of {chosen.Name}", now + wait - chosen.RunningFor, "it is unhealthy and is started again if that does not change") { Settled = true });
    }

    /// <summary>A dependency with <c>restart: true</c> whose container is newer than this one's start and ready. One that only was started again
    /// after a fault has more than one start.</summary>
    private Dependency? NewDependency(Service service, ContainerState chosen) => service.Restart == RestartPolicy.No ? null
        : service.DependsOn.Find(d => d.Restart && release.Services.TryGetValue(d.Service, out var other) && Chosen(other) is { Up: true, AllStarts: 1 } its
            && its.RunningFor + JustNow < chosen.RunningFor && IsReady(other, its));

    /// <summary>The service whose name spaces this one is in and that was started after it: name spaces end with the process that owned them, and
    /// what was in them is cut off.</summary>
    private string? RestartedOwner(Service service, ContainerState chosen) => service.Restart == RestartPolicy.No ? null
        : Namespaces.Owners(service.Container).Find(o => release.Services.TryGetValue(o, out var other) && Chosen(other) is { Up: true } its && its.RunningFor + JustNow < chosen.RunningFor);

    /// <summary>A service in the network of this one that is not ready: it may be the one that answers at the ports.</summary>
    private string? UnreadyCompanion(Service service) => release.Services.Values.FirstOrDefault(other => other.Running && !Held(other.Name)
        && Namespaces.Owner(other.Container.NetworkMode) == service.Name && !(Chosen(other) is { } its && (IsReady(other, its) || IsFinished(other, its))))?.Name;

    /// <summary>After a replacement the container gets the plain name; nothing restarts for it.</summary>
    private void PlanName(Service service, ContainerState chosen)
    {
        var name = NameOf(service);
        if (chosen.Name == name || current.Containers.Exists(c => c.Name == name)) return;
        var step = new Step.Rename(chosen.Id, chosen.Name, name, "the name is free");
        // A foreign container may have it, which only its owner can change.
        if (Refusals(step.Key, step.Subject) is null) Try(step);
    }
}
