namespace OsBuild.SystemTests.Nightly;

/// <summary>The flasher where people really err and drives really fail: swapped, pulled, broken and protected drives, and every way a root can lie on a disk.
/// Long: not part of CI.</summary>
[Collection("machines")]
public sealed class GuestMatrixTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly GuestDisks _disks = new();

    public void Dispose() => _disks.Dispose();

    private static void MakeImage(Guest guest) => guest.Do("dd if=/dev/urandom of=/image bs=1M count=24 2> /dev/null");

    private static void WaitForDisk(Guest guest, string name) => guest.Do($"for i in $(seq 200); do [ -b /dev/{name} ] && break; sleep 0.1; done; [ -b /dev/{name} ]");

    /// <summary>Between the question and the answer the stick becomes another one: of another size, of another serial number, or alike in everything.</summary>
    [Fact]
    public void A_stick_that_was_swapped_after_the_choice_is_refused_100_times_of_100()
    {
        (string Name, int MiB, string Serial)[] sticks = [("first", 64, "STICK"), ("larger", 96, "STICK"), ("named", 64, "OTHER"), ("twin", 64, "STICK")];
        var paths = sticks.ToDictionary(s => s.Name, s => _disks.Make(s.Name, s.MiB * MiB));
        using var guest = new Guest([.. sticks.SelectMany(s => (string[])["-blockdev", $"driver=file,node-name={s.Name},filename={paths[s.Name]}"])]);
        void Plug(int turn)
        {
            var (name, _, serial) = sticks[turn % sticks.Length];
            guest.Control.Run("device_add", $"{{\"driver\":\"usb-storage\",\"id\":\"stick\",\"drive\":\"{name}\",\"bus\":\"xhci.0\",\"removable\":true,\"serial\":\"{serial}\"}}");
        }

        MakeImage(guest);
        Plug(0);
        WaitForDisk(guest, "sda");
        for (var round = 0; round < 100; round++)
        {
            guest.Do("(was=$(cat /sys/block/sda/diskseq); while now=$(cat /sys/block/sda/diskseq 2> /dev/null); [ -z \"$now\" -o \"$now\" = \"$was\" ]; do sleep 0.1; done; echo SWAPPED) &");
            guest.Type("flasher write /image --to /dev/sda");
            guest.Until("Type sda to go on: ");
            guest.Control.Run("device_del", "{\"id\":\"stick\"}");
            guest.Control.WaitFor("DEVICE_DELETED");
            Plug(round + 1);
            guest.Until("SWAPPED\n");
            guest.Type("sda");
            var end = guest.Until(@"GUEST EXIT (\d+)\n");
            Assert.True(end.Match.Groups[1].Value == "2" && end.Before.Contains("Nothing was written", StringComparison.Ordinal), $"round {round}: {end.Before}");
            foreach (var stick in sticks) GuestDisks.IsBlank(paths[stick.Name], stick.MiB * MiB);
        }
    }

    [Fact]
    public void A_stick_that_is_pulled_in_the_middle_ends_the_write_and_does_not_look_bootable()
    {
        var stick = _disks.Make("stick", 64 * MiB);
        using var guest = new Guest("-drive", $"file={stick},if=none,id=stick,format=raw,throttling.bps-write=2000000", "-device", "usb-storage,id=stick,drive=stick,bus=xhci.0,removable=on,serial=STICK");
        MakeImage(guest);
        WaitForDisk(guest, "sda");
        guest.Type("flasher write /image --to /dev/sda --yes --json");
        guest.Until("\"phase\":\"write\",\"done\":[1-9]");
        guest.Control.Run("device_del", "{\"id\":\"stick\"}");
        var end = guest.Until(@"GUEST EXIT (\d+)\n");
        Assert.True(end.Match.Groups[1].Value == "1", end.Before);
        Assert.Contains("pulled out or lost", end.Before, StringComparison.Ordinal);
        GuestDisks.IsBlank(stick, MiB);
    }

    [Fact]
    public void A_stick_that_fails_at_one_place_is_named_with_that_place()
    {
        var stick = _disks.Make("stick", 64 * MiB);
        var faults = Path.Combine(_disks.Folder, "faults");
        File.WriteAllText(faults, "[inject-error]\nevent = \"write_aio\"\nsector = \"20480\"\nerrno = \"5\"\nonce = \"off\"\n");
        using var guest = new Guest("-drive", $"file=blkdebug:{faults}:{stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK");
        MakeImage(guest);
        WaitForDisk(guest, "sda");
        var (code, said) = guest.Run("flasher write /image --to /dev/sda --yes");
        Assert.True(code == 1 && said.Contains("failed at offset", StringComparison.Ordinal), $"{code}: {said}");
        GuestDisks.IsBlank(stick, MiB);
    }

    [Fact]
    public void A_write_protected_stick_is_refused()
    {
        var stick = _disks.Make("stick", 64 * MiB);
        using var guest = new Guest("-drive", $"file={stick},if=none,id=stick,format=raw,readonly=on", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK");
        MakeImage(guest);
        WaitForDisk(guest, "sda");
        var (code, said) = guest.Run("flasher write /image --to /dev/sda --yes");
        Assert.True(code == 2 && said.Contains("it is read-only or write-protected", StringComparison.Ordinal), $"{code}: {said}");
    }

    /// <summary>The running root, by every kind of stack; each disk it lies on is refused, and the stick beside them is not.</summary>
    [Theory]
    [InlineData("partition", "mkfs.ext4 -q /dev/nvme0n1p1 && mount -t ext4 /dev/nvme0n1p1 /mnt", 1)]
    [InlineData("LVM", "lvm pvcreate -q -y /dev/nvme0n1p1 /dev/nvme1n1p1 && lvm vgcreate -q vg /dev/nvme0n1p1 /dev/nvme1n1p1 && lvm lvcreate -q -y -Zn -Wn -n root -L 300M vg && mkfs.ext4 -q /dev/mapper/vg-root && mount -t ext4 /dev/mapper/vg-root /mnt", 2)]
    [InlineData("LUKS", "echo secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/nvme0n1p1 - && echo secret | cryptsetup open -d - /dev/nvme0n1p1 crypt && mkfs.ext4 -q /dev/mapper/crypt && mount -t ext4 /dev/mapper/crypt /mnt", 1)]
    [InlineData("RAID", "mdadm --create /dev/md0 --quiet --level=1 --raid-devices=2 --metadata=1.2 --assume-clean --run /dev/nvme0n1p1 /dev/nvme1n1p1 && mkfs.ext4 -q /dev/md0 && mount -t ext4 /dev/md0 /mnt", 2)]
    [InlineData("btrfs", "mkfs.btrfs -q -d raid0 /dev/nvme0n1p1 /dev/nvme1n1p1 && mount -t btrfs -o device=/dev/nvme1n1p1 /dev/nvme0n1p1 /mnt", 2)]
    public void The_disks_of_a_running_root_are_refused(string name, string setup, int disks)
    {
        string first = _disks.Make("first", 256 * MiB), second = _disks.Make("second", 256 * MiB), stick = _disks.Make("stick", 64 * MiB);
        using var guest = new Guest(
            "-drive", $"file={first},if=none,id=first,format=raw", "-device", "nvme,drive=first,serial=FIRST",
            "-drive", $"file={second},if=none,id=second,format=raw", "-device", "nvme,drive=second,serial=SECOND",
            "-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK");
        guest.Do("export DM_DISABLE_UDEV=1; for d in /dev/nvme0n1 /dev/nvme1n1; do printf 'label: gpt\\n,,L\\n' | sfdisk -q $d; done");
        guest.Do(setup);
        guest.SwitchRoot();
        WaitForDisk(guest, "sda");
        MakeImage(guest);
        var refused = Verdicts(guest).Where(d => d.Verdict == "refused").ToList();
        Assert.True(disks == refused.Count(d => d.Device.StartsWith("/dev/nvme", StringComparison.Ordinal)), $"{name}: {string.Join("; ", Verdicts(guest))}");
        Assert.Contains(Verdicts(guest), d => d is { Device: "/dev/sda", Verdict: "ok" });
        foreach (var device in new[] { "/dev/nvme0n1", "/dev/nvme1n1" }.Take(disks))
        {
            var (code, said) = guest.Run($"flasher write /image --to {device} --yes");
            Assert.True(code == 2 && said.Contains("Nothing was written", StringComparison.Ordinal), $"{name}, {device}: {code}: {said}");
        }

        var (ended, answer) = guest.Run("flasher write /image --to /dev/nvme0n1p1 --yes");
        Assert.True(ended == 2 && answer.Contains("is a partition; an image goes onto a whole disk. Did you mean /dev/nvme0n1?", StringComparison.Ordinal), $"{ended}: {answer}");
        guest.Do("ls /bin/busybox && cat /bin/flasher > /dev/null"); // the root is whole
    }

    [Fact]
    public void Swap_and_compressed_memory_and_a_home_on_a_stick_are_refused()
    {
        string swap = _disks.Make("swap", 64 * MiB), home = _disks.Make("home", 64 * MiB);
        using var guest = new Guest(
            "-drive", $"file={swap},if=none,id=swap,format=raw", "-device", "nvme,drive=swap,serial=SWAP",
            "-drive", $"file={home},if=none,id=home,format=raw", "-device", "usb-storage,drive=home,bus=xhci.0,removable=on,serial=HOME");
        WaitForDisk(guest, "sda");
        guest.Do("mkswap /dev/nvme0n1 > /dev/null && swapon /dev/nvme0n1 && echo 32M > /sys/block/zram0/disksize && mkswap /dev/zram0 > /dev/null && swapon /dev/zram0");
        guest.Do("mkfs.ext4 -q /dev/sda && mount -t ext4 /dev/sda /home");
        MakeImage(guest);
        foreach (var (device, why) in new[] { ("/dev/nvme0n1", "used as swap space"), ("/dev/zram0", "is not a disk that images can be written to"), ("/dev/sda", "mounted at /home") })
        {
            var (code, said) = guest.Run($"flasher write /image --to {device} --yes");
            Assert.True(code == 2 && said.Contains(why, StringComparison.Ordinal), $"{device}: {code}: {said}");
        }
    }

    private static List<(string Device, string Verdict)> Verdicts(Guest guest) =>
        [.. guest.List().Select(d => (d.GetProperty("device").GetString()!, d.GetProperty("verdict").GetString()!))];
}
