using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

/// <summary>The facts of Windows and macOS from what those systems tell, and the verdicts on them.</summary>
public sealed class OtherSystemsTests
{
    private static readonly WindowsDisk Internal = new() { Number = 0, Product = "SAMSUNG MZVL21T0", Size = 1L << 40, Bus = 17, PartitionTypes = ["c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"] };

    private static readonly WindowsVolume C = new() { Name = @"\\?\Volume{c}\", Paths = [@"C:\"], Disks = [0], SystemFiles = ["pagefile.sys", "hiberfil.sys"] };

    private static WindowsSnapshot Pc(WindowsDisk disk, params WindowsVolume[] volumes) => new() { Disks = [Internal, disk], Volumes = [C, .. volumes], SystemFolders = [@"C:\Windows", @"C:\Users\eva"] };

    private static WindowsDisk Stick => new() { Number = 1, Vendor = "SanDisk", Product = "Ultra", Serial = "4C5300", Size = 32L << 30, Bus = 7, RemovableMedia = true };

    private static WindowsVolume E(params int[] disks) => new() { Name = @"\\?\Volume{e}\", Paths = [@"E:\"], Disks = disks };

    private static Verdict Of(WindowsSnapshot machine, int disk)
    {
        var facts = WindowsFacts.From(machine);
        return Judge.Verdict(facts.Disks.Single(d => d.Device == $@"\\.\PhysicalDrive{disk}"), facts);
    }

    private static void Refused(Verdict verdict, string why) => Assert.Contains(verdict.Reasons, r => r.Text.Contains(why));

    [Fact]
    public void Windows_a_stick_with_a_letter_is_fine_and_the_system_disk_is_not()
    {
        var machine = Pc(Stick, E(1));
        Assert.True(Of(machine, 1).Ok);
        Assert.Equal([@"E:\"], Of(machine, 1).Unmount);
        Refused(Of(machine, 0), @"the running system is on it (C:\Windows)");
        Refused(Of(machine, 0), "pagefile.sys");
        Assert.False(Of(machine, 0).MayAllow);
    }

    [Fact]
    public void Windows_names_and_sizes_are_shown()
    {
        var disk = WindowsFacts.From(Pc(Stick)).Disks[1];
        Assert.Equal(("SanDisk Ultra", "4C5300", "usb", true), (disk.Model, disk.Serial, disk.Transport, disk.Removable));
    }

    [Theory]
    [InlineData("E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D", "storage pool")]
    [InlineData("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "dynamic disk")]
    [InlineData("0x42", "dynamic disk")]
    public void Windows_members_of_something_larger_are_refused(string type, string why) => Refused(Of(Pc(Stick with { PartitionTypes = [type] }), 1), why);

    [Fact]
    public void Windows_a_volume_over_two_disks_refuses_both()
    {
        var machine = Pc(Stick, E(1, 2)) with { Disks = [Internal, Stick, Stick with { Number = 2 }] };
        Refused(Of(machine, 1), "2 disks");
        Refused(Of(machine, 2), "2 disks");
    }

    [Theory]
    [InlineData(8)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(16)]
    public void Windows_virtual_and_RAID_drives_are_refused(int bus) => Refused(Of(Pc(Stick with { Bus = bus }), 1), "made of other disks");

    [Fact]
    public void Windows_a_folder_mount_is_a_mount_with_a_purpose() => Refused(Of(Pc(Stick, E(1) with { Paths = [@"C:\data\usb\"] }), 1), "mounted at");

    [Fact]
    public void Windows_files_are_found_through_folder_mounts()
    {
        var machine = Pc(Stick, E(1) with { Paths = [@"E:\", @"C:\data\"] }) with { Image = @"C:\data\card.img" };
        Refused(Of(machine, 1), "the image to be written");
        Assert.DoesNotContain(Of(machine, 0).Reasons, r => r.Text.Contains("the image to be written"));
    }

    [Fact]
    public void Windows_what_was_not_seen_refuses()
    {
        Refused(Of(Pc(Stick) with { Administrator = false }, 1), "administrator");
        Refused(Of(Pc(Stick, E() with { Complete = false }), 1), "cannot be told");
        Refused(Of(Pc(Stick) with { SystemFolders = [@"D:\Windows"] }, 1), "cannot be told");
        Refused(Of(Pc(Stick) with { SystemFolders = [] }, 1), "cannot be told");
        Refused(Of(Pc(Stick with { Complete = false }), 1), "does not tell everything");
        Refused(Of(Pc(Stick with { Size = 0 }), 1), "no medium");
        Refused(Of(Pc(Stick with { Writable = false }), 1), "write-protected");
    }

    [Fact]
    public void Windows_the_boot_volume_on_another_disk_may_be_overridden()
    {
        var verdict = Of(Pc(Stick with { Bus = 11, RemovableMedia = false }, E(1) with { Paths = [] }) with { BootVolume = @"\\?\Volume{e}\" }, 1);
        Refused(verdict, "started from it");
        Assert.True(verdict.MayAllow);
    }

    private static string Info(string id, string more) =>
        $"<?xml version=\"1.0\" encoding=\"UTF-8\"?><!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\"><plist version=\"1.0\"><dict><key>DeviceIdentifier</key><string>{id}</string>{more}</dict></plist>";

    private static string Whole(string id, string more = "", bool isInternal = false, string bus = "USB") =>
        Info(id, $"<key>WholeDisk</key><true/><key>Internal</key><{(isInternal ? "true" : "false")}/><key>Size</key><integer>31914983424</integer><key>BusProtocol</key><string>{bus}</string><key>WritableMedia</key><true/><key>VirtualOrPhysical</key><string>Physical</string><key>MediaName</key><string>Card</string>{more}");

    private static string Part(string id, string parent, string at = "", string more = "") =>
        Info(id, $"<key>WholeDisk</key><false/><key>Internal</key><true/><key>ParentWholeDisk</key><string>{parent}</string><key>MountPoint</key><string>{at}</string>{more}");

    private static string Container(string id, string store) =>
        Whole(id, $"<key>APFSPhysicalStores</key><array><dict><key>APFSPhysicalStore</key><string>{store}</string></dict></array>");

    private static readonly string[] Mac = [Whole("disk0", isInternal: true, bus: "Apple Fabric"), Part("disk0s2", "disk0"), Container("disk3", "disk0s2"), Part("disk3s1", "disk3", "/"), Part("disk3s5", "disk3", "/System/Volumes/Data")];

    private static Verdict OfMac(string disk, params string[] more)
    {
        var facts = MacFacts.From([.. Mac, .. more], null, "/Applications/flasher", complete: true);
        return Judge.Verdict(facts.Disks.Single(d => d.Node == disk), facts);
    }

    [Fact]
    public void MacOs_a_stick_is_fine_and_the_internal_disk_is_not()
    {
        Assert.True(OfMac("disk4", Whole("disk4"), Part("disk4s1", "disk4", "/Volumes/STICK")).Ok);
        Refused(OfMac("disk0"), "the running system is on it");
        Refused(OfMac("disk0"), "APFS container");
        Refused(OfMac("disk3"), "made of other disks");
    }

    [Fact]
    public void MacOs_booted_from_an_external_SSD_refuses_that_SSD()
    {
        string[] machine = [Whole("disk0", isInternal: true), Whole("disk4"), Part("disk4s2", "disk4"), Container("disk5", "disk4s2"), Part("disk5s1", "disk5", "/")];
        var facts = MacFacts.From(machine, null, null, complete: true);
        Refused(Judge.Verdict(facts.Disks.Single(d => d.Node == "disk4"), facts), "the running system is on it");
        Assert.True(Judge.Verdict(facts.Disks.Single(d => d.Node == "disk0"), facts).Ok);
    }

    [Fact]
    public void MacOs_an_APFS_stick_with_data_is_refused() => Refused(OfMac("disk4", Whole("disk4"), Part("disk4s2", "disk4"), Container("disk5", "disk4s2"), Part("disk5s1", "disk5", "/Volumes/Data")), "APFS container");

    [Fact]
    public void MacOs_disk_images_locked_cards_and_what_is_not_told()
    {
        Refused(OfMac("disk6", Whole("disk6", bus: "Disk Image")), "made of other disks");
        Refused(OfMac("disk4", Whole("disk4").Replace("<key>WritableMedia</key><true/>", "<key>WritableMedia</key><false/>")), "write-protected");
        Refused(OfMac("disk4", Info("disk4", "<key>WholeDisk</key><true/><key>Size</key><integer>1</integer>")), "does not tell everything");
        var facts = MacFacts.From(Mac, null, null, complete: false);
        Refused(Judge.Verdict(facts.Disks[0], facts), "diskutil does not tell");
        facts = MacFacts.From([Whole("disk4")], null, null, complete: true);
        Refused(Judge.Verdict(facts.Disks[0], facts), "cannot be told on which disk");
    }

    [Fact]
    public void MacOs_the_image_on_the_stick_refuses_it()
    {
        var facts = MacFacts.From([.. Mac, Whole("disk4"), Part("disk4s1", "disk4", "/Volumes/STICK")], "/Volumes/STICK/a.img", null, complete: true);
        Refused(Judge.Verdict(facts.Disks.Single(d => d.Node == "disk4"), facts), "the image to be written");
    }

    [Theory]
    [InlineData("")]
    [InlineData("<plist>")]
    [InlineData("<plist></plist>")]
    public void What_is_no_property_list_is_told(string xml) => Assert.Throws<FormatException>(() => PropertyList.Parse(xml));
}
