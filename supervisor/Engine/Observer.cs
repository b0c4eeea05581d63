using Docker.DotNet.Models;
using OsBuild.Supervisor.State;
using ContainerStatus = OsBuild.Supervisor.State.ContainerStatus;
using Health = OsBuild.Supervisor.State.Health;

namespace OsBuild.Supervisor.Engine;

/// <summary>Reads what the engine really has. Only what carries our labels; everything else is foreign.</summary>
internal sealed class Observer(EngineClient engine)
{
    public async Task<CurrentState> ReadAsync(CancellationToken stop)
    {
        var images = engine.ListImagesAsync(stop);
        var networks = engine.ListNetworksAsync(stop);
        var volumes = engine.ListVolumesAsync(stop);
        var listed = await engine.ListContainersAsync(stop);
        var inspected = await Task.WhenAll(listed.Select(c => InspectAsync(c, stop)));
        return new CurrentState
        {
            // A container that vanished between the two calls is simply gone.
            Containers = [.. inspected.OfType<ContainerState>().OrderBy(c => c.Id, StringComparer.Ordinal)],
            Images = [.. (await images).Select(Image)],
            Networks = [.. (await networks).Where(n => n.Labels?.ContainsKey(EngineLabels.App) == true).Select(n => new NetworkState(n.ID, n.Name, n.Labels[EngineLabels.App], n.Labels.TryGetValue(EngineLabels.Hash, out var h) ? h : ""))],
            Volumes = [.. (await volumes).Select(v => new VolumeState(v.Name, Label(v.Labels, EngineLabels.App), Label(v.Labels, EngineLabels.Hash)))],
        };
    }

    /// <summary>One container, or null when it is gone or not ours. One in a torn store cannot be inspected, and must not hide all the others.</summary>
    private async Task<ContainerState?> InspectAsync(ContainerListResponse listed, CancellationToken stop)
    {
        try
        {
            return await engine.InspectAsync(listed.ID, stop) is { } inspected ? Container(inspected) : null;
        }
        catch (EngineRefusedException e)
        {
            return Unreadable(listed, e.Message);
        }
    }

    private static ContainerState? Unreadable(ContainerListResponse listed, string error) => Label(listed.Labels, EngineLabels.App) is { Length: > 0 } app && Label(listed.Labels, EngineLabels.Service) is { Length: > 0 } service
        ? new ContainerState
        {
            Id = listed.ID,
            App = app,
            Service = service,
            Hash = Label(listed.Labels, EngineLabels.Hash),
            ImageId = listed.ImageID,
            Name = listed.Names?.FirstOrDefault()?.TrimStart('/') ?? "",
            // What runs, runs on; nothing else can be done with it.
            Status = listed.State == "running" ? ContainerStatus.Running : ContainerStatus.Dead,
            Error = error,
            Spec = Label(listed.Labels, EngineLabels.Spec) is { Length: > 0 } spec ? spec : null,
            DependsOn = Names(listed.Labels, EngineLabels.DependsOn),
            SharesWith = Names(listed.Labels, EngineLabels.Shares),
            Addresses = new((listed.NetworkSettings?.Networks ?? new Dictionary<string, EndpointSettings>()).ToDictionary(n => n.Key, n => n.Value?.IPAddress ?? ""), StringComparer.Ordinal),
        }
        : null;

    private static ImageState Image(ImagesListResponse image) => new(image.ID,
        [.. (image.RepoTags ?? []).Concat(image.RepoDigests ?? []).Where(t => !t.Contains("<none>", StringComparison.Ordinal)).Select(ImageReference.Normalize)], image.Size);

