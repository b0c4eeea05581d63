using OsBuild.Supervisor.HostUpdate;
using OsBuild.Supervisor.Running;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>A device over many boots: what the worker and PID 1 do, with the power cut between any two of their writes.</summary>
public sealed class HostOverBoots
{
    public static TheoryData<string> Schemes => [.. LoaderModel.Schemes];

    private static readonly HostBuild New = new("f00d", "2.0", "host:2", "r", "b");

    /// <summary>What PID 1 finds at the boot of a slot.</summary>
    private static TrialWatch Boot(LoaderModel device, string slot, List<string> said)
    {
        device.Put("image.json", $$"""
            { "board": "board", "boot": { "scheme": "{{device.Device.Scheme}}", {{(device.Device.Store is { } store ? $"\"store\": \"{store}\"," : "")}} "tries": 3 },
              "slots": { "a": { "partition": "root-a", "partuuid": "1111-02" }, "b": { "partition": "root-b", "partuuid": "1111-03" } } }
            """);
        var watch = new TrialWatch(Paths(device), slot, new HostBounds(), (name, detail) => said.Add($"{name}: {detail}"));
        watch.Begin();
        return watch;
    }

    private static HostPaths Paths(LoaderModel device) => new(device.Boot, Path.Combine(device.Boot, "state"), device.Boot, device.Boot, "");

    private static HostStore Store(LoaderModel device) => new(Paths(device));

    /// <summary>The writes of an update in their order, each whole or not done.</summary>
    private static List<Action> Update(LoaderModel device) =>
    [
        () => device.Store.Close("b"),
        () => device.Put("slot-b/kernel", "half"),
        () => device.WriteSlot("b", "a"),
        () => Store(device).Save(Store(device).Load().Stage(New)),
        () => device.Store.Arm("b"),
        () => Store(device).Save(Store(device).Load().Arm(["shop/web"], true)),
    ];

    [Theory, MemberData(nameof(Schemes))]
    public void S85_Cut_anywhere_in_the_update_the_device_boots_a_whole_slot_and_knows_what_is(string scheme)
    {
        for (var cut = 0; cut <= 6; cut++)
        {
            using var device = new LoaderModel(scheme);
            foreach (var act in Update(device).Take(cut)) act();
            device.TryBootFlag = cut == 6;
            var said = new List<string>();
            var slot = device.PowerOn();
            var armed = cut >= 5 && (scheme != DeviceBoot.RaspberryPi || cut == 6);
            Assert.Equal(armed ? "b" : "a", slot);
            Assert.Equal(armed, Boot(device, slot!, said).OnTrial);
            Assert.Empty(Store(device).Load().Bad);
            // What was not finished is simply done again.
            if (!armed) Assert.Equal(cut < 4 ? HostStep.Fetch : HostStep.Arm, Store(device).Load().Next("host:2", "r"));
        }
    }

    [Theory, MemberData(nameof(Schemes))]
    public void S82_88_After_a_host_that_does_not_start_the_old_one_knows_why(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        device.TryBootFlag = true;
        while (device.PowerOn() == "b") Assert.True(true); // the kernel panics: nobody says anything
        var said = new List<string>();
        Assert.False(Boot(device, "a", said).OnTrial);
        Assert.Equal("host bad: host:2 (2.0): it never came as far as the state partition: its kernel, initramfs or root file system does not start on this device", said.Single());
        Assert.Equal(New, Store(device).Load().Bad.Single().Build);
        Assert.Null(Store(device).Load().Trial);
        Assert.False(device.Store.IsOnTrial("b"));
        Assert.Equal("a", device.PowerOn());
        Boot(device, "a", said);
        Assert.Single(said); // told once
    }

    [Theory, MemberData(nameof(Schemes))]
    public void S81_88_After_a_host_that_ends_on_its_way_the_reason_has_its_last_words(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        device.TryBootFlag = true;
        var boots = 0;
        while (device.PowerOn() == "b")
        {
            boots++;
            var watch = Boot(device, "b", []);
            Assert.True(watch.OnTrial);
            watch.Note("identity", "osbuild-1, last shutdown clean");
            watch.Note("boot failed", "no place for data: Input/output error");
        }

        var said = new List<string>();
        Boot(device, "a", said);
        Assert.Contains($"in {boots} boot{(boots == 1 ? "" : "s")}; the last thing it said was 'boot failed: no place for data: Input/output error'", said.Single());
    }

    [Theory]
    [InlineData(DeviceBoot.SystemdBoot)]
    [InlineData(DeviceBoot.Grub)]
    [InlineData(DeviceBoot.UBoot)]
    public void S83_84_Reboots_in_order_while_on_trial_cost_nothing(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        for (var boot = 0; boot < 10; boot++)
        {
            Assert.Equal("b", device.PowerOn());
            var watch = Boot(device, "b", []);
            Assert.True(watch.OnTrial);
            watch.Leave();
        }
    }

    [Theory]
    [InlineData(DeviceBoot.Grub)]
    [InlineData(DeviceBoot.UBoot)]
    public void S87_A_damaged_choice_is_made_whole_and_told(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        Assert.Equal("b", device.PowerOn());
        Boot(device, "b", []);
        device.Store.MarkGood("b");
        Store(device).Save(Store(device).Load().Prove());
        device.Put(device.Device.Store!, "\u0001\u0002 nothing");
        Assert.Equal("a", device.PowerOn()); // what the script takes when it cannot read
        var said = new List<string>();
        Boot(device, "a", said);
        Assert.Contains("it is slot b again, from the next boot on", said.Single());
        Assert.Equal("b", device.PowerOn());
        said.Clear();
        Boot(device, "b", said);
        Assert.Empty(said);
    }

