using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>What a supervisor must get right, case by case, on the simulated device. The numbers are those of the list the tests were drawn from.</summary>
public sealed class Scenarios
{
    private readonly World world;
    private readonly Given given;

    public Scenarios() => given = new Given(world = new World(new Random(5)));

    private static Service Service(string name, string image, Func<Service, Service>? change = null) => Given.Service(name, image, change);

    private static TargetState Target(params Service[] services) => Given.Target(services);

    private void Image(string reference, Behaviour behaviour = Behaviour.Good) => given.Image(reference, behaviour);

    private List<Step> Settle(TargetState target) => given.Settle(target);

    private ContainerState The(string service) => given.The(service);

    private static int IndexOf<T>(List<Step> steps, string name) where T : Step => Given.IndexOf<T>(steps, name);

    [Fact]
    public void S01_First_boot_starts_three_services_in_order_of_dependency()
    {
        foreach (var image in (string[])["a:1", "b:1", "c:1"]) Image(image);
        var done = Settle(Target(Service("a", "a:1", s => s with { DependsOn = [new("b", DependencyCondition.Healthy)] }), Service("b", "b:1", s => s with { DependsOn = [new("c", DependencyCondition.Started)] }), Service("c", "c:1")));
        Assert.True(IndexOf<Step.Start>(done, "app-c") < IndexOf<Step.Start>(done, "app-b"));
        Assert.True(IndexOf<Step.Start>(done, "app-b") < IndexOf<Step.Start>(done, "app-a"));
    }

