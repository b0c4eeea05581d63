using OsBuild.Supervisor.HostUpdate;

namespace OsBuild.Tests.Supervisor.HostUpdate;

/// <summary>What the loader is told, and what it then does.</summary>
public sealed class BootStoreTests
{
    public static TheoryData<string> Schemes => [.. LoaderModel.Schemes];

    [Theory, MemberData(nameof(Schemes))]
    public void A_slot_that_is_armed_is_booted_and_stays_when_it_is_good(string scheme)
    {
        using var device = new LoaderModel(scheme);
        Assert.Equal("a", device.PowerOn());
        var running = "a";
        for (var update = 0; update < 5; update++)
        {
            var next = DeviceBoot.Other(running);
            device.Store.Close(next);
            device.WriteSlot(next, running);
            Assert.Equal(running, device.PowerOn()); // not told yet
            Arm(device, next);
            Assert.True(device.Store.IsOnTrial(next));
            Assert.Equal(next, device.PowerOn());
            device.Store.MarkGood(next);
            Assert.False(device.Store.IsOnTrial(next));
            for (var boot = 0; boot < 10; boot++) Assert.Equal(next, device.PowerOn());
            running = next;
        }
    }

    [Theory, MemberData(nameof(Schemes))]
    public void S81_82_A_slot_that_never_says_it_is_good_gives_way_to_the_old_one_and_is_not_tried_again(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        Arm(device, "b");
        var tries = 0;
        while (device.PowerOn() == "b") tries++; // it panics, hangs until the watchdog bites, has no root
        Assert.Equal(scheme == DeviceBoot.RaspberryPi ? 1 : device.Device.Tries, tries);
        for (var boot = 0; boot < 20; boot++) Assert.Equal("a", device.PowerOn());
    }

    [Theory, MemberData(nameof(Schemes))]
    public void A_slot_that_gives_itself_up_is_not_booted_again(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        Arm(device, "b");
        Assert.Equal("b", device.PowerOn());
        device.Store.GoBack("b");
        for (var boot = 0; boot < 5; boot++) Assert.Equal("a", device.PowerOn());
    }

    [Theory]
    [InlineData(DeviceBoot.SystemdBoot)]
    [InlineData(DeviceBoot.Grub)]
    [InlineData(DeviceBoot.UBoot)]
    public void S83_An_orderly_reboot_in_a_trial_does_not_count(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        Arm(device, "b");
        for (var boot = 0; boot < 20; boot++)
        {
            Assert.Equal("b", device.PowerOn());
            device.Store.Uncount("b");
        }

        device.Store.Uncount("b"); // more than there were
        var tries = 0;
        while (device.PowerOn() == "b") tries++;
        Assert.Equal(device.Device.Tries, tries);
    }

    [Theory, MemberData(nameof(Schemes))]
    public void S84_Power_cycling_a_good_system_never_switches_the_slot_and_writes_nothing(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        Arm(device, "b");
        device.PowerOn();
        device.Store.MarkGood("b");
        var before = Snapshot(device);
        for (var boot = 0; boot < 50; boot++) Assert.Equal("b", device.PowerOn());
        Assert.Equal(before, Snapshot(device));
    }

    [Theory, MemberData(nameof(Schemes))]
    public void A_slot_that_is_closed_is_never_booted_whatever_the_store_says(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        Arm(device, "b");
        device.PowerOn();
        device.Store.MarkGood("b"); // b runs, a is to be written over
        device.Store.Close("a");
        File.Delete(Path.Combine(device.Boot, "slot-a", "kernel"));
        if (device.Device.Store is { } store) device.Put(store, "garbage");
        for (var boot = 0; boot < 5; boot++) Assert.Equal("b", device.PowerOn());
    }

    [Theory]
    [InlineData(DeviceBoot.Grub)]
    [InlineData(DeviceBoot.UBoot)]
    public void S87_A_damaged_store_boots_and_is_made_whole_again(string scheme)
    {
        using var device = new LoaderModel(scheme);
        device.WriteSlot("b", "a");
        foreach (var damage in new[] { "", "\0\0\0\0", "slot=c\nupgrade_available=0\nbootcount=0\n", "slot=b\n", new string('#', 1024), "slot=b\nupgrade_available=1\nbootcount=x\n" })
        {
            device.Put(device.Device.Store!, damage);
            Assert.Null(device.Store.Choice);
            Assert.NotNull(device.PowerOn());
            device.Store.MarkGood("b");
            Assert.Equal(new BootChoice("b", false, 0), device.Store.Choice);
            Assert.Equal("b", device.PowerOn());
        }

        File.Delete(Path.Combine(device.Boot, device.Device.Store!));
        device.Store.MarkGood("b");
        Assert.Equal("b", device.PowerOn());
    }

    [Fact]
    public void The_newest_entry_comes_first_whatever_its_version_says()
    {
        using var device = new LoaderModel(DeviceBoot.SystemdBoot);
        Assert.Equal(9998, device.Store.NextSort("a"));
        device.Put("loader/entries/slot-a.conf", LoaderModel.Entry("a", 0));
        Assert.Equal(0, device.Store.NextSort("a"));
        File.Delete(Path.Combine(device.Boot, "loader/entries/slot-a.conf"));
        Assert.Equal(9998, device.Store.NextSort("a"));
    }

    [Fact]
    public void Only_the_slot_that_runs_is_marked()
    {
        using var device = new LoaderModel(DeviceBoot.SystemdBoot);
        device.WriteSlot("b", "a");
        device.Store.Arm("b");
        device.Store.MarkGood("a");
        Assert.True(File.Exists(Path.Combine(device.Boot, "loader/entries/slot-b+3.conf")));
    }

    [Fact]
    public void A_trial_that_does_well_becomes_good_by_one_rename()
    {
        using var device = new LoaderModel(DeviceBoot.SystemdBoot);
        device.Put("loader/entries/slot-b+0-3.conf", "x"); // a last try counts too
        device.Store.MarkGood("b");
        Assert.Equal(["slot-a.conf", "slot-b.conf"], Directory.EnumerateFiles(Path.Combine(device.Boot, "loader/entries")).Select(f => Path.GetFileName(f)).Order());
    }

    private static void Arm(LoaderModel device, string slot)
    {
        device.Store.Arm(slot);
        device.TryBootFlag = true; // PID 1 restarts the board so
    }

    private static string Snapshot(LoaderModel device) => string.Join('\n', Directory.EnumerateFiles(device.Boot, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(f => $"{f} {Convert.ToHexString(File.ReadAllBytes(f))}"));
}