    private static readonly HostBounds Quick = new() { Steady = TimeSpan.FromMilliseconds(50), Look = TimeSpan.FromMilliseconds(10), Within = TimeSpan.FromDays(100) };

    /// <summary>Everything is well: the engine answers and the heart beats.</summary>
    private static Func<HostSight> Well()
    {
        var beat = 0;
        return () => new(Environment.TickCount64, true, $"{++beat}", 1, null);
    }

    [Theory, MemberData(nameof(Schemes))]
    public async Task The_verdict_is_written_for_the_loader_and_for_whoever_comes_after(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        device.TryBootFlag = true;
        Assert.Equal("b", device.PowerOn());
        Boot(device, "b", []); // writes image.json
        var said = new List<string>();
        var watch = new TrialWatch(Paths(device), "b", Quick, (name, detail) => said.Add($"{name}: {detail}"));
        watch.Begin();
        watch.Note(TrialWatch.Fit, "");
        Assert.False(await watch.RunAsync(Well()));
        Assert.Equal("host good: host:2 (2.0) in slot b", said[^1]);
        Assert.False(watch.OnTrial);
        Assert.Equal(New, Store(device).Load().Good);
        watch.Leave();
        for (var boot = 0; boot < 5; boot++) Assert.Equal("b", device.PowerOn());
    }

    [Theory, MemberData(nameof(Schemes))]
    public async Task S81_A_host_that_misses_something_gives_itself_up_with_its_reason(string scheme)
    {
        using var device = new LoaderModel(scheme);
        foreach (var act in Update(device)) act();
        device.TryBootFlag = true;
        Assert.Equal("b", device.PowerOn());
        Boot(device, "b", []);
        var watch = new TrialWatch(Paths(device), "b", Quick with { Within = TimeSpan.FromMilliseconds(Environment.TickCount64 + 100) }, (_, _) => { });
        watch.Begin();
        watch.Note(TrialWatch.Unfit, "shop/web does not run as it did before");
        Assert.True(await watch.RunAsync(Well()));
        Assert.StartsWith("shop/web does not run as it did before", Store(device).Load().Bad.Single().Reason);
        watch.Leave();
        for (var boot = 0; boot < 3; boot++) Assert.Equal("a", device.PowerOn());
        var said = new List<string>();
        Boot(device, "a", said);
        Assert.Empty(said); // it was told already
    }

    [Theory, MemberData(nameof(Schemes))]
    public void Only_a_Raspberry_Pi_is_told_at_a_restart_to_try_and_only_while_there_is_something_to_try(string scheme)
    {
        using var device = new LoaderModel(scheme);
        var word = scheme == DeviceBoot.RaspberryPi ? "0 tryboot" : null;
        Assert.Null(Boot(device, "a", []).WordForFirmware);
        foreach (var act in Update(device)) act();
        Assert.Equal(word, Running(device, "a").WordForFirmware); // the worker of slot a has armed b
        device.TryBootFlag = true;
        Assert.Equal("b", device.PowerOn());
        Assert.Equal(word, Boot(device, "b", []).WordForFirmware); // a restart in order in the middle of the trial
        device.Store.MarkGood("b");
        Store(device).Save(Store(device).Load().Prove());
        Assert.Null(Boot(device, "b", []).WordForFirmware);
    }

    /// <summary>PID 1 that booted before the update began.</summary>
    private static TrialWatch Running(LoaderModel device, string slot)
    {
        var record = Store(device).Load();
        Store(device).Save(new());
        var watch = Boot(device, slot, []);
        Store(device).Save(record);
        return watch;
    }

    [Fact]
    public async Task A_slot_that_somebody_else_put_on_trial_is_good_when_it_runs()
    {
        using var device = new LoaderModel(DeviceBoot.SystemdBoot);
        device.WriteSlot("b", "a");
        device.Store.Arm("b");
        Assert.Equal("b", device.PowerOn());
        Boot(device, "b", []);
        var watch = new TrialWatch(Paths(device), "b", Quick, (_, _) => { });
        watch.Begin();
        Assert.False(watch.OnTrial);
        Assert.False(await watch.RunAsync(Well())); // nobody was asked about services
        Assert.False(device.Store.IsOnTrial("b"));
    }

    [Fact]
    public async Task A_host_that_cannot_be_updated_boots_as_ever()
    {
        using var device = new LoaderModel(DeviceBoot.Grub);
        foreach (var json in new[] { null, "{}", "nonsense", """{ "board": "x", "boot": { "scheme": "none" }, "slots": {} }""" })
        {
            if (json is not null) device.Put("image.json", json);
            var watch = new TrialWatch(Paths(device), "a", new HostBounds(), (_, _) => Assert.Fail("nothing to tell"));
            watch.Begin();
            Assert.False(watch.OnTrial);
            watch.Note("engine ready", "");
            watch.Leave();
            Assert.False(await watch.RunAsync(() => throw new InvalidOperationException()));
        }
    }
}
