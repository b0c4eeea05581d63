using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>The apps a developer's machine pushed, as it sent them.</summary>
internal sealed record PushedTarget(string Apps);

/// <summary>The third master: a developer's push. While local mode is on and something was pushed, only that runs; the fleet or the compose
/// file have their say again when local mode ends.</summary>
internal sealed class LocalPush(HostPaths paths, Reconciler reconciler, FleetConfig config, DeviceKeys keys)
{
    private readonly KeptFile<PushedTarget> file = new(Path.Combine(new Places(paths).StateDirectory, "local-target.json"), DeviceJson.Default.PushedTarget, t => t.Apps is not null, secret: false);
    private readonly HostReadings host = new(paths);
    private FleetSettings settings = FleetSettings.From(new Dictionary<string, string>(), config);
    private PushedTarget? pushed;

    /// <summary>What the fleet or config.json say; a change may begin or end local mode.</summary>
    public FleetSettings Settings
    {
        get => settings;
        set
        {
            settings = value;
            if (value.LocalMode || pushed is null) return;
            pushed = null;
            file.Delete();
        }
    }

    public bool Active => settings.LocalMode && pushed is not null;

    /// <summary>After a restart: what was pushed before still counts.</summary>
    public void Resume()
    {
        if (!settings.LocalMode) file.Delete();
        if (file.Load() is not { } kept) return;
        try
        {
            reconciler.Accept(Read(kept.Apps), "a local push before the restart");
            pushed = kept;
        }
        catch (JsonException)
        {
            file.Delete();
        }
    }

    /// <summary>The apps as they were pushed, for the one who pushes next.</summary>
    public JsonNode Apps => pushed is null ? new JsonObject() : JsonNode.Parse(pushed.Apps)!;

    /// <exception cref="JsonException">What was pushed cannot run; the message says why.</exception>
    public void Push(byte[] body)
    {
        using var document = JsonDocument.Parse(body, new() { MaxDepth = 64 });
        if (!document.RootElement.TryGetProperty("local", out var local) || !local.TryGetProperty("apps", out var apps) || apps.ValueKind != JsonValueKind.Object) throw new JsonException("the target state has no local.apps");
        var target = Read(apps.GetRawText());
        // From here on no other master has the say, and "applying" is answered.
        pushed = new(apps.GetRawText());
        reconciler.Accept(target, "a local push");
        file.Save(pushed);
    }

    private TargetState Read(string apps)
    {
        using var document = JsonDocument.Parse(apps);
        var facts = host.Facts(config) with { ServiceKey = keys.ForService };
        return new([.. document.RootElement.EnumerateObject().Select(app => LocalTarget.Read(app.Name, app.Value, facts))]);
    }
}

/// <summary>Reads one app of the older target state, in which services are keyed by number and the composition is flattened into them. Pure.</summary>
internal static class LocalTarget
{
    /// <exception cref="JsonException">The app cannot run; the message says why.</exception>
    public static Release Read(string id, JsonElement app, DeviceFacts facts)
    {
        if (app.ValueKind != JsonValueKind.Object) throw new JsonException($"the app '{id}' is not an app");
        var name = TargetReader.Text(app, "name") is { } given && TargetReader.IsName(given) ? given : "local";
        var commit = TargetReader.Text(app, "commit") is { } c && TargetReader.IsName(c) ? c : "localrelease";
        var ids = new ReleaseIds(long.TryParse(id, out var number) ? number : 1, name, TargetReader.Whole(app, "releaseId") ?? 1);
        var reader = new ReleaseReader(name, commit, ids, facts);
        if (app.TryGetProperty("services", out var services) && services.ValueKind == JsonValueKind.Object)
            foreach (var service in services.EnumerateObject()) reader.Add(TargetReader.Text(service.Value, "serviceName") ?? service.Name, service.Value, service.Value);
        var release = reader.Finish(app) ?? throw new JsonException(string.Join("; ", reader.Errors));
        // A developer wants to see a service fail, not to see the last one come back; and its images are on the device only.
        return release with { Services = new(release.Services.ToDictionary(s => s.Key, s => s.Value with { Pull = PullPolicy.Never, Update = s.Value.Update with { Rollback = false } }), StringComparer.Ordinal) };
    }
}
