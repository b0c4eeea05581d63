using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>Target states and devices to begin with.</summary>
internal static class GivenFleet
{
    public static readonly DeviceFacts Facts = new()
    {
        Uuid = RecordedWalk.Uuid,
        Name = "twilight-voice",
        DeviceType = "generic-amd64",
        Architecture = "amd64",
        OsName = "OsBuild",
        OsVersion = "6.5.39+rev1",
        KernelVersion = "6.1.0-18-amd64",
        ApiEndpoint = "https://fleet.test",
        DeviceKey = "k3y",
        EngineSocket = "/run/docker.sock",
        HostPaths = new HashSet<string> { "/lib/modules", "/run/dbus" },
        ServiceKey = (app, service) => $"key-of-{app[..4]}-{service}",
    };

    /// <summary>One service in the fleet's form.</summary>
    public static JsonObject Service(string image = "registry.test/v2/ab12@sha256:1111111111111111111111111111111111111111111111111111111111111111", long id = 501, long imageId = 70077) => new()
    {
        ["id"] = id,
        ["image_id"] = imageId,
        ["image"] = image,
        ["environment"] = new JsonObject(),
        ["labels"] = new JsonObject(),
        ["composition"] = new JsonObject { ["restart"] = "always" },
    };

    public static JsonObject Apps(JsonObject services, string commit = RecordedWalk.Commit, long release = 99, JsonObject? networks = null, JsonObject? volumes = null) => new()
    {
        [RecordedWalk.App] = new JsonObject
        {
            ["id"] = 1801,
            ["name"] = "pumps",
            ["class"] = "fleet",
            ["is_host"] = false,
            ["releases"] = new JsonObject { [commit] = new JsonObject { ["id"] = release, ["services"] = services, ["networks"] = networks ?? [], ["volumes"] = volumes ?? [] } },
        },
    };

    public static byte[] State(JsonObject apps, JsonObject? config = null, string name = "twilight-voice") => Encoding.UTF8.GetBytes(
        new JsonObject { [RecordedWalk.Uuid] = new JsonObject { ["name"] = name, ["config"] = config ?? [], ["apps"] = apps.DeepClone() } }.ToJsonString());

    public static FleetTarget Read(JsonObject apps, DeviceFacts? facts = null) => TargetReader.Read(State(apps), facts ?? Facts);

    /// <summary>One service alone in a release, read.</summary>
    public static Service Read(Action<JsonObject> change, DeviceFacts? facts = null)
    {
        var service = Service();
        change(service);
        var target = Read(Apps(new() { ["main"] = service }), facts);
        Assert.Empty(target.Rejected);
        return target.Releases[0].Services["main"];
    }

    public static CurrentState Seen(params ContainerState[] containers) => new() { Containers = [.. containers] };

    public static ContainerState Container(Release release, string service, ContainerStatus status = ContainerStatus.Running, string? hash = null) => new()
    {
        Id = $"{service}-{hash ?? release.Services[service].Hash()}",
        App = release.App,
        Service = service,
        Hash = hash ?? release.Services[service].Hash(),
        ImageId = "sha256:1",
        Status = status,
        StartedAt = "2026-01-01T00:00:00Z",
    };
}
