using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;
using static OsBuild.Tests.Supervisor.Given;

namespace OsBuild.Tests.Supervisor;

/// <summary>A service in the network of another (<c>network_mode: service:vpn</c>): it follows that service's container wherever it goes.</summary>
public sealed class SharedNamespaces
{
    private readonly World world = new(new Random(3)) { Skips = 0 };
    private readonly Given given;

    public SharedNamespaces()
    {
        given = new(world);
        given.Images("app:1", "app:2", "vpn:1", "vpn:2");
    }

    private static Service App(string image, UpdateStrategy strategy = UpdateStrategy.DownloadThenKill) => Service("app", image, s => s with
    {
        Container = s.Container with { Networks = null, NetworkMode = "service:vpn" },
        DependsOn = [new("vpn", DependencyCondition.Started)],
        Update = s.Update with { Strategy = strategy },
    });

    private static Service Vpn(string image, UpdateStrategy strategy = UpdateStrategy.DownloadThenKill, bool ports = false) => By(strategy, image, ports) with { Name = "vpn" };

    private ContainerState Only(string service) => given.The(service);

    [Fact]
    public void It_is_started_after_its_owner_and_in_its_very_container()
    {
        var done = given.Settle(Target(App("app:1"), Vpn("vpn:1")));
        Assert.True(IndexOf<Step.Start>(done, "app-vpn") < IndexOf<Step.Start>(done, "app-app"));
        Assert.Equal([Only("vpn").Id], Only("app").SharesWith);
        Assert.True(Only("app").Up);
        for (var i = 0; i < 50; i++) Assert.Empty(world.Round(world.Memory.Target!));
    }

    [Theory]
    [InlineData("DownloadThenKill", "DownloadThenKill")]
    [InlineData("KillThenDownload", "DownloadThenKill")]
    [InlineData("DeleteThenDownload", "KillThenDownload")]
    [InlineData("DownloadThenKill", "HandOver")]
    [InlineData("HandOver", "HandOver")]
    public void A_new_container_of_its_owner_means_a_new_one_of_its_own(string owners, string its)
    {
        var (owner, own) = (Enum.Parse<UpdateStrategy>(owners), Enum.Parse<UpdateStrategy>(its));
        given.Settle(Target(App("app:1", own), Vpn("vpn:1", owner)));
        var (vpn, app) = (Only("vpn").Id, Only("app").Id);
        var done = given.Settle(Target(App("app:1", own), Vpn("vpn:2", owner)));
        Assert.Equal("sha256:vpn:2", Only("vpn").ImageId);
        Assert.NotEqual((vpn, app), (Only("vpn").Id, Only("app").Id));
        Assert.Equal([Only("vpn").Id], Only("app").SharesWith);
        Assert.True(Only("app").Up);
        Assert.Contains(done, s => s is Step.Create { Service.Name: "app", Cause: "vpn, whose name spaces it is in, has another container" });
    }

    [Fact]
    public void Its_own_update_leaves_its_owner_alone()
    {
        given.Settle(Target(App("app:1"), Vpn("vpn:1")));
        var vpn = Only("vpn").Id;
        given.Settle(Target(App("app:2"), Vpn("vpn:1")));
        Assert.Equal((vpn, "sha256:app:2"), (Only("vpn").Id, Only("app").ImageId));
    }

    [Fact]
    public void When_its_owner_ended_and_was_started_again_so_is_it()
    {
        var target = Target(App("app:1"), Vpn("vpn:1"));
        given.Settle(target);
        var app = Only("app").Id;
        world.End(Only("vpn").Id, 1);
        var done = given.Settle(target);
        Assert.Contains(done, s => s is Step.Stop { Name: "app-app", Cause: "vpn, whose name spaces it is in, was started after it" });
        Assert.Equal((app, true), (Only("app").Id, Only("app").Up));
        Assert.True(Only("app").RunningFor <= Only("vpn").RunningFor);
    }

    [Fact]
    public void What_a_person_removed_comes_back_with_what_was_in_it()
    {
        var target = Target(App("app:1"), Vpn("vpn:1"));
        given.Settle(target);
        world.Containers.RemoveAll(c => c.Service == "vpn");
        given.Settle(target);
        Assert.Equal([Only("vpn").Id], Only("app").SharesWith);
        Assert.True(Only("app").Up);
    }

    [Fact]
    public void While_its_owner_is_held_it_waits_and_its_container_is_made_when_there_is_one()
    {
        var target = Target(App("app:1"), Vpn("vpn:1"));
        world.Memory = world.Memory.Apply(new JournalEntry.ServiceHeld("app/vpn", true));
        List<Step> plan = [];
        for (var i = 0; i < 20; i++) plan = world.Round(target);
        Assert.Contains(plan, s => s is Step.Wait { For: "vpn" });
        Assert.Empty(world.Containers);
        world.Memory = world.Memory.Apply(new JournalEntry.ServiceHeld("app/vpn", false));
        given.Settle(target);
        Assert.True(Only("app").Up);
    }

