using Docker.DotNet;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>An app holds an update lock, so nothing of it is stopped.</summary>
internal sealed class LockedException(string holder) : Exception($"Updates are locked: {holder} holds an update lock");

/// <summary>What the device API does with services. The planner does the rest: what is stopped here it starts again unless it is held.</summary>
internal sealed class ServiceActions(Reconciler reconciler)
{
    private static readonly TimeSpan StopTime = TimeSpan.FromMinutes(3);

    private IEnumerable<ContainerState> Containers(string app, string? service) => (reconciler.Seen?.Containers ?? []).Where(c => c.App == app && (service is null || c.Service == service));

    /// <summary>Throws when the app must not be interrupted now.</summary>
    public void CheckLock(string app, bool force)
    {
        if (!force && reconciler.Seen is { } seen && Locks.Hold(seen, app) is { } holder) throw new LockedException(holder);
    }

    /// <summary>Throws when any app must not be interrupted now.</summary>
    public void CheckLocks(bool force)
    {
        foreach (var app in reconciler.Journal.Memory.Target?.Apps ?? []) CheckLock(app.App, force);
    }

    public async Task RestartAsync(Release release, string? service, bool force, CancellationToken stop)
    {
        CheckLock(release.App, force);
        await Task.WhenAll(Containers(release.App, service).Where(c => c.Up).Select(c => RestartAsync(release, c, stop)));
        reconciler.Wake();
    }

    private async Task RestartAsync(Release release, ContainerState container, CancellationToken stop)
    {
        var service = release.Services.GetValueOrDefault(container.Service);
        await reconciler.Engine.StopAsync(container.Id, service?.StopGrace, stop);
        // The others are started by the planner, in their order.
        if (service?.Restart is RestartPolicy.Always or RestartPolicy.UnlessStopped) return;
        await reconciler.Engine.StartAsync(container.Id, stop);
    }

    /// <summary>Stops a service until it is started again; it stays stopped over reboots.</summary>
    public void Stop(string app, IEnumerable<string> services, bool force)
    {
        CheckLock(app, force);
        foreach (var service in services) reconciler.Hold($"{app}/{service}", true);
    }

    public void Start(string app, IEnumerable<string> services)
    {
        foreach (var service in services) reconciler.Hold($"{app}/{service}", false);
    }

    /// <summary>Begins an app, or one service, afresh: containers and volumes go, and the planner makes them anew. The app is held meanwhile; after
    /// a power cut in between it is started again with what is left, which <paramref name="unfinished"/> remembers.</summary>
    public async Task PurgeAsync(Release release, string? service, bool force, PurgeMark unfinished, CancellationToken stop)
    {
        CheckLock(release.App, force);
        var services = release.Services.Keys.Where(s => service is null || s == service).ToList();
        // A service a person stopped is still stopped afterwards.
        var free = services.Where(s => !reconciler.Journal.Memory.Stopped.Contains($"{release.App}/{s}")).ToList();
        unfinished.Set(free.Select(s => $"{release.App}/{s}"));
        Stop(release.App, free, force);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(StopTime);
            while (Containers(release.App, null).Any(c => services.Contains(c.Service) && c.Up)) await Task.Delay(100, limit.Token);
            foreach (var container in Containers(release.App, null).Where(c => services.Contains(c.Service)).ToList()) await reconciler.Engine.RemoveAsync(container.Id, stop);
            var mounted = services.SelectMany(s => release.Services[s].Container.Mounts ?? []).Where(m => m is { Kind: MountKind.Volume, Source: not null }).Select(m => m.Source!).ToHashSet();
            foreach (var (name, volume) in release.Volumes) if (!volume.External && mounted.Contains(name)) await RemoveVolumeAsync(volume.EngineName(release.App, name), stop);
        }
        finally
        {
            Start(release.App, free);
            unfinished.Clear();
        }
    }

    /// <summary>Removes the volumes of ours that no app of the target names any more.</summary>
    public async Task CleanVolumesAsync(CancellationToken stop)
    {
        var target = reconciler.Journal.Memory.Target;
        var wanted = (target?.Apps ?? []).SelectMany(a => a.Volumes.Select(v => v.Value.EngineName(a.App, v.Key))).ToHashSet();
        var good = reconciler.Journal.Memory.Good.Values.SelectMany(a => a.Volumes.Select(v => v.Value.EngineName(a.App, v.Key)));
        foreach (var volume in await reconciler.Engine.ListVolumesAsync(stop))
            if (volume.Labels?.ContainsKey(EngineLabels.App) == true && !wanted.Contains(volume.Name) && !good.Contains(volume.Name)) await RemoveVolumeAsync(volume.Name, stop);
    }

    private async Task RemoveVolumeAsync(string name, CancellationToken stop)
    {
        try
        {
            await reconciler.Engine.Docker.Volumes.RemoveAsync(name, force: true, stop);
        }
        catch (DockerApiException e) when (e.StatusCode is System.Net.HttpStatusCode.NotFound)
        {
        }
        catch (DockerApiException e)
        {
            throw new EngineRefusedException(e.StatusCode, $"the volume {name} cannot be removed: {e.ResponseBody}");
        }
    }
}

/// <summary>Remembers which services a purge holds, so that a power cut in the middle does not leave them stopped.</summary>
internal sealed class PurgeMark(string path)
{
    public void Set(IEnumerable<string> keys)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Identity.DurableFile.Write(path, string.Join('\n', keys));
    }

    public void Clear() => File.Delete(path);

    /// <summary>Releases what an interrupted purge held.</summary>
    public void Recover(Reconciler reconciler)
    {
        if (!File.Exists(path)) return;
        foreach (var key in File.ReadAllLines(path)) reconciler.Hold(key, false);
        Clear();
    }
}
