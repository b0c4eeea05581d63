using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using static OsBuild.Tests.Supervisor.Given;

namespace OsBuild.Tests.Supervisor;

/// <summary>Scenarios of fleets, dependencies, locks, errors that do not end, torn stores and full disks, on the simulated device.</summary>
public sealed class MoreScenarios
{
    private static readonly DiskState Low = new(FreeBytes: 300L << 20, TotalBytes: 8L << 30);
    private static readonly DiskState Full = new(FreeBytes: 10L << 20, TotalBytes: 8L << 30);

    private readonly World world;
    private readonly Given given;

    public MoreScenarios() => given = new Given(world = new World(new Random(5)));

    [Fact]
    public void S04_A_new_commit_of_equal_services_restarts_nothing()
    {
        given.Image("a:1");
        var release = Release("app", Service("a", "a:1"));
        given.Settle(new([release with { Commit = "one" }]));
        Assert.Empty(given.Settle(new([release with { Commit = "two" }])));
    }

    [Fact]
    public void S07_A_volume_whose_options_change_keeps_its_data_and_says_so()
    {
        given.Image("a:1");
        TargetState With(VolumeSpec volume)
        {
            var target = Target(Service("a", "a:1", s => s with { Container = s.Container with { Mounts = [new(MountKind.Volume, "data", "/data")] } }));
            target.Apps[0].Volumes["data"] = volume;
            return target;
        }

        given.Settle(With(new()));
        var plan = new List<Step>();
        for (var i = 0; i < 60; i++) plan = world.Round(With(new() { Options = new() { ["type"] = "nfs" } }));
        Assert.Contains(plan, s => s is Step.Wait && s.Cause.Contains("its data is kept"));
        Assert.Single(world.Volumes);
        Assert.True(given.The("a").Up);
    }

    [Fact]
    public void S10_What_is_not_ours_is_never_touched()
    {
        given.Images("a:1", "foreign:1");
        world.Present.Add("sha256:foreign:1");
        world.Volumes.Add(new("somebody-elses", "", ""));
        given.Settle(Target(Service("a", "a:1")));
        given.Settle(TargetState.Nothing);
        Assert.Contains("sha256:foreign:1", world.Present);
        Assert.Single(world.Volumes);
        Assert.Empty(world.Containers);
    }

    [Fact]
    public void S14_Moved_to_another_fleet_the_old_apps_containers_go_and_its_volumes_stay()
    {
        given.Images("a:1", "b:1");
        var old = Release("old", Service("a", "a:1"));
        old.Volumes["data"] = new();
        given.Settle(new([old]));
        given.Settle(new([Release("new", Service("b", "b:1"))]));
        Assert.Equal(["new/b"], world.Containers.Select(c => c.Key));
        Assert.Equal(["new_default"], world.Networks.Select(n => n.Name));
        Assert.Equal(["old_data"], world.Volumes.Select(v => v.Name));
    }

    [Fact]
    public void S16_A_dependent_starts_only_when_what_it_needs_is_healthy()
    {
        given.Images("a:1", "b:1");
        var target = Target(Service("db", "b:1"), Service("web", "a:1", s => s with { DependsOn = [new("db", DependencyCondition.Healthy)] }));
        var healthy = false;
        for (var i = 0; i < 100; i++)
            world.Round(target, (current, plan) =>
            {
                if (plan.Exists(s => s is Step.Start start && start.Name.Contains("web"))) healthy = current.Containers.Single(c => c.Service == "db").Health == Health.Healthy;
            });
        Assert.True(healthy);
        Assert.True(given.The("web").Up);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(3, false)]
    public void S16_A_dependent_waits_for_a_job_to_complete_successfully(int code, bool starts)
    {
        given.Images("a:1", "job:1");
        var target = Target(Service("job", "job:1", s => s with { Restart = RestartPolicy.No, Container = s.Container with { Healthcheck = null } }), Service("web", "a:1", s => s with { DependsOn = [new("job", DependencyCondition.CompletedSuccessfully)] }));
        while (world.Containers.Find(c => c.Service == "job") is not { Up: true }) world.Round(target);
        for (var i = 0; i < 10; i++) world.Round(target);
        Assert.False(given.The("web").Up);
        world.End(given.The("job").Id, code);
        for (var i = 0; i < 20; i++) world.Round(target);
        Assert.Equal(starts, given.The("web").Up);
    }

