using System.Text.Json.Nodes;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.Fleet;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>Version 1: from the time when a device had one container.</summary>
internal sealed partial class DeviceServer
{
    private async Task<HttpAnswer?> VersionOneAsync(string method, string[] path, JsonObject body, Caller caller, CancellationToken stop)
    {
        switch (method, path)
        {
            case ("POST", [_, "blink"]):
                Blink.Begin();
                return HttpAnswer.Text(200, "OK");
            case ("POST", [_, "update"]):
                return parts.Fleet is { } fleet && !fleet.UpdateNow(Force(body)) ? new(202, "text/plain", []) : new(204, "text/plain", []);
            case ("POST", [_, "reboot" or "shutdown"]):
                actions.CheckLocks(Force(body));
                return parts.Power(path[1] == "reboot") is { } obstacle ? Failed(503, obstacle) : Done(202);
            case ("POST", [_, "regenerate-api-key"]) when caller.IsOwner:
                return HttpAnswer.Text(200, parts.Keys.Regenerate());
            case ("POST", [_, "restart"]):
                await actions.RestartAsync(App(Number(body["appId"]), caller).Release, null, Force(body), stop);
                return Done();
            case ("POST", [_, "purge"]):
                await actions.PurgeAsync(App(Number(body["appId"]), caller).Release, null, Force(body), purge, stop);
                return Done();
            case ("POST", [_, "apps", var id, "stop" or "start"]):
                return OneService(App(Number(id), caller), path[3] == "stop", Force(body));
            case ("GET", [_, "apps", var id]):
                return OneApp(App(Number(id), caller));
            case ("GET", [_, "device"]):
                return Json(DeviceStatus.Device(Facts, HostReadings.Addresses(), Target, Reconciler.Seen, await PlanAsync(stop) ?? [], Downloads));
            case ("GET", [_, "device", "host-config"]):
                return Json(new() { ["network"] = new JsonObject { ["hostname"] = Environment.MachineName } });
            case ("PATCH", [_, "device", "host-config"]):
                return Failed(400, "The host name and the network of this device are set in config.yaml on its boot partition");
            default:
                return null;
        }
    }

    private HttpAnswer OneService(NumberedApp app, bool stopping, bool force)
    {
        if (app.Release.Services.Count != 1) return Failed(400, "Some v1 endpoints are only allowed on single-container apps");
        var service = app.Release.Services.Values.First();
        if (stopping) actions.Stop(app.Release.App, [service.Name], force);
        else actions.Start(app.Release.App, [service.Name]);
        var container = Reconciler.Seen is { } seen ? DeviceReport.ContainerOf(app.Release, service, seen) : null;
        return Json(new() { ["containerId"] = container?.Id });
    }

    private HttpAnswer OneApp(NumberedApp app)
    {
        if (app.Services.Count() != 1) return Failed(400, "Some v1 endpoints are only allowed on single-container apps");
        var (service, _, imageId) = app.Services.First();
        var environment = new JsonObject();
        foreach (var (name, value) in service.Container.Environment ?? []) environment[name] = value;
        return Json(new()
        {
            ["appId"] = app.Id,
            ["commit"] = app.Release.Commit,
            ["releaseId"] = app.ReleaseId,
            ["imageId"] = service.Image,
            ["containerId"] = Reconciler.Seen is { } seen ? DeviceReport.ContainerOf(app.Release, service, seen)?.Id : null,
            ["env"] = environment,
        });
    }
}

/// <summary>Shows which board is meant: its light blinks for a while, when it has one.</summary>
internal static class Blink
{
    private static readonly string[] Lights = ["led0", "ACT", "act", "status", "user", "blue:user"];
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(15);
    private static int busy;

    public static void Begin()
    {
        if (Lights.Select(l => $"/sys/class/leds/{l}").FirstOrDefault(Directory.Exists) is { } light && Interlocked.Exchange(ref busy, 1) == 0) _ = RunAsync(light);
    }

    private static async Task RunAsync(string light)
    {
        try
        {
            for (var i = 0; i < Time / TimeSpan.FromSeconds(0.25); i++)
            {
                await File.WriteAllTextAsync($"{light}/brightness", i % 2 == 0 ? "255" : "0");
                await Task.Delay(250);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A light that cannot be switched shows nothing.
        }
        finally
        {
            Interlocked.Exchange(ref busy, 0);
        }
    }
}
