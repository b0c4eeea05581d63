using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Docker.DotNet;
using Docker.DotNet.Models;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Engine;

/// <summary>The engine answered, and said no. The message is the engine's own.</summary>
internal sealed class EngineRefusedException(HttpStatusCode? status, string message) : Exception(message)
{
    public HttpStatusCode? Status { get; } = status;
}

/// <summary>The engine did not answer: it is down, hangs or has just been restarted.</summary>
internal sealed class EngineUnreachableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The engine's API over its unix socket (1.40 and up). Every call has a limit, and every error is one of the two above.</summary>
/// <remarks>"Not modified", "already gone" and "removal in progress" are what was wanted and count as success.</remarks>
internal sealed class EngineClient : IDisposable
{
    private readonly DockerClient docker;

    public EngineClient(string socket) =>
        docker = new DockerClientBuilder().WithEndpoint(new Uri("unix://" + socket)).WithTimeout(Timeout.InfiniteTimeSpan).Build();

    /// <summary>How long an engine may think about a question; what it has to work for may take six times that.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    private TimeSpan Quick => Patience;
    private TimeSpan Slow => 6 * Patience;

    public Task<VersionResponse> VersionAsync(CancellationToken stop) => Call(Quick, c => docker.System.GetVersionAsync(c), stop);

    public Task<IList<ContainerListResponse>> ListContainersAsync(CancellationToken stop) => Call(Quick, c => docker.Containers.ListContainersAsync(new() { All = true, Filters = Ours() }, c), stop);

    public Task<ContainerInspectResponse?> InspectAsync(string id, CancellationToken stop) => OrNull(() => Call(Quick, c => docker.Containers.InspectContainerAsync(id, c), stop));

    public Task<IList<ImagesListResponse>> ListImagesAsync(CancellationToken stop) => Call(Quick, c => docker.Images.ListImagesAsync(new(), c), stop);

    public Task<IList<NetworkResponse>> ListNetworksAsync(CancellationToken stop) => Call(Quick, c => docker.Networks.ListNetworksAsync(new() { Filters = Ours() }, c), stop);

    public async Task<IList<VolumeResponse>> ListVolumesAsync(CancellationToken stop) => (await Call(Quick, c => docker.Volumes.ListAsync(c), stop)).Volumes ?? [];

    public async Task<string> CreateAsync(CreateContainerParameters parameters, CancellationToken stop) => (await Call(Slow, c => docker.Containers.CreateContainerAsync(parameters, c), stop)).ID;

    public Task ConnectAsync(string network, string container, EndpointSettings settings, CancellationToken stop) =>
        Call(Quick, c => docker.Networks.ConnectNetworkAsync(network, new() { Container = container, EndpointConfig = settings }, c), stop);

    public Task StartAsync(string id, CancellationToken stop) => Call(Slow, c => docker.Containers.StartContainerAsync(id, new(), c), stop);

    public Task StopAsync(string id, TimeSpan? grace, CancellationToken stop) => Gone(() => Call(Slow + (grace ?? Quick),
        c => docker.Containers.StopContainerAsync(id, new() { WaitBeforeKillSeconds = grace is { } g ? (uint)Math.Ceiling(g.TotalSeconds) : null }, c), stop));

    public Task RemoveAsync(string id, CancellationToken stop) => Gone(() => Call(Slow, c => docker.Containers.RemoveContainerAsync(id, new() { Force = true }, c), stop));

    public Task RenameAsync(string id, string name, CancellationToken stop) => Call(Quick, c => docker.Containers.RenameContainerAsync(id, new() { NewName = name }, c), stop);

    public Task KillAsync(string id, string signal, CancellationToken stop) => Gone(() => Call(Quick, c => docker.Containers.KillContainerAsync(id, new() { Signal = signal }, c), stop));

    public Task CreateNetworkAsync(NetworksCreateParameters parameters, CancellationToken stop) => Call(Slow, c => docker.Networks.CreateNetworkAsync(parameters, c), stop);

    public Task RemoveNetworkAsync(string id, CancellationToken stop) => Gone(() => Call(Quick, c => docker.Networks.DeleteNetworkAsync(id, c), stop));

    public Task CreateVolumeAsync(VolumesCreateParameters parameters, CancellationToken stop) => Call(Slow, c => docker.Volumes.CreateAsync(parameters, c), stop);

