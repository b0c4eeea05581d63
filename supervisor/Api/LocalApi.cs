using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Api;

/// <summary>The supervisor's own API on a unix socket: only root on the device reaches it, so the socket is the key.</summary>
internal sealed class LocalApi(HostPaths paths, Reconciler reconciler, ComposeWatch compose)
{
    public async Task RunAsync(CancellationToken stop)
    {
        File.Delete(paths.ApiSocket);
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(paths.ApiSocket));
        if (OperatingSystem.IsLinux()) File.SetUnixFileMode(paths.ApiSocket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(16);
        await new HttpServer(HandleAsync).ListenAsync(listener, stop);
    }

    public async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stop) => (request.Method, request.Path.Trim('/').Split('/')) switch
    {
        ("GET", ["ping"]) => HttpAnswer.Text(200, "OK"),
        ("GET", ["v1", "status"]) => HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(await StatusAsync(stop), ApiJson.Default.StatusReport)),
        ("GET", ["v1", "why", var service]) => Why(service),
        ("GET", ["v1", "plan"]) => await PlanAsync(stop),
        ("GET", ["v1", "logs"]) => Logs(null, request),
        ("GET", ["v1", "logs", var service]) => Logs(service, request),
        ("GET", ["v1", "compose"]) => HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(reconciler.Journal.Memory.Target ?? TargetState.Nothing, StateJson.Default.TargetState)),
        ("POST", ["v1", "compose"]) => HandOver(request),
        ("DELETE", ["v1", "compose"]) => TakeBack(),
        ("POST", ["v1", "services", var service, var verb]) => await ServiceAsync(service, verb, stop),
        ("POST", ["v1", "retry", var app]) => Retry(app),
        ("POST", ["v1", "force-locks"]) => Force(),
        _ => HttpAnswer.Text(404, "there is no such call\n"),
    };

    public async Task<StatusReport> StatusAsync(CancellationToken stop)
    {
        JsonElement? host = null;
        try
        {
            var file = Path.Combine(paths.Run, "host.json");
            if (File.Exists(file)) host = JsonDocument.Parse(await File.ReadAllBytesAsync(file, stop)).RootElement;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
        }

        EngineReport engine;
        try
        {
            var version = await reconciler.Engine.VersionAsync(stop);
            engine = new(true, version.Version, version.APIVersion);
        }
        catch (Exception e) when (e is EngineUnreachableException or EngineRefusedException)
        {
            engine = new(false, null, null);
        }

        var (seen, memory) = (reconciler.Seen, reconciler.Journal.Memory);
        var downloads = new SortedDictionary<string, string>();
        lock (reconciler.Steps.Progress) foreach (var (reference, text) in reconciler.Steps.Progress) downloads[reference] = text;
        return new(host, engine, Services(seen, memory), new(reconciler.Problems), [.. reconciler.LastPlan.OfType<Step.Wait>().Select(w => $"{w.For}: {w.Cause}")], downloads)
        {
            Releases = [.. (memory.Target?.Apps ?? []).Select(r => ReleaseOf(r, seen, memory))],
            Rounds = reconciler.Rounds,
        };
    }

    private static ReleaseReport ReleaseOf(Release release, CurrentState? seen, Memory memory)
    {
        var bad = seen is null ? null : memory.Bad.Find(b => b.App == release.App && b.Fingerprint == release.Fingerprint());
        var good = memory.Good.GetValueOrDefault(release.App)?.Fingerprint() == release.Fingerprint();
        return new(release.App, release.Fingerprint(), release.Commit, good ? "good" : bad is not null ? "bad" : "on trial", good ? null : bad?.Reason);
    }

    private static List<ServiceReport> Services(CurrentState? seen, Memory memory)
    {
        var reports = new List<ServiceReport>();
        foreach (var release in memory.Target?.Apps ?? [])
            foreach (var service in release.Services.Values)
            {
                var all = (seen?.Containers ?? []).Where(c => c.App == release.App && c.Service == service.Name).OrderByDescending(c => c.Up).ToList();
                var ports = (service.Container.Ports ?? []).ConvertAll(p => p.ToString());
                if (all.Count == 0) reports.Add(new(release.App, service.Name, service.Image, "missing", "", "", 0, 0, 0, ports));
                reports.AddRange(all.Select(c => new ServiceReport(release.App, service.Name, service.Image, c.Status.ToString().ToLowerInvariant(), c.Health == Health.None ? "" : c.Health.ToString().ToLowerInvariant(), c.Name, c.ExitCode, c.Starts, Math.Round((c.Up ? c.RunningFor : c.EndedFor).TotalSeconds), ports)));
            }

        return reports;
    }

    private HttpAnswer Why(string service)
    {
        var known = reconciler.Journal.Memory.Target?.Apps.Exists(a => a.Services.ContainsKey(service)) == true || reconciler.Seen?.Containers.Exists(c => c.Service == service) == true;
        var history = reconciler.History.Of(service, 50);
        if (!known && history.Count == 0) return HttpAnswer.Text(404, $"there is no service '{service}'\n");
        var containers = (reconciler.Seen?.Containers ?? []).Where(c => c.Service == service).ToList();
        var now = containers.Count == 0 ? "it has no container" : string.Join("; ", containers.Select(c => $"{c.Name} is {c.Status.ToString().ToLowerInvariant()}{(c.Health == Health.None ? "" : $" and {c.Health.ToString().ToLowerInvariant()}")}{(c.Up ? "" : $", code {c.ExitCode}")}"));
        var ids = containers.Select(c => c.Id).ToHashSet();
        var plan = reconciler.LastPlan.Where(s => s.What.Contains(service, StringComparison.Ordinal) || s.Cause.Contains(service, StringComparison.Ordinal) || ids.Any(id => s.Key.Contains(id, StringComparison.Ordinal)));
        var report = new WhyReport(service, now, [.. plan.Select(s => new WhyEntry(null, s.What, s.Cause, null))], [.. history.Select(h => new WhyEntry(h.At.ToString("u"), h.What, h.Cause, h.Outcome))]);
        return HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(report, ApiJson.Default.WhyReport));
    }

    /// <summary>What would be done now: the planner on a fresh look, without doing anything.</summary>
    private async Task<HttpAnswer> PlanAsync(CancellationToken stop)
    {
        if (reconciler.Journal.Memory.Target is not { } target) return HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(new PlanReport([]), ApiJson.Default.PlanReport));
        try
        {
            var steps = Planner.NextSteps(await reconciler.ObserveAsync(stop), target, reconciler.Now);
            return HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(new PlanReport([.. steps.Select(s => new WhyEntry(null, s.What, s.Cause, null))]), ApiJson.Default.PlanReport));
        }
        catch (Exception e) when (e is EngineUnreachableException or EngineRefusedException)
        {
            return HttpAnswer.Text(503, e.Message + "\n");
        }
    }

    private HttpAnswer HandOver(HttpRequest request)
    {
        var result = compose.HandOver(Encoding.UTF8.GetString(request.Body), request.Header("x-environment") is { } e ? Encoding.UTF8.GetString(Convert.FromBase64String(e)) : null);
        var remarks = new ErrorReport(result.Diagnostics.ConvertAll(d => d.ToString()));
        return HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(remarks, ApiJson.Default.ErrorReport), result.Release is null ? 422 : 200);
    }

    private HttpAnswer TakeBack()
    {
        compose.TakeBack();
        return HttpAnswer.Text(200, "");
    }

    private HttpAnswer Retry(string app)
    {
        reconciler.Journal.Append(new JournalEntry.BadForgotten(app));
        reconciler.Wake();
        return HttpAnswer.Text(202, "");
    }

    private HttpAnswer Force()
    {
        reconciler.ForceLocks = true;
        reconciler.Wake();
        return HttpAnswer.Text(202, "");
    }

    private async Task<HttpAnswer> ServiceAsync(string service, string verb, CancellationToken stop)
    {
        var containers = (reconciler.Seen?.Containers ?? []).Where(c => c.Service == service).ToList();
        var app = reconciler.Journal.Memory.Target?.Apps.Find(a => a.Services.ContainsKey(service))?.App;
        if (app is null) return HttpAnswer.Text(404, $"there is no service '{service}'\n");
        switch (verb)
        {
            case "stop" or "start":
                reconciler.Hold($"{app}/{service}", verb == "stop");
                return HttpAnswer.Text(202, "");
            case "restart":
                if (reconciler.Seen is { } seen && !reconciler.ForceLocks && Locks.Hold(seen, app) is { } holder) return HttpAnswer.Text(423, $"{holder} holds an update lock\n");
                await Task.WhenAll(containers.Where(c => c.Up).Select(c => reconciler.Engine.StopAsync(c.Id, null, stop)));
                reconciler.Wake();
                return HttpAnswer.Text(202, "");
            default:
                return HttpAnswer.Text(404, "known are start, stop and restart\n");
        }
    }

    private HttpAnswer Logs(string? service, HttpRequest request)
    {
        var containers = (reconciler.Seen?.Containers ?? []).Where(c => service is null || c.Service == service).ToList();
        if (service is not null && containers.Count == 0) return HttpAnswer.Text(404, $"there is no container of '{service}'\n");
        var follow = request.Query.GetValueOrDefault("follow") is "1" or "true";
        var tail = request.Query.GetValueOrDefault("tail") ?? "200";
        return new(200, "text/plain; charset=utf-8", []) { Stream = (to, stop) => LogStream.CopyAsync(reconciler.Engine, containers, follow, tail, request.Query.GetValueOrDefault("since"), service is null, to, stop) };
    }
}
