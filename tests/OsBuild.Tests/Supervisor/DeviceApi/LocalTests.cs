using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.DeviceApi;

using OsBuild.Tests.Supervisor.Fleet;

/// <summary>What the balena CLI sends when it pushes to a device, and what it is told.</summary>
public sealed class LocalTests
{
    /// <summary>The body of POST /v2/local/target-state, in the form the CLI was seen to send.</summary>
    internal static byte[] Push(string labels = "") => Encoding.UTF8.GetBytes($$$$$"""
        {"local":{"name":"dev","config":{},"apps":{"1":{"name":"localapp","commit":"10ca12e1ea5e","releaseId":"1","services":{"1":{
          "environment":{"A":"1"},"labels":{"io.resin.features.kernel-modules":"1","io.resin.features.supervisor-api":"1"{{{{{labels}}}}}},"privileged":true,"tty":true,"restart":"always","network_mode":"host",
          "volumes":["resin-data:/data"],"imageId":1,"serviceName":"main","serviceId":1,"image":"local_image_main:latest","running":true}},
          "volumes":{"resin-data":{}},"networks":{}}}},"dependent":{"apps":[],"devices":[]}}
        """);

    private static Release Read(byte[] push)
    {
        using var document = JsonDocument.Parse(push);
        var app = document.RootElement.GetProperty("local").GetProperty("apps").GetProperty("1");
        return LocalTarget.Read("1", app, GivenFleet.Facts);
    }

    [Fact]
    public void A_push_becomes_a_release()
    {
        var release = Read(Push());
        Assert.Equal(("localapp", "10ca12e1ea5e", new ReleaseIds(1, "localapp", 1)), (release.App, release.Commit, release.Ids));
        var main = release.Services["main"];
        Assert.Equal(("local_image_main:latest", PullPolicy.Never, "main_1_1_10ca12e1ea5e", new ServiceIds(1, 1)), (main.Image, main.Pull, main.ContainerName, main.Ids));
        Assert.Equal((true, "host", "1", "/lib/modules"), (main.Container.Privileged, main.Container.NetworkMode, main.Container.Environment!["A"], main.Container.Mounts![^1].Source));
        Assert.Equal("1_resin-data", release.Volumes["resin-data"].EngineName(release.App, "resin-data"));
        // Who develops wants to see it fail.
        Assert.False(main.Update.Rollback);
    }

    [Fact]
    public void What_cannot_run_is_refused_with_its_reason()
    {
        var push = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(Push()).Replace("resin-data:/data", "nowhere:/data", StringComparison.Ordinal));
        Assert.Contains("the volume 'nowhere' is not defined", Assert.Throws<JsonException>(() => Read(push)).Message);
    }

    [Fact]
    public void Says_applying_until_the_new_containers_run()
    {
        var target = new TargetState([Read(Push())]);
        var seen = GivenFleet.Seen();
        JsonObject Status(List<Step>? plan, CurrentState current) => DeviceStatus.Status(target, current, plan, new Dictionary<string, int>());
        Assert.Equal("applying", Status(null, seen)["appState"]!.ToString());
        var plan = Planner.NextSteps(seen, target, TimeSpan.Zero);
        Assert.Equal("applying", Status(plan, seen)["appState"]!.ToString());
        var container = GivenFleet.Container(target.Apps[0], "main") with { RunningFor = TimeSpan.FromSeconds(1) };
        seen = seen with { Containers = [container], Images = [new("sha256:1", ["docker.io/library/local_image_main:latest"])], Volumes = [new("1_resin-data", "localapp", SpecHash.Of(target.Apps[0].Volumes["resin-data"]))] };
        plan = Planner.NextSteps(seen, target, TimeSpan.Zero);
        var status = Status(plan, seen);
        Assert.Equal(("applied", "10ca12e1ea5e"), (status["appState"]!.ToString(), status["release"]!.ToString()));
        Assert.Equal($$"""{"status":"Running","serviceName":"main","appId":1,"imageId":1,"serviceId":1,"containerId":"{{container.Id}}","createdAt":"2026-01-01T00:00:00Z"}""", status["containers"]![0]!.ToJsonString());
        // Built again: the old container is still there.
        seen = seen with { Images = [new("sha256:2", ["docker.io/library/local_image_main:latest"])] };
        Assert.Equal("applying", Status(Planner.NextSteps(seen, target, TimeSpan.Zero), seen)["appState"]!.ToString());
        // It ends again and again: that is not for the tool to wait for.
        seen = seen with { Containers = [container with { ImageId = "sha256:2", Status = ContainerStatus.Exited, ExitCode = 1, Starts = 4, AllStarts = 4, StartedThisBoot = true }] };
        Assert.Equal("applied", Status(Planner.NextSteps(seen, target, TimeSpan.Zero), seen)["appState"]!.ToString());
    }

    [Fact]
    public void Apps_without_numbers_get_their_place()
    {
        var apps = NumberedApp.All(new TargetState([new() { App = "a", Services = new() { ["x"] = new() { Name = "x", Image = "i" }, ["y"] = new() { Name = "y", Image = "j" } } }, new() { App = "b" }]));
        Assert.Equal([1L, 2L], apps.Select(a => a.Id));
        Assert.Equal(["x 1 1", "y 2 2"], apps[0].Services.Select(s => $"{s.Service.Name} {s.ServiceId} {s.ImageId}"));
    }
}