    [Fact]
    public void S16_A_dependent_that_wants_it_is_started_again_with_what_it_depends_on_and_others_are_not()
    {
        given.Images("a:1", "db:1", "db:2");
        Service Web(string name, bool restart) => Service(name, "a:1", s => s with { DependsOn = [new("db", DependencyCondition.Started, Restart: restart)] });
        var done = given.Settle(Target(Service("db", "db:1"), Web("calm", false), Web("web", true)));
        Assert.DoesNotContain(done, s => s is Step.Stop);
        done = given.Settle(Target(Service("db", "db:2"), Web("calm", false), Web("web", true)));
        Assert.Equal(["app-db", "app-web"], done.OfType<Step.Stop>().Select(s => s.Name));
        Assert.True(given.The("web").Up);
    }

    [Fact]
    public void S27_When_the_first_of_a_chain_is_unhealthy_the_rest_is_not_replaced()
    {
        given.Images("a:1");
        given.Image("bad:1", Behaviour.Unhealthy);
        TargetState Chain(string image, string user) => Target(Service("first", image), Service("second", "a:1", s => s with { DependsOn = [new("first", DependencyCondition.Healthy)], Container = s.Container with { User = user } }));
        given.Settle(Chain("a:1", "1"));
        var second = given.The("second").Id;
        var done = given.Settle(Chain("bad:1", "2"));
        Assert.DoesNotContain(done, s => s is Step.Stop { Name: "app-second" });
        Assert.Equal(second, given.The("second").Id);
        Assert.Equal("sha256:a:1", given.The("first").ImageId);
    }

