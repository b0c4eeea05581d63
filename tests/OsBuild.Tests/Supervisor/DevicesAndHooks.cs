using OsBuild.Supervisor.Planning;
using OsBuild.Supervisor.State;
using static OsBuild.Tests.Supervisor.Given;

namespace OsBuild.Tests.Supervisor;

/// <summary>What a start waits for outside the engine: devices that are plugged in, hooks that end.</summary>
public sealed class DevicesAndHooks
{
    private readonly World world;
    private readonly Given given;

    public DevicesAndHooks() => given = new Given(world = new World(new Random(5)));

    /// <summary>Each hook has a minute, one after another: a start with seven may take seven.</summary>
    [Theory]
    [InlineData(1, 1.5, false)]
    [InlineData(1, 2.5, true)]
    [InlineData(7, 7.5, false)]
    [InlineData(7, 8.5, true)]
    public void Hooks_are_waited_for_as_long_as_all_of_them_may_take(int hooks, double minutes, bool cutOff)
    {
        given.Image("a:1");
        var target = Target(Service("a", "a:1", s => s with { Container = s.Container with { PostStart = [.. Enumerable.Range(0, hooks).Select(_ => new HookSpec { Command = ["true"] })] } }));
        world.Skips = 0;
        while (!world.Containers.Exists(c => c.Up)) world.Round(target);
        world.Containers[0] = world.Containers[0] with { StartedThisBoot = false, RunningFor = TimeSpan.FromMinutes(minutes) };
        Assert.Equal(cutOff, world.Round(target).Exists(s => s is Step.Stop));
    }

    [Theory]
    [InlineData("DownloadThenKill")]
    [InlineData("KillThenDownload")]
    [InlineData("DeleteThenDownload")]
    [InlineData("HandOver")]
    public void S95_A_release_whose_device_is_not_there_waits_for_it_and_the_old_one_serves_meanwhile(string strategy)
    {
        given.Images("a:1", "a:2");
        Service With(string image, params List<DeviceSpec> devices) => By(Enum.Parse<UpdateStrategy>(strategy), image) with { Container = By(UpdateStrategy.HandOver, image).Container with { Devices = devices } };
        given.Settle(Target(With("a:1")));
        var old = given.The("a").Id;
        world.MissingDevices.Add("/dev/ttyUSB0");
        var target = Target(With("a:2", new DeviceSpec("/dev/ttyUSB0", "/dev/ttyUSB0", "rwm")));
        var plan = new List<Step>();
        for (var i = 0; i < 100; i++)
        {
            plan = world.Round(target);
            Assert.DoesNotContain(plan, s => s is Step.Stop or Step.MarkBad);
        }

        Assert.Contains(plan, s => s is Step.Wait { For: "the device /dev/ttyUSB0" });
        Assert.True(world.Containers.Single(c => c.Id == old).Up);
        world.MissingDevices.Clear();
        given.Settle(target);
        Assert.Equal(("sha256:a:2", true), (given.The("a").ImageId, given.The("a").Up));
        Assert.Empty(world.Memory.Bad);
    }

    [Fact]
    public void S95_One_whose_device_is_pulled_out_waits_for_it_without_counting_starts_and_others_run_on()
    {
        given.Images("a:1", "b:1");
        var target = Target(Service("a", "a:1", s => s with { Container = s.Container with { Devices = [new("/dev/ttyUSB0", "/dev/ttyUSB0", "rwm")] } }), Service("b", "b:1"));
        given.Settle(target);
        world.MissingDevices.Add("/dev/ttyUSB0");
        world.End(given.The("a").Id, 1);
        var starts = given.The("a").AllStarts;
        for (var i = 0; i < 100; i++) world.Round(target);
        Assert.Equal((starts, false, true), (given.The("a").AllStarts, given.The("a").Up, given.The("b").Up));
        world.MissingDevices.Clear();
        given.Settle(target);
        Assert.True(given.The("a").Up);
    }
}