    [Fact]
    public void S02_A_round_with_nothing_to_do_has_no_steps()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1"));
        Settle(target);
        for (var i = 0; i < 50; i++) Assert.Empty(world.Round(target));
    }

    [Fact]
    public void S03_Only_the_service_that_changed_is_replaced()
    {
        Image("a:1");
        Settle(Target(Service("a", "a:1"), Service("b", "a:1")));
        var b = The("b").Id;
        var done = Settle(Target(Service("a", "a:1", s => s with { Container = s.Container with { User = "1" } }), Service("b", "a:1")));
        Assert.Equal(b, The("b").Id);
        Assert.Contains("changed: user", string.Join('\n', done));
    }

    [Fact]
    public void S05_A_service_that_is_gone_is_removed_and_its_volume_stays()
    {
        Image("a:1");
        Image("b:1");
        var both = Target(Service("a", "a:1"), Service("b", "b:1"));
        both.Apps[0].Volumes["data"] = new();
        Settle(both);
        var done = Settle(Target(Service("a", "a:1")));
        Assert.DoesNotContain(world.Containers, c => c.Service == "b");
        Assert.Single(world.Volumes);
        // Its image stays for as long as a person may go back to it: until the next release has proved itself.
        Assert.DoesNotContain(done, s => s is Step.RemoveImage);
        done = Settle(Target(Service("a", "a:1", s => s with { Container = s.Container with { User = "1" } })));
        Assert.Contains(done, s => s is Step.RemoveImage { Reference: "b:1" });
    }

    [Fact]
    public void S06_A_changed_network_is_made_anew_with_its_users()
    {
        Image("a:1");
        Settle(Target(Service("a", "a:1")));
        var before = The("a").Id;
        var target = Target(Service("a", "a:1"));
        target.Apps[0].Networks["default"] = new() { Internal = true };
        Settle(target);
        Assert.NotEqual(before, The("a").Id);
        Assert.True(The("a").Up);
    }

    [Fact]
    public void S08_A_finished_job_is_not_made_again_for_ever()
    {
        Image("job:1", Behaviour.Exits);
        var target = Target(Service("job", "job:1", s => s with { Restart = RestartPolicy.No, Container = s.Container with { Healthcheck = null } }));
        for (var i = 0; i < 60; i++) world.Round(target);
        Assert.Equal(1, The("job").AllStarts);
    }

    [Fact]
    public void S09_What_was_removed_by_hand_comes_back()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1"));
        Settle(target);
        world.Containers.Clear();
        Settle(target);
        Assert.True(The("a").Up);
    }

    [Fact]
    public void S11_One_that_cannot_start_does_not_hold_up_the_others()
    {
        Image("a:1", Behaviour.CannotBeStarted);
        Image("b:1");
        for (var i = 0; i < 60; i++) world.Round(Target(Service("a", "a:1"), Service("b", "b:1")));
        Assert.True(The("b").Up);
        Assert.False(The("a").Up);
    }

    [Theory]
    [InlineData(1, 0.25)]
    [InlineData(2, 1)]
    [InlineData(3, 2)]
    [InlineData(6, 16)]
    [InlineData(10, 256)]
    [InlineData(11, 300)]
    [InlineData(1000, 300)]
    public void S12_The_pause_before_the_next_start_doubles_up_to_five_minutes(int starts, double seconds) => Assert.Equal(TimeSpan.FromSeconds(seconds), Backoff.Restart(starts));

    [Fact]
    public void S13_A_newer_target_in_the_middle_wins()
    {
        foreach (var image in (string[])["a:1", "a:2", "a:3"]) Image(image);
        Settle(Target(Service("a", "a:1")));
        for (var i = 0; i < 3; i++) world.Round(Target(Service("a", "a:2")));
        Settle(Target(Service("a", "a:3")));
        Assert.Equal("sha256:a:3", The("a").ImageId);
    }

    [Fact]
    public void S15_Dependents_of_a_failing_service_wait_and_the_others_run()
    {
        Image("bad:1", Behaviour.Exits);
        Image("a:1");
        for (var i = 0; i < 80; i++) world.Round(Target(Service("db", "bad:1"), Service("web", "a:1", s => s with { DependsOn = [new("db", DependencyCondition.Healthy)] }), Service("alone", "a:1")));
        Assert.Equal(ContainerStatus.Created, The("web").Status);
        Assert.True(The("alone").Up);
    }

    [Fact]
    public void S17_An_image_that_another_service_uses_stays()
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1"), Service("b", "a:1")));
        Settle(Target(Service("a", "a:2"), Service("b", "a:1")));
        Assert.Contains("sha256:a:1", world.Present);
    }

    [Fact]
    public void S18_A_second_container_of_one_service_is_removed()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1"));
        Settle(target);
        world.Containers.Add(The("a") with { Id = "twin", Name = "twin" });
        Settle(target);
        Assert.Single(world.Containers);
    }

    [Fact]
    public void S19_Nothing_is_stopped_before_all_images_are_there()
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1"), Service("b", "a:1")));
        for (var i = 0; i < 40; i++) Assert.DoesNotContain(world.Round(Target(Service("a", "a:2"), Service("b", "not-in-the-registry:1"))), s => s is Step.Stop);
    }

    [Theory]
    [InlineData("KillThenDownload")]
    [InlineData("DeleteThenDownload")]
    public void S20_21_Nothing_is_stopped_or_deleted_for_an_image_the_registry_does_not_give(string strategy)
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1")));
        world.RegistryAway = true;
        var target = Target(Service("a", "a:2", s => s with { Update = s.Update with { Strategy = Enum.Parse<UpdateStrategy>(strategy) } }));
        for (var i = 0; i < 40; i++) Assert.DoesNotContain(world.Round(target), s => s is Step.Stop or Step.Remove or Step.RemoveImage);
        world.RegistryAway = false;
        Settle(target);
        Assert.Equal("sha256:a:2", The("a").ImageId);
    }

    [Fact]
    public void S20_After_a_failed_download_what_made_room_serves_again()
    {
        Image("a:1");
        Settle(Target(Service("a", "a:1")));
        world.DownloadsFail = true;
        Image("a:2");
        var target = Target(Service("a", "a:2", s => s with { Update = s.Update with { Strategy = UpdateStrategy.KillThenDownload } }));
        var stopped = false;
        for (var i = 0; i < 20; i++) stopped |= world.Round(target).Exists(s => s is Step.Stop);
        Assert.True(stopped);
        Assert.True(The("a").Up);
        world.DownloadsFail = false;
        Settle(target);
        Assert.Equal("sha256:a:2", The("a").ImageId);
    }

    [Fact]
    public void S21_After_a_download_that_fails_for_good_the_deleted_image_is_had_again()
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1")));
        var target = Target(Service("a", "a:2", s => s with { Update = s.Update with { Strategy = UpdateStrategy.DeleteThenDownload } }));
        world.DownloadsFail = true;
        for (var i = 0; i < 60 && world.Memory.Bad.Count == 0; i++) world.Round(target);
        Assert.Contains("cannot be downloaded", Assert.Single(world.Memory.Bad).Reason);
        world.DownloadsFail = false;
        Settle(target);
        Assert.Equal("sha256:a:1", The("a").ImageId);
        Assert.True(The("a").Up);
    }

    [Fact]
    public void S21_Delete_then_download_has_one_image_at_a_time()
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1")));
        var done = Settle(Target(Service("a", "a:2", s => s with { Update = s.Update with { Strategy = UpdateStrategy.DeleteThenDownload } })));
        Assert.True(done.FindIndex(s => s is Step.RemoveImage) < done.FindIndex(s => s is Step.Fetch));
        Assert.True(The("a").Up);
    }

    private static Service HandOver(string image, bool signal) => Service("a", image, s => s with { Update = s.Update with { Strategy = UpdateStrategy.HandOver, Signal = signal }, Container = s.Container with { Ports = [new(80, 80)] } });

    [Theory]
    [InlineData("Good", "sha256:a:2")]
    [InlineData("NeverSignals", "sha256:a:1")]
    [InlineData("Unhealthy", "sha256:a:1")]
    [InlineData("Exits", "sha256:a:1")]
    [InlineData("CannotBeCreated", "sha256:a:1")]
    [InlineData("CannotBeStarted", "sha256:a:1")]
    public void S22_23_26_A_hand_over_is_won_only_by_health_and_signal_and_the_port_moves_last(string behaviour, string winner)
    {
        Image("a:1");
        Image("a:2", Enum.Parse<Behaviour>(behaviour));
        Settle(Target(HandOver("a:1", signal: true)));
        var old = The("a").Id;
        var done = Settle(Target(HandOver("a:2", signal: true)));
        Assert.Equal(winner, The("a").ImageId);
        Assert.Equal(The("a").Id, world.Relays["app/a"].ContainerId);
        if (winner == "sha256:a:1") Assert.DoesNotContain(done, s => s is Step.Stop stop && stop.ContainerId == old);
        else Assert.True(done.FindIndex(s => s is Step.Publish) < done.FindIndex(s => s is Step.Stop));
    }

    [Fact]
    public void S24_After_a_restart_in_a_hand_over_the_old_one_serves_again_at_once()
    {
        Image("a:1");
        Image("a:2", Behaviour.NeverSignals);
        Settle(Target(HandOver("a:1", signal: true)));
        var old = The("a").Id;
        for (var i = 0; i < 12; i++) world.Round(Target(HandOver("a:2", signal: true)));
        world.RestartWorker();
        for (var i = 0; i < 5; i++) world.Round(Target(HandOver("a:2", signal: true)));
        Assert.Equal(old, world.Relays["app/a"].ContainerId);
    }

    [Theory]
    [InlineData("DownloadThenKill")]
    [InlineData("HandOver")]
    public void S25_35_36_A_lock_holds_the_update_until_it_is_gone(string strategy)
    {
        Image("a:1");
        Image("a:2");
        Settle(Target(Service("a", "a:1")));
        world.Locked = true;
        var target = Target(Service("a", "a:2", s => s with { Update = s.Update with { Strategy = Enum.Parse<UpdateStrategy>(strategy) } }));
        for (var i = 0; i < 60; i++) Assert.DoesNotContain(world.Round(target), s => s is Step.Stop);
        Assert.Contains(Planner.NextSteps(world.Observe() with { ForceLocks = true }, target, world.Now), s => s is Step.Stop);
        world.Locked = false;
        Settle(target);
        Assert.Equal("sha256:a:2", The("a").ImageId);
    }

    [Theory]
    [InlineData("Exits")]
    [InlineData("Unhealthy")]
    [InlineData("CannotBeCreated")]
    [InlineData("CannotBeStarted")]
    public void S30_31_A_bad_release_goes_back_is_remembered_and_never_tried_again(string behaviour)
    {
        Image("a:1");
        Image("a:2", Enum.Parse<Behaviour>(behaviour));
        Settle(Target(Service("a", "a:1")));
        var bad = Target(Service("a", "a:2"));
        Settle(bad);
        Assert.Equal("sha256:a:1", The("a").ImageId);
        Assert.True(The("a").Up);
        Assert.Single(world.Memory.Bad);
        Assert.Contains("sha256:a:1", world.Present);
        for (var i = 0; i < 30; i++) Assert.Empty(world.Round(bad));
        // A new image behind the same name is another chance.
        world.Registry["docker.io/library/a:2"] = "sha256:a:2-fixed";
        world.Present.Add("sha256:a:2-fixed");
        Settle(bad);
        Assert.Equal("sha256:a:2-fixed", The("a").ImageId);
    }

    [Fact]
    public void S32_Killed_in_the_middle_of_going_back_it_still_gets_there()
    {
        Image("a:1");
        Image("a:2", Behaviour.Exits);
        Settle(Target(Service("a", "a:1")));
        for (var i = 0; i < 60; i++)
        {
            world.Round(Target(Service("a", "a:2")));
            if (i % 7 == 6) world.RestartWorker();
        }

        Settle(Target(Service("a", "a:2")));
        Assert.Equal("sha256:a:1", The("a").ImageId);
        Assert.True(The("a").Up);
    }

    [Fact]
    public void S33_The_first_release_of_all_is_tried_again_since_there_is_nothing_to_go_back_to()
    {
        Image("a:1", Behaviour.Exits);
        for (var i = 0; i < 40; i++) world.Round(Target(Service("a", "a:1")));
        Assert.True(The("a").AllStarts > 5);
        Assert.Empty(world.Memory.Bad);
    }

    [Fact]
    public void S65_Without_a_target_for_an_app_its_containers_go_but_its_volumes_stay()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1"));
        target.Apps[0].Volumes["data"] = new();
        Settle(target);
        Settle(TargetState.Nothing);
        Assert.Empty(world.Containers);
        Assert.Empty(world.Networks);
        Assert.Single(world.Volumes);
    }

    [Fact]
    public void S90_A_shutdown_stops_dependents_first()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1", s => s with { DependsOn = [new("b", DependencyCondition.Started)] }), Service("b", "a:1"));
        Settle(target);
        Assert.Equal(["app-a"], Planner.Shutdown(world.Observe(), target).Cast<Step.Stop>().Select(s => s.Name));
    }

    [Fact]
    public void A_service_that_a_person_stopped_stays_stopped()
    {
        Image("a:1");
        var target = Target(Service("a", "a:1"));
        Settle(target);
        world.Memory = world.Memory.Apply(new JournalEntry.ServiceHeld("app/a", true));
        Settle(target);
        Assert.False(The("a").Up);
        world.Memory = world.Memory.Apply(new JournalEntry.ServiceHeld("app/a", false));
        Settle(target);
        Assert.True(The("a").Up);
    }

    [Fact]
    public void Every_step_says_what_it_does_and_why()
    {
        Image("a:1");
        Image("a:2", Behaviour.Exits);
        var steps = Settle(Target(Service("a", "a:1")));
        steps.AddRange(Settle(Target(Service("a", "a:2"))));
        Assert.All(steps, s => Assert.True(s.Cause.Length > 5 && s.What.Length > 5 && s.Key.Length > 5));
        Assert.Contains("take the release of app as bad and go back to the last good one: a ended 3 times, last with code 1", string.Join('\n', steps));
    }
}
