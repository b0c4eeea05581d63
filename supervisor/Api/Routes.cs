using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OsBuild.Supervisor.Bundles;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Logs;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Push;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.SelfUpdate;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Api;

/// <summary>The supervisor's own API: one table for the socket on the device and for the network.</summary>
internal sealed class Routes(Reconciler reconciler, ComposeWatch compose, Reports reports, ServiceLogs logs, EventHub events, Sampler sampler, Builds builds, BundleIntake bundles, SelfUpdateAgent update, HostUpdateAgent host)
{
    /// <summary>Asks PID 1 to restart (true) or to power off; gives what is in the way.</summary>
    public Func<bool, string?> Power { get; init; } = _ => "This host has an init of its own; use its poweroff or reboot";

    private const string AnotherMaster = "Another master (a fleet, or a push of the balena CLI) decides what runs on this device; leave it first.\n";

    public async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stop)
    {
        try
        {
            return (request.Method, request.Path.Trim('/').Split('/')) switch
            {
                ("GET", ["ping"]) => HttpAnswer.Text(200, "OK"),
                ("GET", ["v1", "status"]) => Json(await reports.StatusAsync(stop), ApiJson.Default.StatusReport),
                ("GET", ["v1", "why", .. var service]) => Why(string.Join('/', service)),
                ("GET", ["v1", "plan"]) => Json(await reports.PlanAsync(stop), ApiJson.Default.PlanReport),
                ("GET", ["v1", "history", .. var service]) => Json(reports.History(service.Length == 0 ? null : string.Join('/', service), int.TryParse(request.Query.GetValueOrDefault("last"), out var last) ? last : 100), SaidJson.Default.HistoryReport),
                ("GET", ["v1", "events"]) => new(200, "text/event-stream", []) { Stream = events.StreamAsync, Headers = new Dictionary<string, string> { ["Cache-Control"] = "no-store" } },
                ("GET", ["v1", "logs", .. var service]) => Logs(string.Join('/', service), request),
                ("GET", ["v1", "metrics"]) => Json(await sampler.TakeAsync(stop), SaidJson.Default.Sample),
                ("GET", ["metrics"]) => new(200, Prometheus.ContentType, Encoding.UTF8.GetBytes(Prometheus.Text(await sampler.TakeAsync(stop)))),
                ("GET", ["v1", "compose"]) => Json(reconciler.Journal.Memory.Target ?? TargetState.Nothing, StateJson.Default.TargetState),
                ("POST", ["v1", "compose"]) => HandOver(request),
                ("DELETE", ["v1", "compose"]) => TakeBack(),
                ("POST", ["v1", "bundle"]) => await BundleAsync(request, stop),
                ("POST", ["v1", "build", var app, var service]) => builds.Build(app, service, request),
                ("POST", ["v1", "services", .. var service, var verb]) => await ServiceAsync(string.Join('/', service), verb, By(request), stop),
                ("POST", ["v1", "rollback", var app]) => Rollback(app, By(request)),
                ("POST", ["v1", "retry", var app]) => Retry(app),
                ("POST", ["v1", "force-locks"]) => Force(),
                ("POST", ["v1", ("reboot" or "poweroff") and var verb]) => SwitchOff(verb, By(request)),
                ("POST", ["v1", "supervisor"]) => Update(Encoding.UTF8.GetString(request.Body).Trim(), By(request)),
                ("DELETE", ["v1", "supervisor"]) => Update(null, By(request)),
                ("POST", ["v1", "host"]) => UpdateHost(Encoding.UTF8.GetString(request.Body).Trim(), By(request)),
                ("DELETE", ["v1", "host"]) => UpdateHost(null, By(request)),
                _ => HttpAnswer.Text(404, "there is no such call\n"),
            };
        }
        catch (EngineUnreachableException e)
        {
            return HttpAnswer.Text(503, e.Message + "\n");
        }
        catch (EngineRefusedException e)
        {
            return HttpAnswer.Text(409, e.Message + "\n");
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            return HttpAnswer.Text(400, e.Message + "\n");
        }
    }

    /// <summary>The calls whose body has no limit: the files that an image is built from, and a bundle.</summary>
    public static bool Streams(HttpRequest request) => request is { Method: "POST" } && (request.Path.StartsWith("/v1/build/", StringComparison.Ordinal) || request.Path == "/v1/bundle");

    public static HttpAnswer Json<T>(T value, JsonTypeInfo<T> type, int status = 200) => HttpAnswer.Json(JsonSerializer.SerializeToUtf8Bytes(value, type), status);

    /// <summary>Who asks, for the history.</summary>
    private static string By(HttpRequest request) => request.From is { } address ? $"asked for from {(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address)}" : "asked for on the device";

    private HttpAnswer Why(string service) => reports.Why(service) is { } why ? Json(why, ApiJson.Default.WhyReport) : HttpAnswer.Text(404, $"there is no service '{service}'\n");

    /// <summary>A compose file as it is (with its variables in x-environment), or with all it needs as JSON.</summary>
    private HttpAnswer HandOver(HttpRequest request)
    {
        if (compose.Yields()) return HttpAnswer.Text(409, AnotherMaster);
        var environment = request.Header("x-environment") is { } e ? Encoding.UTF8.GetString(Convert.FromBase64String(e)) : null;
        var handover = request.Header("content-type") == "application/json" ? Handover.Parse(request.Body) : new Handover(Encoding.UTF8.GetString(request.Body), environment, [], []);
        var result = compose.HandOver(handover);
        // Whoever hands over what failed before wants it tried again.
        if (result.Release is { } release && reconciler.Journal.Memory.Bad.Exists(b => b.App == release.App && b.Fingerprint == release.Fingerprint())) Retry(release.App);
        var report = new HandoverReport(result.Diagnostics.ConvertAll(d => d.ToString()), result.Release?.App, result.Release?.Fingerprint());
        return Json(report, ApiJson.Default.HandoverReport, result.Release is null ? 422 : 200);
    }

    private async Task<HttpAnswer> BundleAsync(HttpRequest request, CancellationToken stop)
    {
        if (compose.Yields()) return HttpAnswer.Text(409, AnotherMaster);
        try
        {
            var result = await bundles.TakeAsync(request.Input ?? new MemoryStream(request.Body), stop);
            if (result.Release is not { } release) return HttpAnswer.Text(422, result.Explain() + "\n");
            Remember($"take the bundle of {release.App}", By(request), release.App);
            return HttpAnswer.Text(200, release.App);
        }
        catch (BundleRefusedException e)
        {
            reconciler.History.Add(new HistoryEntry(DateTimeOffset.UtcNow, "take a bundle", By(request), e.Message, ""));
            return HttpAnswer.Text(422, e.Message + "\n");
        }
        catch (IOException e)
        {
            return HttpAnswer.Text(409, $"the bundle cannot be kept: {e.Message}\n");
        }
    }

    private HttpAnswer TakeBack()
    {
        compose.TakeBack();
        return HttpAnswer.Text(200, "");
    }

    private HttpAnswer Update(string? image, string by) => update.Name(image, by) is { } refusal ? HttpAnswer.Text(409, refusal + "\n") : HttpAnswer.Text(202, "");

    private HttpAnswer UpdateHost(string? image, string by) => host.Name(image, by) is { } refusal ? HttpAnswer.Text(409, refusal + "\n") : HttpAnswer.Text(202, "");

    private HttpAnswer Retry(string app)
    {
        reconciler.Journal.Append(new JournalEntry.BadForgotten(app));
        reconciler.Wake();
        return HttpAnswer.Text(202, "");
    }

    private HttpAnswer Force()
    {
        reconciler.ForceLocks = true;
        host.ForceLocks = true;
        reconciler.Wake();
        return HttpAnswer.Text(202, "");
    }

    private HttpAnswer SwitchOff(string verb, string by)
    {
        if (reconciler.Seen is { } seen && !reconciler.ForceLocks && seen.Locked.FirstOrDefault(key => seen.Containers.Exists(c => c.Key == key && c.Up)) is { } holder) return HttpAnswer.Text(423, $"{holder} holds an update lock\n");
        if (Power(verb == "reboot") is { } obstacle) return HttpAnswer.Text(409, obstacle + "\n");
        Remember($"{verb} the device", by, HostUpdateAgent.Service);
        return HttpAnswer.Text(202, "");
    }

    private HttpAnswer Rollback(string app, string by)
    {
        if (reconciler.Journal.Memory.Target?.Find(app) is not { } release) return HttpAnswer.Text(404, $"there is no app '{app}'\n");
        var (entry, text) = GoingBack.Decide(reconciler.Journal.Memory, reconciler.Seen, release, by);
        if (entry is null) return HttpAnswer.Text(409, text + "\n");
        reconciler.Journal.Append(entry);
        Remember(text, by, app);
        reconciler.Wake();
        return HttpAnswer.Text(202, "");
    }

    private async Task<HttpAnswer> ServiceAsync(string service, string verb, string by, CancellationToken stop)
    {
        var app = reconciler.Journal.Memory.Target?.Apps.Find(a => a.Services.Keys.Any(s => s == service || $"{a.App}/{s}" == service))?.App;
        if (app is null) return HttpAnswer.Text(404, $"there is no service '{service}'\n");
        var key = $"{app}/{service[(service.IndexOf('/') + 1)..]}";
        switch (verb)
        {
            case "stop" or "start":
                Remember($"{verb} {key}", by, key);
                reconciler.Hold(key, verb == "stop");
                return HttpAnswer.Text(202, "");
            case "restart":
                if (reconciler.Seen is { } seen && !reconciler.ForceLocks && Locks.Hold(seen, app) is { } holder) return HttpAnswer.Text(423, $"{holder} holds an update lock\n");
                Remember($"restart {key}", by, key);
                await Task.WhenAll((reconciler.Seen?.Containers ?? []).Where(c => c.Key == key && c.Up).Select(c => reconciler.Engine.StopAsync(c.Id, null, stop)));
                reconciler.Wake();
                return HttpAnswer.Text(202, "");
            default:
                return HttpAnswer.Text(404, "known are start, stop and restart\n");
        }
    }

    /// <summary>What a person asked for is part of why things are as they are.</summary>
    private void Remember(string what, string by, string service) =>
        reconciler.History.Add(new HistoryEntry(DateTimeOffset.UtcNow, what, by, "done", service));

    private HttpAnswer Logs(string service, HttpRequest request)
    {
        var query = LogQuery.Parse(request.Query, DateTimeOffset.UtcNow);
        var key = service.Length == 0 ? null : KeyOf(service);
        if (service.Length > 0 && key is null) return HttpAnswer.Text(404, $"there is no service '{service}'\n");
        return new(200, "text/plain; charset=utf-8", []) { Stream = (to, stop) => logs.WriteAsync(() => [.. (reconciler.Seen?.Containers ?? []).Where(c => key is null || c.Key == key)], key, query, to, stop) };
    }

    /// <summary><c>app/service</c> of a service of the target, or of a container that is still there.</summary>
    private string? KeyOf(string service) => (reconciler.Journal.Memory.Target?.Apps ?? []).SelectMany(a => a.Services.Keys.Select(s => $"{a.App}/{s}"))
        .Concat((reconciler.Seen?.Containers ?? []).Select(c => c.Key)).FirstOrDefault(k => k == service || k.EndsWith("/" + service, StringComparison.Ordinal));
}