    [Fact]
    public void A_hand_over_of_the_owner_waits_for_what_is_in_its_network()
    {
        given.Settle(Target(App("app:1", UpdateStrategy.HandOver), Vpn("vpn:1", UpdateStrategy.HandOver, ports: true)));
        var target = Target(App("app:2", UpdateStrategy.HandOver), Vpn("vpn:2", UpdateStrategy.HandOver, ports: true));
        var taken = false;
        for (var i = 0; i < 200 && !taken; i++)
            world.Round(target, (current, plan) =>
            {
                taken = plan.Exists(s => s is Step.Publish);
                if (taken) Assert.Contains(current.Containers, c => c is { Service: "app", ImageId: "sha256:app:2", Health: Health.Healthy });
                Assert.True(taken || !plan.Exists(s => s is Step.Stop), "something was stopped before");
            });
        Assert.True(taken);
        given.Settle(target);
        Assert.Equal(Only("vpn").Id, world.Relays["app/vpn"].ContainerId);
    }

    [Fact]
    public void A_hand_over_whose_companion_is_ill_is_lost_and_the_old_pair_never_stopped()
    {
        given.Settle(Target(App("app:1", UpdateStrategy.HandOver), Vpn("vpn:1", UpdateStrategy.HandOver, ports: true)));
        var (vpn, app) = (Only("vpn").Id, Only("app").Id);
        given.Image("app:2", Behaviour.Unhealthy);
        var done = given.Settle(Target(App("app:2", UpdateStrategy.HandOver), Vpn("vpn:2", UpdateStrategy.HandOver, ports: true)));
        Assert.Equal((vpn, app), (Only("vpn").Id, Only("app").Id));
        Assert.Single(world.Memory.Bad);
        Assert.DoesNotContain(done, s => s is Step.Stop stop && (stop.ContainerId == vpn || stop.ContainerId == app));
    }

    [Theory]
    [InlineData("DownloadThenKill")]
    [InlineData("KillThenDownload")]
    [InlineData("DeleteThenDownload")]
    [InlineData("HandOver")]
    public void S41_Killed_before_or_after_any_step_of_an_update_the_pair_is_together_at_the_end(string name)
    {
        var strategy = Enum.Parse<UpdateStrategy>(name);
        var after = Target(App("app:1", strategy), Vpn("vpn:2", strategy, ports: true));
        var whole = Pair(strategy);
        var first = whole.World.Performed;
        whole.Settle(after);
        Assert.True(whole.World.Performed > first);
        for (var step = first + 1; step <= whole.World.Performed; step++)
            foreach (var before in (bool[])[true, false])
            {
                var pair = Pair(strategy);
                pair.World.DieAt = (step, before);
                Assert.Throws<WorkerKilled>(() => pair.Settle(after));
                pair.World.RestartWorker();
                pair.World.DieAt = null;
                pair.Settle(after);
                var (vpn, app) = (pair.The("vpn"), pair.The("app"));
                Assert.True(vpn is { Up: true, ImageId: "sha256:vpn:2" } && app.Up && app.SharesWith.SequenceEqual([vpn.Id]), $"killed {(before ? "before" : "after")} step {step}\n{string.Join('\n', pair.World.Trace.TakeLast(40))}");
            }
    }

    private static Given Pair(UpdateStrategy strategy)
    {
        var pair = new Given(new World(new Random(1)) { Skips = 0 });
        pair.Images("app:1", "vpn:1", "vpn:2");
        pair.Settle(Target(App("app:1", strategy), Vpn("vpn:1", strategy, ports: true)));
        return pair;
    }

    [Fact]
    public void Compose_makes_it_depend_on_its_owner_and_go_along_with_a_hand_over()
    {
        var release = ComposeFile.Read("""
            services:
              app: { image: "a:1", network_mode: "service:vpn", pid: "service:vpn" }
              side: { image: "a:1", network_mode: "service:app" }
              vpn: { image: "vpn:1", deploy: { update_config: { order: start-first } } }
            """).Release!;
        Assert.Equal([new("vpn", DependencyCondition.Started)], release.Services["app"].DependsOn);
        Assert.Equal(["HandOver", "HandOver"], new[] { "app", "side" }.Select(s => release.Services[s].Update.Strategy.ToString()));
        Assert.Null(release.Services["app"].Container.Networks);
        Assert.Equal(["default"], release.Networks.Keys);
    }

    [Fact]
    public void The_engine_is_told_the_container_and_the_hash_knows_the_service_only()
    {
        var release = ComposeFile.Read("""
            services:
              app: { image: "a:1", network_mode: "service:vpn", pid: "service:vpn", ipc: "service:mem" }
              vpn: { image: "vpn:1" }
              mem: { image: "vpn:1", ipc: shareable }
            """).Release!;
        var made = CreateParameters.Container(release, release.Services["app"], "sha256:a", "app-app", "/run/x", _ => "", new Dictionary<string, string>(), new SortedDictionary<string, string> { ["vpn"] = "0123", ["mem"] = "4567" });
        Assert.Equal(("container:0123", "container:0123", "container:4567"), (made.HostConfig!.NetworkMode, made.HostConfig.PidMode, made.HostConfig.IpcMode));
        Assert.Null(made.NetworkingConfig);
        Assert.Equal("4567,0123", made.Labels![EngineLabels.Shares]);
        Assert.Contains("\"networkMode\":\"service:vpn\"", made.Labels![EngineLabels.Spec]);
        Assert.DoesNotContain("0123", made.Labels![EngineLabels.Spec]);
    }
}