    /// <summary>Removes an image under all its names. Never by force, which would take it from a foreign container that has ended.</summary>
    public async Task RemoveImageAsync(string id, CancellationToken stop)
    {
        // Listed, because a torn image cannot be inspected.
        if ((await ListImagesAsync(stop)).FirstOrDefault(i => i.ID == id) is not { } image) return;
        foreach (var name in (image.RepoTags ?? []).Concat(image.RepoDigests ?? []).Where(n => !n.Contains("<none>", StringComparison.Ordinal)))
            await Gone(() => Call(Slow, c => docker.Images.DeleteImageAsync(name, new(), c), stop));
        await Gone(() => Call(Slow, c => docker.Images.DeleteImageAsync(id, new(), c), stop));
    }

    /// <summary>Asks the registry, through the engine, whether it has an image. Throws what it answers otherwise.</summary>
    public Task ProbeAsync(string reference, CancellationToken stop) => Call(Slow, c => docker.Distribution.InspectAsync(reference, c), stop);

    /// <summary>A pull that tells of no progress for this long is given up and tried again: a registry can fall silent without closing.</summary>
    public TimeSpan PullPatience { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Pulls an image. The engine answers 200 and puts a failure into the stream, so both are looked at.</summary>
    public async Task PullAsync(string reference, AuthConfig? login, Action<JSONMessage>? progress, CancellationToken stop)
    {
        if (!ImageReference.TryParse(reference, out var name)) throw new EngineRefusedException(null, $"'{reference}' is not an image name");
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(stop);
        silence.CancelAfter(PullPatience);
        var watch = new StreamWatch(message =>
        {
            silence.CancelAfter(PullPatience);
            progress?.Invoke(message);
        });
        var parameters = new ImagesCreateParameters { FromImage = name.Repository, Tag = name.Digest ?? name.Tag ?? "latest" };
        try
        {
            await Call(null, c => docker.Images.CreateImageAsync(parameters, login, watch, c), silence.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new EngineUnreachableException($"the download of {reference} stood still for {PullPatience.TotalSeconds:0} s");
        }

        watch.ThrowIfFailed();
    }

    public async Task LoadAsync(Stream archive, CancellationToken stop)
    {
        var watch = new StreamWatch(null);
        await Call(null, c => docker.Images.LoadImageAsync(new() { Quiet = true }, archive, watch, c), stop);
        watch.ThrowIfFailed();
    }

    /// <summary>Builds an image from a tar of files and gives its id. The engine's words come as they are said.</summary>
    public async Task<string> BuildAsync(ImageBuildParameters parameters, Stream context, Action<string> said, CancellationToken stop)
    {
        var watch = new StreamWatch(message =>
        {
            if ((message.Stream ?? message.Status) is { Length: > 0 } text) said(text);
        });
        await Call(null, c => docker.Images.BuildImageFromDockerfileAsync(parameters, context, null, null, watch, c), stop);
        watch.ThrowIfFailed();
        return (await InspectImageAsync(parameters.Tags![0], stop) ?? throw new EngineRefusedException(null, "the engine does not know the image it built")).ID;
    }

    public Task TagAsync(string id, string repository, string tag, CancellationToken stop) => Call(Quick, c => docker.Images.TagImageAsync(id, new() { RepositoryName = repository, Tag = tag }, c), stop);

    public Task<ImageInspectResponse?> InspectImageAsync(string name, CancellationToken stop) => OrNull(() => Call(Quick, c => docker.Images.InspectImageAsync(name, c), stop));

    /// <summary>Tells of every event that may change what is observed, until the engine goes away.</summary>
    public Task WatchAsync(Action<Message> onEvent, CancellationToken stop)
    {
        Dictionary<string, bool> events = new() { ["die"] = true, ["oom"] = true, ["health_status"] = true, ["start"] = true, ["destroy"] = true, ["create"] = true, ["rename"] = true, ["delete"] = true, ["untag"] = true, ["tag"] = true, ["load"] = true, ["pull"] = true, ["health_status: healthy"] = true, ["health_status: unhealthy"] = true };
        return Call(null, c => docker.System.MonitorEventsAsync(new ContainerEventsParameters { Filters = new Dictionary<string, IDictionary<string, bool>> { ["event"] = events } }, new Sink<Message>(onEvent), c), stop);
    }

    public Task<MultiplexedStream> LogsAsync(string id, ContainerLogsParameters parameters, CancellationToken stop) => Call(null, c => docker.Containers.GetContainerLogsAsync(id, parameters, c), stop);

    /// <summary>Runs a command inside a running container until it ends or the time is over.</summary>
    /// <returns>Its exit code and the beginning of what it said.</returns>
    public async Task<(long ExitCode, string Said)> ExecAsync(string id, HookSpec hook, TimeSpan limit, CancellationToken stop)
    {
        var exec = await Call(Quick, c => docker.Exec.CreateContainerExecAsync(id, new()
        {
            Cmd = hook.Command,
            User = hook.User!,
            Privileged = hook.Privileged ?? false,
            WorkingDir = hook.WorkingDir!,
            Env = hook.Environment?.Select(e => $"{e.Key}={e.Value}").ToList()!,
            AttachStdout = true,
            AttachStderr = true,
        }, c), stop);
        var said = await Call(limit, async c =>
        {
            using var stream = await docker.Exec.StartContainerExecAsync(exec.ID, new(), c);
            var (buffer, text) = (new byte[4096], new MemoryStream());
            while (await stream.ReadOutputAsync(buffer, 0, buffer.Length, c) is { EOF: false } read)
                if (text.Length < buffer.Length) text.Write(buffer, 0, read.Count);
            return System.Text.Encoding.UTF8.GetString(text.ToArray()).Trim();
        }, stop);
        return ((await Call(Quick, c => docker.Exec.InspectContainerExecAsync(exec.ID, c), stop)).ExitCode ?? -1, said);
    }

    /// <summary>A file of a container, running or not, as a tar archive; null when there is none.</summary>
    public async Task<Stream?> ReadFileAsync(string id, string path, CancellationToken stop) =>
        (await OrNull(() => Call(Slow, c => docker.Containers.GetArchiveFromContainerAsync(id, new() { Path = path }, false, c), stop)))?.Stream;

    /// <summary>The counters of a running container, taken at once; null when it is gone.</summary>
    public async Task<ContainerStatsResponse?> StatsAsync(string id, CancellationToken stop)
    {
        ContainerStatsResponse? stats = null;
        await Gone(() => Call(Quick, c => docker.Containers.GetContainerStatsAsync(id, new() { Stream = false, OneShot = true }, new Sink<ContainerStatsResponse>(s => stats = s), c), stop));
        return stats;
    }

    /// <summary>The client itself, for faces that need more of the engine than the reconciler does.</summary>
    public DockerClient Docker => docker;

    public void Dispose() => docker.Dispose();

    private static Dictionary<string, IDictionary<string, bool>> Ours() => new() { ["label"] = new Dictionary<string, bool> { [EngineLabels.App] = true } };

    private static async Task<T?> OrNull<T>(Func<Task<T>> call) where T : class
    {
        try
        {
            return await call();
        }
        catch (EngineRefusedException e) when (e.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private static async Task Gone(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (EngineRefusedException e) when (e.Status is HttpStatusCode.NotFound or HttpStatusCode.NotModified)
        {
        }
        catch (EngineRefusedException e) when (e.Message.Contains("already in progress", StringComparison.Ordinal))
        {
            // The engine is at it; asking again at once would only keep it busy.
            await Task.Delay(TimeSpan.FromSeconds(1));
        }
    }

    private static Task<bool> Call(TimeSpan? limit, Func<CancellationToken, Task> call, CancellationToken stop) => Call(limit, async c =>
    {
        await call(c);
        return true;
    }, stop);

    private static async Task<T> Call<T>(TimeSpan? limit, Func<CancellationToken, Task<T>> call, CancellationToken stop)
    {
        using var timer = CancellationTokenSource.CreateLinkedTokenSource(stop);
        if (limit is { } time) timer.CancelAfter(time);
        try
        {
            return await call(timer.Token);
        }
        catch (DockerApiException e)
        {
            throw new EngineRefusedException(e.StatusCode, Message(e));
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw new EngineUnreachableException($"the engine did not answer within {limit?.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException or TimeoutException or JsonException or ObjectDisposedException)
        {
            throw new EngineUnreachableException($"the engine cannot be reached: {e.Message}", e);
        }
    }

    private static string Message(DockerApiException e)
    {
        try
        {
            using var json = JsonDocument.Parse(e.ResponseBody ?? "");
            if (json.RootElement.TryGetProperty("message", out var message) && message.GetString() is { Length: > 0 } text) return text.Trim();
        }
        catch (JsonException)
        {
        }

        return string.IsNullOrWhiteSpace(e.ResponseBody) ? $"the engine answered {(int)e.StatusCode}" : e.ResponseBody.Trim();
    }

    /// <summary>Calls at once, in order: the framework's own Progress goes through the thread pool and loses the order.</summary>
    private sealed class Sink<T>(Action<T> action) : IProgress<T>
    {
        public void Report(T value) => action(value);
    }

    private sealed class StreamWatch(Action<JSONMessage>? progress) : IProgress<JSONMessage>
    {
        private string? error;

        public void Report(JSONMessage value)
        {
            if (value.Error?.Message is { Length: > 0 } message) error = message;
            progress?.Invoke(value);
        }

        public void ThrowIfFailed()
        {
            if (error is not null) throw new EngineRefusedException(null, error);
        }
    }
}
