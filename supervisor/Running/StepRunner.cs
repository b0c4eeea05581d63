using System.Diagnostics;
using Docker.DotNet.Models;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Logs;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;
using Tmds.Linux;

namespace OsBuild.Supervisor.Running;

/// <summary>Performs a step. The one place where the planner's decisions become acts.</summary>
internal sealed class StepRunner(EngineClient engine, Journal journal, Relays relays, Tracker tracker, Places places, Func<TimeSpan> clock)
{
    private readonly Hooks hooks = new(engine);
    private readonly Dictionary<string, (PullProgress Progress, string Said)> pulls = [];

    /// <summary>How far each pull is in percent of the whole image, by reference.</summary>
    public Dictionary<string, int> Percents()
    {
        lock (pulls) return pulls.ToDictionary(p => p.Key, p => p.Value.Progress.Percent);
    }

    /// <summary>The same for a person, with what the engine is at.</summary>
    public SortedDictionary<string, string> Downloads()
    {
        lock (pulls) return new(pulls.ToDictionary(p => p.Key, p => $"{p.Value.Progress.Percent} %{p.Value.Said}"), StringComparer.Ordinal);
    }

    /// <summary>The registry login for a reference, when a master has one.</summary>
    public Func<string, AuthConfig?> Login { get; set; } = _ => null;

    public async Task RunAsync(Step step, CancellationToken stop)
    {
        // What cannot be undone is on disk, with its cause, before it happens.
        if (step is Step.Remove or Step.RemoveImage or Step.RemoveNetwork or Step.Repair) journal.Append(new JournalEntry.Intent(step.What, step.Cause));
        switch (step)
        {
            case Step.Fetch s: await FetchAsync(s.Reference, stop); break;
            // With a login of our own the registry cannot be asked through the engine; the pull itself will tell.
            case Step.Probe s when Login(s.Reference) is not null: break;
            case Step.Probe s: await engine.ProbeAsync(s.Reference, stop); break;
            case Step.Load s: await LoadAsync(s.Archive, stop); break;
            case Step.RemoveImage s:
                await engine.RemoveImageAsync(s.Id, stop);
                journal.Append(new JournalEntry.ImageGone(s.Id), durable: false);
                break;
            case Step.Repair s:
                foreach (var container in s.Containers) await engine.RemoveAsync(container, stop);
                await engine.RemoveImageAsync(s.ImageId, stop);
                break;
            case Step.CreateNetwork s: await engine.CreateNetworkAsync(CreateParameters.Network(s.App, s.Network, s.Spec), stop); break;
            case Step.RemoveNetwork s: await engine.RemoveNetworkAsync(s.Id, stop); break;
            case Step.CreateVolume s: await engine.CreateVolumeAsync(CreateParameters.Volume(s.App, s.Volume, s.Spec), stop); break;
            case Step.Create s: await CreateAsync(s, stop); break;
            case Step.Start s: await StartAsync(s, stop); break;
            case Step.Stop s: await StopAsync(s, stop); break;
            case Step.Remove s: await RemoveAsync(s.ContainerId, stop); break;
            case Step.Rename s: await engine.RenameAsync(s.ContainerId, s.NewName, stop); break;
            case Step.Publish s: relays.Publish(s.ServiceKey, s.ContainerId, s.Address, s.Ports, clock()); break;
            case Step.Withdraw s: relays.Withdraw(s.ServiceKey); break;
            case Step.MarkGood s: journal.Append(new JournalEntry.ReleaseGood(s.Release)); break;
            case Step.MarkBad s: journal.Append(new JournalEntry.ReleaseBad(s.Bad)); break;
            case Step.Wait: break;
            default: throw new UnreachableException(step.GetType().Name);
        }
    }

    private async Task StopAsync(Step.Stop step, CancellationToken stop)
    {
        // The app sees its own lock taken and does not begin what must not be interrupted.
        if (step.LockOf is { } key && !places.TakeLock(key)) throw new EngineRefusedException(null, $"{key} has taken its update lock");
        try
        {
            tracker.Stopped(step.ContainerId);
            await hooks.BeforeStopAsync(step.ContainerId, step.Grace, stop);
            await engine.StopAsync(step.ContainerId, step.Grace, stop);
        }
        finally
        {
            if (step.LockOf is { } taken) places.ReleaseLock(taken);
        }
    }

    private async Task RemoveAsync(string id, CancellationToken stop)
    {
        if (await engine.InspectAsync(id, stop) is { Config.Labels: { } labels } && labels.TryGetValue(EngineLabels.App, out var app) && labels.TryGetValue(EngineLabels.Service, out var service))
            await places.KeptLogs.KeepAsync(engine, id, app, service, stop);
        await engine.RemoveAsync(id, stop);
    }

    private async Task FetchAsync(string reference, CancellationToken stop)
    {
        lock (pulls) pulls[reference] = (new(), "");
        try
        {
            await engine.PullAsync(reference, Login(reference), message => Report(reference, message), stop);
        }
        finally
        {
            lock (pulls) pulls.Remove(reference);
        }
    }

