using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>A hand-over step by step: who runs and who has the addresses while the new one gets ready, proves itself, or fails at it.</summary>
public sealed class HandOvers
{
    private readonly World world = new(new Random(1)) { Skips = 0 };
    private readonly Given given;
    private readonly string old;

    public HandOvers()
    {
        given = new(world);
        given.Images("a:1", "a:2", "a:3");
        given.Settle(To("a:1"));
        old = given.The("a").Id;
    }

    private static TargetState To(string image, int port = 80) => Given.Target(Given.By(UpdateStrategy.HandOver, image) with { Container = Given.By(UpdateStrategy.HandOver, image, ports: true).Container with { Ports = [new(80, port)] } });

    private ContainerState? New(string image) => world.Containers.Find(c => c.ImageId == "sha256:" + image);

    private string Leads => world.Relays["app/a"].ContainerId;

    /// <summary>Rounds until the addresses lead to the container of this image; the one of the old release runs all the while.</summary>
    private ContainerState UntilTaken(TargetState target, string image)
    {
        for (var i = 0; i < 100; i++)
        {
            world.Round(target);
            Assert.True(world.Containers.Exists(c => c.Id == old && c.Up), "the old one was stopped");
            if (New(image) is { } taken && Leads == taken.Id) return taken;
        }

        Assert.Fail("it never took over");
        return null!;
    }

    [Fact]
    public void S22_The_old_one_runs_on_until_the_new_one_has_proved_itself()
    {
        var target = To("a:2");
        var taken = UntilTaken(target, "a:2");
        while (world.Containers.Exists(c => c.Id == old && c.Up))
        {
            Assert.Equal(taken.Id, Leads);
            Assert.Equal("a:1", world.Memory.Good["app"].Services["a"].Image);
            var ran = New("a:2")!.RunningFor;
            var plan = world.Round(target);
            if (plan.Exists(s => s is Step.Stop)) Assert.True(ran >= TimeSpan.FromSeconds(10), $"stopped after {ran}");
        }

        given.Settle(target);
        Assert.Equal(taken.Id, given.The("a").Id);
        Assert.Equal("a:2", world.Memory.Good["app"].Services["a"].Image);
    }

    [Theory]
    [InlineData("Unhealthy")]
    [InlineData("Exits")]
    public void S23_26_One_that_fails_in_its_proving_time_gives_the_addresses_back_and_the_old_one_never_stopped(string behaviour)
    {
        var target = To("a:2");
        UntilTaken(target, "a:2");
        world.Behave("sha256:a:2", Enum.Parse<Behaviour>(behaviour));
        var done = given.Settle(target);
        Assert.Equal(old, given.The("a").Id);
        Assert.Equal(old, Leads);
        Assert.Single(world.Memory.Bad);
        Assert.DoesNotContain(done, s => s is Step.Stop stop && stop.ContainerId == old || s is Step.Start start && start.ContainerId == old);
    }

    [Fact]
    public void S23_26_While_the_new_one_is_down_the_old_one_has_the_addresses_with_its_own_ports()
    {
        var target = To("a:2", port: 81);
        var taken = UntilTaken(target, "a:2");
        world.End(taken.Id, 1);
        var back = Assert.Single(world.Round(target).OfType<Step.Publish>());
        Assert.Equal((old, 80), (back.ContainerId, back.Ports.Single().HostPort));
        given.Settle(target);
        Assert.Equal(taken.Id, given.The("a").Id);
        Assert.Equal(taken.Id, Leads);
    }

    [Fact]
    public void S24_After_a_restart_in_a_download_the_old_one_has_its_addresses_again()
    {
        world.RegistryAway = true;
        world.Round(To("a:3"));
        world.RestartWorker();
        world.Round(To("a:3"));
        Assert.Equal(old, Leads);
    }

    [Fact]
    public void S24_After_a_restart_in_the_proving_time_it_is_proved_anew_and_the_old_one_still_runs()
    {
        var target = To("a:2");
        var taken = UntilTaken(target, "a:2");
        world.RestartWorker();
        Assert.Equal(taken.Id, UntilTaken(target, "a:2").Id);
        given.Settle(target);
        Assert.Equal(taken.Id, given.The("a").Id);
    }

    [Fact]
    public void S13_A_third_release_in_the_proving_time_leaves_the_good_one_to_go_back_to()
    {
        UntilTaken(To("a:2"), "a:2");
        var target = To("a:3");
        var taken = UntilTaken(target, "a:3");
        for (var i = 0; i < 20 && New("a:2") is not null; i++) world.Round(target);
        Assert.Null(New("a:2"));
        Assert.True(world.Containers.Exists(c => c.Id == old && c.Up));
        world.Behave("sha256:a:3", Behaviour.Exits);
        given.Settle(target);
        Assert.Equal(old, given.The("a").Id);
        Assert.Equal(old, Leads);
        Assert.NotEqual(taken.Id, old);
    }

    [Fact]
    public void S35_A_lock_taken_in_the_proving_time_keeps_the_old_one_and_holds_nothing_else()
    {
        var target = To("a:2");
        UntilTaken(target, "a:2");
        world.Locked = true;
        for (var i = 0; i < 60; i++) Assert.DoesNotContain(world.Round(target), s => s is Step.Stop or Step.Publish);
        world.Behave("sha256:a:2", Behaviour.Unhealthy);
        for (var i = 0; i < 60; i++) world.Round(target);
        Assert.Equal(old, Leads);
        world.Locked = false;
        given.Settle(target);
        Assert.Equal(old, given.The("a").Id);
    }
}