    private static ContainerState? Container(ContainerInspectResponse c)
    {
        var labels = c.Config?.Labels;
        var (app, service) = (Label(labels, EngineLabels.App), Label(labels, EngineLabels.Service));
        if (app.Length == 0 || service.Length == 0) return null;
        var state = c.State;
        return new ContainerState
        {
            Id = c.ID,
            App = app,
            Service = service,
            Hash = Label(labels, EngineLabels.Hash),
            ImageId = c.Image,
            Name = c.Name.TrimStart('/'),
            Status = Status(state),
            Health = state?.Health?.Status switch { "starting" => Health.Starting, "healthy" => Health.Healthy, "unhealthy" => Health.Unhealthy, _ => Health.None },
            ExitCode = (int)(state?.ExitCode ?? 0),
            OutOfMemory = state?.OOMKilled ?? false,
            Error = state?.Error ?? "",
            Spec = Label(labels, EngineLabels.Spec) is { Length: > 0 } spec ? spec : null,
            DependsOn = Names(labels, EngineLabels.DependsOn),
            SharesWith = Names(labels, EngineLabels.Shares),
            Addresses = new((c.NetworkSettings?.Networks ?? new Dictionary<string, EndpointSettings>()).ToDictionary(n => n.Key, n => n.Value?.IPAddress ?? ""), StringComparer.Ordinal),
            StartedAt = state?.StartedAt ?? "",
        };
    }

    private static ContainerStatus Status(Docker.DotNet.Models.State? state) => state?.Status switch
    {
        "created" => ContainerStatus.Created,
        "running" => ContainerStatus.Running,
        "paused" => ContainerStatus.Paused,
        "restarting" => ContainerStatus.Restarting,
        "removing" => ContainerStatus.Removing,
        "dead" => ContainerStatus.Dead,
        _ => ContainerStatus.Exited,
    };

    private static List<string> Names(IDictionary<string, string>? labels, string name) => [.. Label(labels, name).Split(',', StringSplitOptions.RemoveEmptyEntries)];

    private static string Label(IDictionary<string, string>? labels, string name) => labels is not null && labels.TryGetValue(name, out var value) ? value : "";
}

/// <summary>What only watching over time shows: since when a container runs, and how often it was started in vain. A fold over observations
/// by the monotonic clock; it starts afresh with the worker.</summary>
internal sealed class Tracker
{
    private readonly Dictionary<string, Track> tracks = [];
    private readonly Lock gate = new();

    private sealed record Track(string StartedAt, bool Up, TimeSpan Since, int Starts, int AllStarts);

    /// <remarks>The faces look as well, beside the loop and the steps it runs.</remarks>
    public List<ContainerState> Observe(List<ContainerState> containers, TimeSpan now)
    {
        using var held = gate.EnterScope();
        foreach (var gone in tracks.Keys.Except(containers.Select(c => c.Id)).ToList()) tracks.Remove(gone);
        var seen = new List<ContainerState>(containers.Count);
        foreach (var container in containers)
        {
            var track = tracks.GetValueOrDefault(container.Id);
            if (track is null || track.StartedAt != container.StartedAt || track.Up != container.Up) track = new(container.StartedAt, container.Up, now, track?.Starts ?? 0, track?.AllStarts ?? 0);
            if (track.Up && now - track.Since >= Planning.Backoff.Stable && track.Starts > 1) track = track with { Starts = 1 };
            tracks[container.Id] = track;
            seen.Add(container with { RunningFor = track.Up ? now - track.Since : TimeSpan.Zero, EndedFor = track.Up ? TimeSpan.Zero : now - track.Since, Starts = track.Starts, AllStarts = track.AllStarts });
        }

        return seen;
    }

    /// <summary>We started it once more.</summary>
    public void Started(string id, TimeSpan now)
    {
        using var held = gate.EnterScope();
        var track = tracks.GetValueOrDefault(id) ?? new("", false, now, 0, 0);
        // Kept as "not up": the next observation sets the time it is first seen running, or the time it ended.
        tracks[id] = track with { StartedAt = "", Up = false, Since = now, Starts = track.Starts + 1, AllStarts = track.AllStarts + 1 };
    }

    /// <summary>We stopped it, so that its end says nothing about it.</summary>
    public void Stopped(string id)
    {
        using var held = gate.EnterScope();
        if (tracks.GetValueOrDefault(id) is { } track) tracks[id] = track with { Starts = 0, AllStarts = 0 };
    }
}