    [Fact]
    public void S37_Our_own_leftover_lock_holds_nobody_and_a_foreign_one_does()
    {
        var directory = Directory.CreateTempSubdirectory("osb-locks").FullName;
        try
        {
            var places = new Places(new HostPaths(directory, directory, directory, directory, ""));
            Assert.True(places.TakeLock("app/web"));
            // The supervisor was killed here: its lock is still there.
            Assert.False(places.Locked("app", "web"));
            Assert.True(places.TakeLock("app/web"));
            places.ReleaseLock("app/web");
            Assert.Empty(Directory.GetFiles(places.Shared("app", "web")));

            var foreign = Path.Combine(places.Shared("app", "web"), "updates.lock");
            File.WriteAllText(foreign, "");
            Assert.True(places.Locked("app", "web"));
            Assert.False(places.TakeLock("app/web"));
            places.ReleaseLock("app/web");
            Assert.True(File.Exists(foreign));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void S38_The_lock_of_a_service_that_no_longer_runs_holds_nobody()
    {
        given.Images("a:1", "a:2");
        given.Settle(Target(Service("a", "a:1"), Service("b", "a:1")));
        var current = world.Observe() with { Locked = ["app/b"] };
        Assert.Equal("app/b", Locks.Hold(current, "app"));
        Assert.Null(Locks.Hold(current with { Containers = current.Containers.ConvertAll(c => c.Service == "b" ? c with { Status = ContainerStatus.Exited } : c) }, "app"));
        Assert.Null(Locks.Hold(current with { ForceLocks = true }, "app"));
    }

    [Fact]
    public void S25_36_While_a_service_is_stopped_for_its_successor_the_supervisor_holds_its_lock()
    {
        world.Skips = 0;
        given.Images("a:1", "a:2");
        given.Settle(Target(Service("a", "a:1")));
        var done = given.Settle(Target(Service("a", "a:2")));
        Assert.Equal("app/a", Assert.Single(done.OfType<Step.Stop>()).LockOf);
    }

    [Theory]
    [InlineData("fetch")]
    [InlineData("start")]
    public void S12_44_What_fails_for_ever_is_tried_less_and_less_often(string what)
    {
        if (what == "start") given.Image("a:1", Behaviour.CannotBeStarted);
        var tries = 0;
        world.Skips = 0;
        var target = Target(Service("a", "a:1"));
        var day = TimeSpan.FromDays(1);
        while (world.Now < day) tries += world.Round(target).Count(s => s is Step.Fetch or Step.Start);
        // Doubling up to five minutes: ten tries, then one each five minutes.
        Assert.InRange(tries, 200, 310);
    }

    [Fact]
    public void S47_A_torn_image_is_removed_and_had_again_and_nothing_else_is()
    {
        given.Images("a:1", "b:1");
        var target = Target(Service("a", "a:1"), Service("b", "b:1"));
        target.Apps[0].Volumes["data"] = new();
        given.Settle(target);
        var b = given.The("b").Id;
        world.Torn.Add("sha256:a:1");
        world.End(given.The("a").Id, 1);
        var done = given.Settle(target);
        Assert.Equal("docker.io/library/a:1", Assert.Single(done.OfType<Step.Repair>()).Reference);
        Assert.Equal("docker.io/library/a:1", Assert.Single(done.OfType<Step.Fetch>()).Reference);
        Assert.True(given.The("a").Up);
        Assert.Equal(b, given.The("b").Id);
        Assert.Single(world.Volumes);
    }

    [Fact]
    public void S47_A_container_that_cannot_even_be_looked_at_goes_with_its_torn_image()
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1"));
        given.Settle(target);
        world.Torn.Add("sha256:a:1");
        world.Containers[0] = world.Containers[0] with { Status = ContainerStatus.Dead, Error = World.Damage };
        Assert.Single(given.Settle(target).OfType<Step.Repair>());
        Assert.True(given.The("a").Up);
    }

    [Fact]
    public void A_release_is_on_trial_until_its_hooks_have_run_and_is_started_again_when_they_were_cut_off()
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1", s => s with { Container = s.Container with { PostStart = [new() { Command = ["true"] }] } }));
        world.Skips = 0;
        while (!world.Containers.Exists(c => c.Up)) world.Round(target);
        // The engine runs it, but its hooks have not ended: the start is not marked yet.
        world.Containers[0] = world.Containers[0] with { StartedThisBoot = false };
        for (var i = 0; i < 20; i++) Assert.All(world.Round(target), s => Assert.True(s is Step.Wait, $"{s}"));
        Assert.Empty(world.Memory.Good);
        Assert.Contains(world.Round(target), s => s is Step.Wait { Cause: "its post_start hooks have not ended", Until: null });
        world.Containers[0] = world.Containers[0] with { RunningFor = TimeSpan.FromMinutes(6) };
        Assert.Contains(given.Settle(target), s => s is Step.Stop { Cause: "its post_start hooks did not end" });
        Assert.NotEmpty(world.Memory.Good);
    }

    /// <summary>Found by the fuzz (seed 2574): a copy that came by a download was thrown away for what its predecessor had done.</summary>
    [Fact]
    public void A_copy_that_was_fetched_anew_is_not_blamed_for_the_one_before()
    {
        var log = new SortedDictionary<string, Failure>();
        var service = Service("a", "a:1");
        var create = new Step.Create(Target(service).Apps[0], service, "sha256:a:1", "a", "");
        var repair = new Step.Repair("sha256:a:1", "docker.io/library/a:1", [], World.Damage);
        FailureLog.Succeeded(log, repair, TimeSpan.Zero);
        FailureLog.Failed(log, create, World.Damage, TimeSpan.Zero);
        FailureLog.Succeeded(log, new Step.Fetch("docker.io/library/a:1", ""), TimeSpan.Zero);
        Assert.DoesNotContain(create.Key, log.Keys);
        // How often it was mended is still known, so that an error that only looks like damage is not mended for ever.
        Assert.Equal(1, log[FailureLog.Repaired(repair.Reference)].Count);
        FailureLog.Failed(log, create, "no such device", TimeSpan.Zero);
        FailureLog.Succeeded(log, new Step.Fetch("docker.io/library/a:1", ""), TimeSpan.Zero);
        Assert.Contains(create.Key, log.Keys);
    }

