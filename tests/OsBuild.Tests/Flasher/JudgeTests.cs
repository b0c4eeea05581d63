using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

public sealed class JudgeTests
{
    private static void Refused(Verdict verdict, string reason)
    {
        Assert.False(verdict.Ok, "judged writable");
        Assert.Contains(verdict.Reasons, r => r.Text.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public void An_unused_stick_is_fine() => Assert.True(new Given().Disk("sda").Part("sda1", "sda").Mount("sda1", "/").Stick("sdb").Part("sdb1", "sdb").Of("sdb").Ok);

    [Fact]
    public void A_stick_mounted_by_the_desktop_is_fine_and_will_be_unmounted()
    {
        var verdict = new Given().Stick("sdb").Part("sdb1", "sdb").Mount("sdb1", "/media/eva/STICK").Of("sdb");
        Assert.True(verdict.Ok);
        Assert.Equal(["/media/eva/STICK"], verdict.Unmount);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/home")]
    [InlineData("/boot")]
    [InlineData("/data")]
    [InlineData("/media")]
    [InlineData("/mediation")]
    [InlineData("/run/mediator/x")]
    [InlineData("/mntx")]
    [InlineData("/media/../home")]
    public void A_stick_mounted_for_another_purpose_is_refused(string at) => Refused(new Given().Stick("sdb").Mount("sdb", at).Of("sdb"), "mounted at");

    [Fact]
    public void A_fixed_disk_mounted_anywhere_is_refused() => Refused(new Given().Disk("sdb").Part("sdb1", "sdb").Mount("sdb1", "/media/backup").Of("sdb"), "mounted at /media/backup");

    [Fact]
    public void Root_on_LVM_on_LUKS_on_a_USB_disk_is_refused()
    {
        var given = new Given().Stick("sda").Part("sda1", "sda").Part("sda2", "sda").Node("dm-0", NodeKind.Mapped, "sda2").Node("dm-1", NodeKind.Mapped, "dm-0").Mount("dm-1", "/");
        var verdict = given.Of("sda");
        Refused(verdict, "mounted at /");
        Refused(verdict, "dm-0 lies on it");
        Assert.False(verdict.MayAllow);
    }

    [Fact]
    public void Both_disks_of_a_mirror_are_refused()
    {
        var given = new Given().Disk("sda").Disk("sdb").Part("sda1", "sda").Part("sdb1", "sdb").Node("md0", NodeKind.Pool, "sda1", "sdb1").Mount("md0", "/srv");
        Refused(given.Of("sda"), "mounted at /srv");
        Refused(given.Of("sdb"), "mounted at /srv");
    }

    [Fact]
    public void An_active_stack_without_a_mount_is_refused() => Refused(new Given().Stick("sdb").Node("dm-3", NodeKind.Mapped, "sdb").Of("sdb"), "dm-3 lies on it and is active");

    [Fact]
    public void A_stick_that_carries_a_mounted_loop_file_is_refused() =>
        Refused(new Given().Stick("sdb").Part("sdb1", "sdb").Mount("sdb1", "/media/x").Node("file:1", NodeKind.File, "sdb1").Disk("loop0", "loop", kind: NodeKind.Loop, on: ["file:1"]).Of("sdb"), "loop0 lies on it");

    [Fact]
    public void A_free_loop_device_is_fine_although_its_file_lies_on_the_system_disk()
    {
        var given = new Given().Disk("sda").Mount("sda", "/").Node("file:1", NodeKind.File, "sda").Disk("loop0", "loop", kind: NodeKind.Loop, on: ["file:1"]);
        Assert.True(given.Of("loop0").Ok);
        Assert.False(given.Of("sda").Ok);
    }

    [Fact]
    public void A_mounted_loop_device_is_refused_even_under_media() =>
        Refused(new Given().Node("file:1", NodeKind.File).Disk("loop0", "loop", kind: NodeKind.Loop, on: ["file:1"]).Mount("loop0", "/media/x").Of("loop0"), "mounted at");

    [Fact]
    public void A_loop_device_whose_file_is_used_by_another_is_refused() =>
        Refused(new Given().Node("file:1", NodeKind.File).Disk("loop0", "loop", kind: NodeKind.Loop, on: ["file:1"]).Disk("loop1", "loop", kind: NodeKind.Loop, on: ["file:1"]).Mount("loop1", "/srv").Of("loop0"), "/srv");

    [Fact]
    public void A_loop_device_made_from_a_swap_file_is_refused() =>
        Refused(new Given().Node("file:1", NodeKind.File).Use("file:1", UseKind.Swap, "/swapfile").Disk("loop0", "loop", kind: NodeKind.Loop, on: ["file:1"]).Of("loop0"), "/swapfile");

    [Fact]
    public void A_loop_device_made_from_a_disk_is_refused() =>
        Refused(new Given().Disk("sda").Disk("loop0", "loop", kind: NodeKind.Loop, on: ["sda"]).Of("loop0"), "made from sda, which is no file");

    [Theory]
    [InlineData(nameof(NodeKind.Unknown), "not known what kind")]
    [InlineData(nameof(NodeKind.Partition), "not a whole one")]
    [InlineData(nameof(NodeKind.Mapped), "made of other disks")]
    [InlineData(nameof(NodeKind.Pool), "made of other disks")]
    [InlineData(nameof(NodeKind.Ram), "RAM disk")]
    [InlineData(nameof(NodeKind.Optical), "optical")]
    [InlineData(nameof(NodeKind.HardwarePartition), "boot or service area")]
    [InlineData(nameof(NodeKind.File), "not a disk")]
    public void Only_disks_are_written(string kind, string reason) => Refused(new Given().Disk("x", kind: Enum.Parse<NodeKind>(kind)).Of("x"), reason);

    [Theory]
    [InlineData(nameof(UseKind.Unknown), false)]
    [InlineData(nameof(UseKind.MountElsewhere), false)]
    [InlineData(nameof(UseKind.System), false)]
    [InlineData(nameof(UseKind.Boot), true)]
    [InlineData(nameof(UseKind.Swap), false)]
    [InlineData(nameof(UseKind.Hibernation), true)]
    [InlineData(nameof(UseKind.HiddenFileSystem), false)]
    [InlineData(nameof(UseKind.Member), false)]
    [InlineData(nameof(UseKind.Open), false)]
    [InlineData(nameof(UseKind.Image), false)]
    [InlineData(nameof(UseKind.Program), false)]
    public void Every_use_refuses_and_few_may_be_overridden(string kind, bool mayAllow)
    {
        foreach (var node in (string[])["sdb", "sdb1"])
        {
            var verdict = new Given().Stick("sdb").Part("sdb1", "sdb").Use(node, Enum.Parse<UseKind>(kind), "the thing").Of("sdb");
            Refused(verdict, "the thing");
            Assert.Equal(mayAllow, verdict.MayAllow);
        }
    }

    [Fact]
    public void An_override_never_covers_the_root() => Assert.False(new Given().Disk("sda").Mount("sda", "/").Mount("sda", "/home").Of("sda").MayAllow);

    [Fact]
    public void An_override_covers_a_forgotten_mount() => Assert.True(new Given().Disk("sda").Mount("sda", "/home").Of("sda").MayAllow);

    [Fact]
    public void What_was_not_seen_refuses_every_disk() => Refused(new Given().Stick("sdb").Unseen("the mounts of 3 other processes cannot be seen").Of("sdb"), "3 other processes");

    [Fact]
    public void A_claim_that_nobody_explains_refuses() => Refused(new Given().Disk("sdb", "usb", removable: true, claimed: true).Of("sdb"), "claimed");

    [Fact]
    public void A_claim_that_a_desktop_mount_explains_is_fine() => Assert.True(new Given().Disk("sdb", "usb", removable: true, claimed: true).Mount("sdb", "/run/media/eva/x").Of("sdb").Ok);

    [Fact]
    public void No_medium_and_write_protection_refuse()
    {
        Refused(new Given().Disk("sdb", "usb", removable: true, size: 0).Of("sdb"), "no medium");
        Refused(new Given().Disk("sdb", "usb", removable: true, readOnly: true).Of("sdb"), "write-protected");
    }

    [Fact]
    public void A_disk_that_is_not_in_the_facts_is_refused() =>
        Refused(Judge.Verdict(new Disk { Device = "/dev/sdz", Node = "sdz", Size = 1 }, new Given().Facts), "not known");

    [Theory]
    [InlineData("nvme", false)]
    [InlineData("sd", true)]
    [InlineData("mmc", false)]
    [InlineData("usb", false)]
    [InlineData("virtio", false)]
    [InlineData("scsi", false)]
    public void Unused_disks_of_every_kind_are_fine(string transport, bool removable) =>
        Assert.True(new Given().Disk("sda").Mount("sda", "/").Disk("x", transport, removable).Part("x1", "x").Of("x").Ok);

    [Fact]
    public void A_cycle_in_the_stack_does_not_hang() => Refused(new Given().Disk("sda").Node("dm-0", NodeKind.Mapped, "sda", "dm-1").Node("dm-1", NodeKind.Mapped, "dm-0").Of("sda"), "dm-0");

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 5)]
    [InlineData(6, 5)]
    [InlineData(40, 5)]
    public void Few_of_many_reasons_are_shown_and_the_rest_is_counted(int mounts, int shown)
    {
        var given = new Given().Disk("sda");
        for (var i = 0; i < mounts; i++) given.Mount("sda", $"/srv/{i}");
        var verdict = given.Of("sda");
        Assert.Equal(mounts, verdict.Reasons.Count);
        var why = verdict.Why().ToList();
        Assert.Equal(shown, why.Count);
        Assert.Equal(verdict.Reasons[0].Text, why[0]);
        if (mounts > shown) Assert.Equal($"and {mounts - 4} more reasons (flasher list --json names them)", why[^1]);
    }
}
