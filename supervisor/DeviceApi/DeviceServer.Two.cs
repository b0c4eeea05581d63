using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>Version 2: several services, and the calls of a local push.</summary>
internal sealed partial class DeviceServer
{
    private async Task<HttpAnswer?> VersionTwoAsync(HttpRequest request, string[] path, JsonObject body, Caller caller, CancellationToken stop)
    {
        switch (request.Method, path)
        {
            case ("POST", [_, "applications", var id, "restart-service" or "stop-service" or "start-service" or "restart" or "purge"]):
                await ActAsync(App(Number(id), caller), path[3], body, stop);
                return HttpAnswer.Text(200, "OK");
            case ("GET", [_, "applications", "state"]):
                return Json(DeviceStatus.Applications(Target, Reconciler.Seen, Downloads, caller));
            case ("GET", [_, "applications", var id, "state"]):
                return Json(DeviceStatus.Application(App(Number(id), caller), Reconciler.Seen, Downloads));
            case ("GET", [_, "state", "status"]):
                var plan = await PlanAsync(stop);
                return Json(DeviceStatus.Status(Target, Reconciler.Seen, plan, Downloads));
            case ("GET", [_, "version"]):
                return Success(("version", DeviceFacts.CompatibleVersion));
            case ("GET", [_, "containerId"]):
                return ContainerId(request, caller);
            case ("GET", [_, "device", "name"]):
                return Success(("deviceName", parts.Fleet?.Device?.Name ?? Environment.MachineName));
            case ("GET", [_, "device", "tags"]):
                return await TagsAsync(stop);
            case ("PATCH", [_, "device", "tags"]):
                return await SetTagsAsync(body, stop);
            case ("GET", [_, "device", "vpn"]):
                return Success(("vpn", new JsonObject { ["enabled"] = false, ["connected"] = false }));
            case ("GET", [_, "cleanup-volumes"]) when caller.IsOwner:
                await actions.CleanVolumesAsync(stop);
                return Success();
            case ("POST", [_, "journal-logs"]) when caller.IsOwner:
                return JournalLogs(body);
            case (_, [_, "local", ..]) when caller.IsOwner:
                return Local(request, path[2]);
            default:
                return null;
        }
    }

    private async Task ActAsync(NumberedApp app, string action, JsonObject body, CancellationToken stop)
    {
        var release = app.Release;
        // restart and purge are of the whole app unless a service is named.
        var named = body["serviceName"] is not null || body["imageId"] is not null || action.EndsWith("-service", StringComparison.Ordinal);
        var service = named ? ServiceOf(app, body["serviceName"]?.ToString(), Number(body["imageId"])) : null;
        switch (action)
        {
            case "restart" or "restart-service": await actions.RestartAsync(release, service?.Name, Force(body), stop); break;
            case "purge": await actions.PurgeAsync(release, service?.Name, Force(body), purge, stop); break;
            case "stop-service": actions.Stop(release.App, [service!.Name], Force(body)); break;
            default: actions.Start(release.App, [service!.Name]); break;
        }
    }

    private HttpAnswer ContainerId(HttpRequest request, Caller caller)
    {
        var wanted = request.Query.GetValueOrDefault("serviceName") ?? request.Query.GetValueOrDefault("service");
        var ids = new JsonObject();
        foreach (var app in NumberedApp.All(Target).Where(a => caller.MayTouch(a.Release.App)))
            foreach (var service in app.Release.Services.Values)
                if (Reconciler.Seen is { } seen && DeviceReport.ContainerOf(app.Release, service, seen) is { } container) ids[service.Name] = container.Id;
        if (wanted is null) return ids.Count == 1 ? Success(("containerId", ids.First().Value!.ToString())) : Success(("services", ids));
        return ids[wanted] is { } id ? Success(("containerId", id.ToString())) : Failed(503, $"Could not find service {wanted}");
    }