    private void Report(string reference, JSONMessage message)
    {
        lock (pulls)
        {
            if (!pulls.TryGetValue(reference, out var pull)) return;
            pull.Progress.Observe(message.ID, message.Status, message.Progress?.Current, message.Progress?.Total);
            if (message.Progress is not null) pulls[reference] = pull with { Said = $", {message.Status} {message.ID}" };
        }
    }

    private async Task LoadAsync(string archive, CancellationToken stop)
    {
        await using var stream = new FileStream(archive, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, useAsync: true);
        await engine.LoadAsync(stream, stop);
    }

    private async Task CreateAsync(Step.Create step, CancellationToken stop)
    {
        var (release, service) = (step.Release, step.Service);
        foreach (var file in service.Container.Files ?? []) WriteFile(release, file);
        Directory.CreateDirectory(places.Shared(release.App, service.Name));
        var parameters = CreateParameters.Container(release, service, step.ImageId, step.Name, places.Shared(release.App, service.Name), file => places.File(release.App, file), await InheritedAsync(release.App, service.Name, stop), step.Shares);
        await engine.CreateAsync(parameters, stop);
    }

    /// <summary>Anonymous volumes (a VOLUME of the image) go from the old container to the new one, as with docker compose: they hold data.</summary>
    private async Task<SortedDictionary<string, string>> InheritedAsync(string app, string service, CancellationToken stop)
    {
        var volumes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var container in (await engine.ListContainersAsync(stop)).Where(c => c.Labels.TryGetValue(EngineLabels.App, out var a) && a == app && c.Labels.TryGetValue(EngineLabels.Service, out var s) && s == service).OrderBy(c => c.Created))
            foreach (var mount in container.Mounts ?? [])
                if (mount is { Type: "volume", Name.Length: 64 }) volumes[mount.Destination] = mount.Name;
        return volumes;
    }

    private async Task StartAsync(Step.Start step, CancellationToken stop)
    {
        if (await engine.InspectAsync(step.ContainerId, stop) is not { } container) throw new EngineRefusedException(System.Net.HttpStatusCode.NotFound, "the container is gone");
        var labels = container.Config?.Labels ?? new Dictionary<string, string>();
        if (labels.TryGetValue(EngineLabels.App, out var app) && labels.TryGetValue(EngineLabels.Service, out var service))
        {
            // A signal of an earlier life is none of this one; the folder itself vanishes with every reboot.
            Directory.CreateDirectory(places.Shared(app, service));
            foreach (var name in Places.SignalNames) File.Delete(Path.Combine(places.Shared(app, service), name));
            await ConnectAsync(container, labels, service, stop);
        }

        // Marked only when all that belongs to the start is done.
        Directory.CreateDirectory(places.StartedMarks);
        File.Delete(places.StartedMark(step.ContainerId));
        await engine.StartAsync(step.ContainerId, stop);
        await hooks.AfterStartAsync(container, stop);
        // Only after it was accepted: a refused start is counted as a failure of the step, not as an end of the container.
        tracker.Started(step.ContainerId, clock());
        await File.WriteAllTextAsync(places.StartedMark(step.ContainerId), "", stop);
    }

    /// <summary>Joins the networks after the first, which older engines do not take when a container is created.</summary>
    private async Task ConnectAsync(ContainerInspectResponse container, IDictionary<string, string> labels, string service, CancellationToken stop)
    {
        if (!labels.TryGetValue(EngineLabels.Networks, out var names) || SpecHash.Read(EngineLabels.SpecOf(labels))?.Networks is not { Count: > 1 } links) return;
        var ordered = links.OrderByDescending(l => l.Priority ?? 0).ToList();
        foreach (var (name, index) in names.Split(',').Select((n, i) => (n, i)))
            if (index < ordered.Count && container.NetworkSettings?.Networks?.ContainsKey(name) != true) await engine.ConnectAsync(name, container.ID, CreateParameters.Endpoint(service, ordered[index]), stop);
    }

    private void WriteFile(Release release, FileMount file)
    {
        if (!release.Files.TryGetValue(file.Sha256, out var content)) throw new EngineRefusedException(null, $"the content of {file.Target} is not known any more");
        var path = places.File(release.App, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var temporary = path + ".new";
        File.WriteAllBytes(temporary, content);
        if (OperatingSystem.IsLinux()) File.SetUnixFileMode(temporary, (UnixFileMode)(file.Mode ?? 0x124));
        if (file.Uid is not null || file.Gid is not null) Own(temporary, file);
        File.Move(temporary, path, overwrite: true);
    }

    private static unsafe void Own(string path, FileMount file)
    {
        fixed (byte* bytes = System.Text.Encoding.UTF8.GetBytes(path + '\0'))
            if (LibC.chown(bytes, (uid_t)(uint)(file.Uid ?? 0), (gid_t)(uint)(file.Gid ?? 0)) != 0) throw new IOException($"the owner of {path} cannot be set");
    }
}
