using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>The host's update and the apps: who waits for whom, and what a new host is measured by.</summary>
public sealed class HostAndApps
{
    private readonly World world = new(new Random(34));
    private readonly Given given;

    public HostAndApps()
    {
        given = new(world);
        given.Images("web:1", "web:2");
    }

    private string? Hindrance(bool impatient = false, bool force = false, TargetState? target = null) =>
        HostUpdateAgent.Hindrance(Seen, target is null ? [] : Planner.NextSteps(Seen, target, world.Now), impatient, force);

    private CurrentState Seen => world.Observe();

    private static TargetState Web(string image) => Given.Target(Given.Service("web", image));

    [Fact]
    public void S34_With_an_app_that_fails_in_the_same_update_the_app_goes_back_first_and_then_the_host_is_tried()
    {
        given.Settle(Web("web:1"));
        Assert.Null(Hindrance(target: Web("web:1")));
        given.Image("web:bad", Behaviour.Exits);
        var waited = 0;
        for (var round = 0; round < 400 && !world.Memory.Bad.Exists(b => b.App == "app"); round++)
        {
            world.Round(Web("web:bad"));
            if (Hindrance(target: Web("web:bad")) is { } why)
            {
                waited++;
                Assert.StartsWith("the apps first: ", why);
            }
        }

        Assert.True(waited > 0);
        given.Settle(Web("web:bad"));
        Assert.Null(Hindrance(target: Web("web:bad"))); // it has its verdict, and the good one runs
        Assert.Equal("web:1", SpecHash.ReadService(given.The("web").Spec)!.Image);
        // Under the new host the app that runs is what it is measured by.
        Assert.Equal("", HostUpdateAgent.Missing(new() { Services = ["app/web"] }, Seen, true));
    }

    [Fact]
    public void An_update_of_the_apps_that_never_ends_does_not_keep_the_host_from_being_mended()
    {
        given.Settle(Web("web:1"));
        Assert.NotNull(Hindrance(target: Web("web:2")));
        Assert.Null(Hindrance(impatient: true, target: Web("web:2")));
    }

    [Fact]
    public void S40_An_update_lock_holds_the_boot_of_the_other_host_until_it_is_gone_or_forced()
    {
        given.Settle(Web("web:1"));
        world.Locked = true;
        Assert.Equal("app/web holds an update lock", Hindrance());
        Assert.Equal("app/web holds an update lock", Hindrance(impatient: true)); // for ever, if need be
        Assert.Null(Hindrance(force: true));
        world.Locked = false;
        Assert.Null(Hindrance());
    }

    [Fact]
    public void Without_an_engine_nothing_is_tried() => Assert.Equal("the engine has not answered yet", HostUpdateAgent.Hindrance(null, [], true, true));

    [Fact]
    public void S81_A_host_under_which_a_service_or_the_network_does_not_come_back_is_told_so()
    {
        var before = new HostRecord { Services = ["app/web"], Network = true };
        Assert.Equal("the engine has not answered yet", HostUpdateAgent.Missing(before, null, true));
        Assert.Equal("app/web does not run as it did before", HostUpdateAgent.Missing(before, Seen, true));
        given.Settle(Web("web:1"));
        Assert.Equal("there is no network, as there was before", HostUpdateAgent.Missing(before, Seen, false));
        Assert.Equal("", HostUpdateAgent.Missing(before, Seen, true));
        Assert.Equal("", HostUpdateAgent.Missing(before with { Network = false }, Seen, false)); // there was none before
        var unwell = Seen;
        foreach (var health in new[] { Health.Unhealthy, Health.Starting })
            Assert.Contains("app/web", HostUpdateAgent.Missing(before, unwell with { Containers = unwell.Containers.ConvertAll(c => c with { Health = health }) }, true));
    }
}