    private HttpAnswer? Local(HttpRequest request, string what)
    {
        switch (request.Method, what)
        {
            case ("GET", "device-info"):
                return Success(("info", new JsonObject { ["arch"] = Facts.Architecture, ["deviceType"] = parts.Config.DeviceType.Length > 0 ? parts.Config.DeviceType : $"generic-{Facts.Architecture}" }));
            case ("GET", "target-state"):
                var config = new JsonObject();
                foreach (var (name, value) in parts.Fleet?.Device?.Config ?? []) config[name] = value;
                return Success(("state", new JsonObject { ["local"] = new JsonObject { ["name"] = parts.Fleet?.Device?.Name ?? Environment.MachineName, ["config"] = config, ["apps"] = parts.Local.Apps } }));
            case ("POST", "target-state"):
                if (!parts.Local.Settings.LocalMode) return Failed(400, "Target state can only set when device is in local mode");
                parts.Local.Push(request.Body);
                return Success(("message", "OK"));
            case ("GET", "logs"):
                return new(200, "application/x-ndjson", []) { Stream = LogsAsync };
            default:
                return null;
        }
    }

    private async Task LogsAsync(Stream to, CancellationToken stop)
    {
        using var gate = new SemaphoreSlim(1);
        await new LogFollowers(Reconciler, WriteAsync).RunAsync(new Dictionary<string, long>(), LogFollowers.Now(), stop);

        async ValueTask WriteAsync(LogLine line, CancellationToken token)
        {
            var json = new ArrayBufferWriter<byte>();
            WriteLine(json, line);
            await gate.WaitAsync(token);
            try
            {
                await to.WriteAsync(json.WrittenMemory, token);
            }
            finally
            {
                gate.Release();
            }
        }
    }

    private static void WriteLine(ArrayBufferWriter<byte> to, LogLine line)
    {
        using (var json = new Utf8JsonWriter(to))
        {
            json.WriteStartObject();
            json.WriteString("message", line.Message);
            json.WriteNumber("timestamp", line.Timestamp);
            if (line.System) json.WriteBoolean("isSystem", true);
            else json.WriteString("serviceName", line.Service);
            if (line.Error) json.WriteBoolean("isStdErr", true);
            json.WriteEndObject();
        }

        to.Write("\n"u8);
    }

    /// <summary>There is no journal on this host: what it would be asked for is what the containers wrote.</summary>
    private HttpAnswer JournalLogs(JsonObject body)
    {
        var containers = (Reconciler.Seen?.Containers ?? []).Where(c => body["containerId"]?.ToString() is not { } id || c.Id.StartsWith(id, StringComparison.Ordinal)).ToList();
        var since = body["since"]?.ToString() is { Length: > 0 } text ? Logs.LogQuery.Moment(text, DateTimeOffset.UtcNow) : (DateTimeOffset?)null;
        var query = new Logs.LogQuery(body["follow"]?.ToString() == "true", Number(body["count"]) is { } n and > 0 ? (int)n : 1000, since, Times: true);
        var logs = new Logs.ServiceLogs(Reconciler.Engine, new Places(parts.Paths).KeptLogs);
        return new(200, "text/plain; charset=utf-8", []) { Stream = (to, stop) => logs.WriteAsync(() => containers, null, query, to, stop) };
    }

    private async Task<HttpAnswer> TagsAsync(CancellationToken stop)
    {
        if (parts.Fleet is not { } fleet) return Failed(503, "This device belongs to no fleet, so it has no tags");
        var answer = await fleet.Api.TagsAsync(fleet.Identity, stop);
        if (!answer.Ok) return Failed(503, answer.Explain);
        var tags = new JsonArray();
        foreach (var tag in JsonNode.Parse(answer.Body)?["d"]?.AsArray() ?? []) tags.Add((JsonNode)new JsonObject { ["id"] = Number(tag?["id"]), ["name"] = tag?["tag_key"]?.ToString(), ["value"] = tag?["value"]?.ToString() });
        return Success(("tags", tags));
    }

    private async Task<HttpAnswer> SetTagsAsync(JsonObject body, CancellationToken stop)
    {
        if (parts.Fleet is not { } fleet) return Failed(503, "This device belongs to no fleet, so it has no tags");
        var answer = await fleet.Api.SetTagsAsync(fleet.Identity, body["tags"] as JsonObject ?? body, stop);
        return answer.Ok ? Success() : Failed(503, answer.Explain);
    }
}
