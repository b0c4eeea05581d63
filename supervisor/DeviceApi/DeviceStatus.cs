using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>An app as the device API names it: numbered, since tools ask by number. A compose file's app has no number and gets its place.</summary>
internal sealed record NumberedApp(long Id, Release Release)
{
    public long ReleaseId => Release.Ids?.Release ?? 1;
    public string Name => Release.Ids?.AppName ?? Release.App;

    public static List<NumberedApp> All(TargetState? target) => [.. (target?.Apps ?? []).Select((r, i) => new NumberedApp(r.Ids?.App ?? i + 1, r))];

    public IEnumerable<(Service Service, long ServiceId, long ImageId)> Services => Release.Services.Values.Select((s, i) => (s, s.Ids?.Service ?? i + 1, s.Ids?.Image ?? i + 1));
}

/// <summary>What the device API answers about apps and services. Pure.</summary>
internal static class DeviceStatus
{
    /// <summary>True when the containers are those the target wants.</summary>
    public static bool IsApplied(List<Step> plan) => plan.TrueForAll(s => s is Step.Wait { Settled: true } or Step.MarkGood or Step.Rename or Step.RemoveImage or Step.Start { Again: true });

    public static JsonObject Status(TargetState? target, CurrentState? seen, List<Step>? plan, IReadOnlyDictionary<string, int> downloads)
    {
        var (containers, images) = (new JsonArray(), new JsonArray());
        var apps = NumberedApp.All(target);
        foreach (var app in apps)
            foreach (var (service, serviceId, imageId) in app.Services)
            {
                foreach (var container in (seen?.Containers ?? []).Where(c => c.App == app.Release.App && c.Service == service.Name && c.Hash == service.Hash()))
                    containers.Add((JsonNode)new JsonObject
                    {
                        ["status"] = DeviceReport.ServiceStatus(service, container, seen, null),
                        ["serviceName"] = service.Name,
                        ["appId"] = app.Id,
                        ["imageId"] = imageId,
                        ["serviceId"] = serviceId,
                        ["containerId"] = container.Id,
                        ["createdAt"] = container.StartedAt,
                    });
                images.Add((JsonNode)Image(app, service, imageId, seen, downloads));
            }

        return new JsonObject
        {
            ["status"] = "success",
            ["appState"] = plan is not null && IsApplied(plan) ? "applied" : "applying",
            ["overallDownloadProgress"] = downloads.Count == 0 ? null : (int)downloads.Values.Average(),
            ["containers"] = containers,
            ["images"] = images,
            ["release"] = apps.FirstOrDefault()?.Release.Commit is { Length: > 0 } commit ? commit : null,
        };
    }

    private static JsonObject Image(NumberedApp app, Service service, long imageId, CurrentState? seen, IReadOnlyDictionary<string, int> downloads)
    {
        var progress = downloads.TryGetValue(ImageReference.Normalize(service.Image), out var percent) ? percent : (int?)null;
        var image = seen?.Image(service.Image);
        return new()
        {
            ["name"] = service.Image,
            ["appId"] = app.Id,
            ["serviceName"] = service.Name,
            ["imageId"] = imageId,
            ["dockerImageId"] = image?.Id,
            ["status"] = image is null ? "Downloading" : "Downloaded",
            ["downloadProgress"] = progress,
        };
    }

    /// <summary>/v2/applications/state</summary>
    public static JsonObject Applications(TargetState? target, CurrentState? seen, IReadOnlyDictionary<string, int> downloads, Caller caller)
    {
        var answer = new JsonObject();
        foreach (var app in NumberedApp.All(target).Where(a => caller.MayTouch(a.Release.App)))
        {
            var services = new JsonObject();
            foreach (var (service, _, _) in app.Services) services[service.Name] = ServiceState(app, service, seen, downloads, "downloadProgress");
            answer[app.Name] = new JsonObject { ["appId"] = app.Id, ["commit"] = app.Release.Commit, ["services"] = services };
        }

        return answer;
    }

    /// <summary>/v2/applications/ID/state</summary>
    public static JsonObject Application(NumberedApp app, CurrentState? seen, IReadOnlyDictionary<string, int> downloads)
    {
        var services = new JsonObject();
        foreach (var (service, _, imageId) in app.Services) services[$"{imageId}"] = ServiceState(app, service, seen, downloads, "download_progress");
        return new() { ["local"] = new JsonObject { [$"{app.Id}"] = new JsonObject { ["services"] = services } }, ["commit"] = app.Release.Commit };
    }

    private static JsonObject ServiceState(NumberedApp app, Service service, CurrentState? seen, IReadOnlyDictionary<string, int> downloads, string progressName)
    {
        var progress = downloads.TryGetValue(ImageReference.Normalize(service.Image), out var percent) ? percent : (int?)null;
        var container = seen is null ? null : DeviceReport.ContainerOf(app.Release, service, seen);
        return new() { ["status"] = DeviceReport.ServiceStatus(service, container, seen, progress), ["releaseId"] = app.ReleaseId, [progressName] = progress };
    }

    /// <summary>/v1/device</summary>
    public static JsonObject Device(DeviceFacts facts, HostAddresses addresses, TargetState? target, CurrentState? seen, List<Step> plan, IReadOnlyDictionary<string, int> downloads)
    {
        var release = target?.Apps.FirstOrDefault();
        var status = release is null ? "done" : DeviceReport.UpdateStatus(release, seen);
        var answer = new JsonObject
        {
            ["api_port"] = facts.Port,
            ["ip_address"] = addresses.Ip,
            ["mac_address"] = addresses.Mac,
            ["os_version"] = $"{facts.OsName} {facts.OsVersion}".Trim(),
            ["supervisor_version"] = DeviceFacts.CompatibleVersion,
            ["status"] = downloads.Count > 0 ? "Downloading" : plan.Exists(s => s is not Step.Wait) ? "Installing" : "Idle",
            ["download_progress"] = downloads.Count == 0 ? null : (int)downloads.Values.Average(),
            ["update_pending"] = !IsApplied(plan),
            ["update_downloaded"] = status == "downloaded",
            ["update_failed"] = release is not null && seen is not null && AppPlan.IsBad(seen, release),
        };
        if (release is { Commit.Length: > 0 }) answer["commit"] = release.Commit;
        return answer;
    }
}