    /// <summary>Found by the fuzz (seed 137101): three refusals of the repair counted as three repairs, and the image was never mended.</summary>
    [Fact]
    public void A_refused_repair_is_tried_until_it_succeeds()
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1"));
        given.Settle(target);
        world.Torn.Add("sha256:a:1");
        world.RepairsRefused = 5;
        world.End(given.The("a").Id, 1);
        var done = given.Settle(target);
        Assert.Equal(0, world.RepairsRefused);
        Assert.Single(done.OfType<Step.Fetch>());
        Assert.True(given.The("a").Up);
        Assert.DoesNotContain("sha256:a:1", world.Torn);
    }

    /// <summary>A store on a failing medium loses the image again and again: three repairs at once, then one a day.</summary>
    [Fact]
    public void What_breaks_again_is_had_again_but_no_more_than_once_a_day()
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1"));
        given.Settle(target);
        (world.BreaksAgain, world.Skips) = (true, 0);
        world.Torn.Add("sha256:a:1");
        world.End(given.The("a").Id, 1);
        var (repairs, began) = (0, world.Now);
        while (world.Now - began < TimeSpan.FromHours(20)) repairs += world.Round(target).Count(s => s is Step.Repair);
        Assert.Equal(StoreDamage.MostRepairs, repairs);
        while (world.Now - began < TimeSpan.FromDays(4)) repairs += world.Round(target).Count(s => s is Step.Repair);
        Assert.InRange(repairs, StoreDamage.MostRepairs + 2, StoreDamage.MostRepairs + 4);
        world.BreaksAgain = false;
        while (!world.Containers.Exists(c => c.Up) && world.Now - began < TimeSpan.FromDays(6)) world.Round(target);
        Assert.True(given.The("a").Up);
    }

    /// <summary>Found by the fuzz (seed 36): what was said of the new release's torn image was believed of the last good one's.</summary>
    [Fact]
    public void A_torn_image_of_a_bad_release_says_nothing_about_the_last_good_one()
    {
        given.Images("a:1", "a:2");
        given.Settle(Target(Service("a", "a:1")));
        world.Present.Add("sha256:a:2");
        world.Torn.Add("sha256:a:2");
        world.RegistryAway = true;
        var target = Target(Service("a", "a:2"));
        for (var i = 0; i < 5; i++) world.Round(target);
        // A person gives it up. The container of the good release is gone too, so that it is made again while the failure is remembered.
        world.Memory = world.Memory.Apply(GoingBack.Decide(world.Memory, world.Observe(), target.Apps[0], "a person").Entry!);
        world.Containers.Clear();
        world.RegistryAway = false;
        Assert.DoesNotContain(given.Settle(target), s => s is Step.Repair { ImageId: "sha256:a:1" } or Step.RemoveImage { Id: "sha256:a:1" });
        Assert.Equal("sha256:a:1", given.The("a").ImageId);
        Assert.True(given.The("a").Up);
    }

    [Fact]
    public void S47_A_torn_image_that_cannot_be_had_again_is_kept()
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1"));
        given.Settle(target);
        world.Torn.Add("sha256:a:1");
        world.RegistryAway = true;
        world.End(given.The("a").Id, 1);
        for (var i = 0; i < 60; i++) Assert.DoesNotContain(world.Round(target), s => s is Step.Repair or Step.RemoveImage);
        world.RegistryAway = false;
        given.Settle(target);
        Assert.True(given.The("a").Up);
    }

    [Fact]
    public void S71_On_a_full_disk_nothing_is_downloaded_and_what_runs_goes_on()
    {
        given.Images("a:1", "a:2");
        given.Settle(Target(Service("a", "a:1")));
        world.Disk = Full;
        var target = Target(Service("a", "a:2"));
        var plan = new List<Step>();
        for (var i = 0; i < 40; i++) Assert.DoesNotContain(plan = world.Round(target), s => s is Step.Fetch or Step.Stop);
        Assert.Contains(plan, s => s is Step.Wait && s.Cause.Contains("only 10 MiB are left"));
        world.Disk = DiskState.Ample;
        given.Settle(target);
        Assert.Equal("sha256:a:2", given.The("a").ImageId);
    }

    [Fact]
    public void S72_Inodes_count_like_bytes()
    {
        var disk = new DiskState(4L << 30, 8L << 30, FreeInodes: 100, TotalInodes: 100_000);
        Assert.True(disk.Full);
        Assert.Equal("100 inodes", disk.ToString());
        Assert.False((disk with { FreeInodes = 50_000 }).Low);
        given.Images("a:1", "a:2");
        given.Settle(Target(Service("a", "a:1")));
        world.Disk = disk;
        var plan = new List<Step>();
        for (var i = 0; i < 30; i++)
        {
            plan = world.Round(Target(Service("a", "a:2")));
            Assert.DoesNotContain(plan, s => s is Step.Fetch or Step.Stop);
        }

        Assert.Contains(plan, s => s is Step.Wait && s.Cause.Contains("only 100 inodes are left"));
    }

    [Fact]
    public void S73_When_the_disk_fills_unused_images_go_in_order_and_never_the_last_good_one()
    {
        given.Images("a:0", "a:1", "old:1");
        given.Image("a:2", Behaviour.Exits);
        foreach (var image in (string[])["a:0", "a:1", "a:2"]) given.Settle(Target(Service("a", image)));
        // Four kinds of images nobody runs: one that was ours, one left over without a name, that of the release before the good one, and that of the bad one.
        world.Present.UnionWith(["sha256:old:1", "sha256:nameless"]);
        world.Memory = world.Memory.Apply(new JournalEntry.ImageUsed("sha256:old:1", "old:1"));
        world.Skips = 0;
        world.Disk = Low;
        var target = Target(Service("a", "a:2"));
        var order = new List<string>();
        for (var i = 0; i < 10; i++) order.AddRange(world.Round(target).OfType<Step.RemoveImage>().Select(s => s.Id));
        Assert.Equal(["sha256:old:1", "sha256:nameless", "sha256:a:0", "sha256:a:2"], order);
        Assert.Equal(["sha256:a:1"], world.Present);
        Assert.True(given.The("a").Up);
        Assert.Single(world.Memory.Bad);
    }

    [Fact]
    public void S73_With_room_only_what_was_ours_goes()
    {
        given.Images("a:1", "a:2", "a:3");
        given.Settle(Target(Service("a", "a:1")));
        world.Present.Add("sha256:nameless");
        given.Settle(Target(Service("a", "a:2")));
        given.Settle(Target(Service("a", "a:3")));
        Assert.Equal(["sha256:a:2", "sha256:a:3", "sha256:nameless"], world.Present.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void S12_67_68_No_decision_reads_the_wall_clock()
    {
        string[] deciding = ["supervisor/Planning", "supervisor/State", "supervisor/Engine"];
        var files = deciding.SelectMany(Repository.RepositoryTree.Sources).Append(Path.Combine(Repository.RepositoryTree.Root, "supervisor/Running/Relays.cs"));
        Assert.DoesNotContain(files, f => File.ReadAllText(f) is var text && (text.Contains("UtcNow", StringComparison.Ordinal) || text.Contains("DateTime.Now", StringComparison.Ordinal) || text.Contains("DateTimeOffset.Now", StringComparison.Ordinal)));
    }
}
