using System.Text.Json;

namespace OsBuild.SystemTests.Nightly;

/// <summary>The flasher on emulated hardware that a container of disks does not have: other buses, a root that hides below three layers on a
/// stick, a power cut, and a start from what was written. Long: not part of CI.</summary>
[Collection("machines")]
public sealed class GuestWritingTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly GuestDisks _disks = new();

    public void Dispose() => _disks.Dispose();

    private static Dictionary<string, (string Device, string Verdict)> BySerial(Guest guest) =>
        guest.List().ToDictionary(d => d.GetProperty("serial").GetString()!, d => (d.GetProperty("device").GetString()!, d.GetProperty("verdict").GetString()!));

    private static void WaitForDisks(Guest guest, int count) =>
        guest.Do($"for i in $(seq 300); do [ $(ls -d /sys/block/sd* /sys/block/nvme* 2> /dev/null | wc -l) -ge {count} ] && break; sleep 0.1; done; [ $(ls -d /sys/block/sd* /sys/block/nvme* | wc -l) -ge {count} ]");

    /// <summary>NVMe, virtio-scsi that says it is removable, a USB SSD that says it is not, a USB disk of 4 KiB sectors, and a slow stick.</summary>
    [Fact]
    public void Disks_on_other_buses_are_listed_written_and_read_back()
    {
        var disks = new[] { "NVME", "SCSI", "SSD", "FOURK", "SLOW" }.ToDictionary(n => n, n => _disks.Make(n, 64 * MiB));
        string[] Drive(string name, params string[] device) => ["-drive", $"file={disks[name]},if=none,id={name},format=raw", .. device];
        using var guest = new Guest([
            .. Drive("NVME", "-device", "nvme,drive=NVME,serial=NVME"),
            .. Drive("SCSI", "-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,drive=SCSI,bus=scsi.0,removable=on,serial=SCSI"),
            .. Drive("SSD", "-device", "usb-storage,drive=SSD,bus=xhci.0,removable=off,serial=SSD"),
            .. Drive("FOURK", "-device", "usb-bot,id=bot,bus=xhci.0,serial=FOURK", "-device", "scsi-hd,drive=FOURK,bus=bot.0,logical_block_size=4096,physical_block_size=4096,serial=FOURK"),
            "-drive", $"file={disks["SLOW"]},if=none,id=SLOW,format=raw,throttling.bps-total=6000000", "-device", "usb-storage,drive=SLOW,bus=xhci.0,removable=on,serial=SLOW",
        ]);
        WaitForDisks(guest, disks.Count);
        guest.Do("dd if=/dev/urandom of=/image bs=1M count=12 2> /dev/null && truncate -s 25161728 /image"); // no whole number of MiB
        var digest = guest.Do("sha256sum /image")[..64];
        var listed = BySerial(guest);
        foreach (var (name, disk) in disks)
        {
            var (device, verdict) = listed[name];
            Assert.Equal((name, "ok"), (name, verdict));
            Assert.Contains("read back", guest.Do($"flasher write /image --to {device} --yes"), StringComparison.Ordinal);
            guest.Do($"flasher verify /image --to {device}");
            Assert.Equal((name, digest), (name, Guest.Digest(disk, 25161728)));
        }
    }

    [Fact]
    public void A_stick_below_a_root_on_LVM_on_LUKS_is_refused_and_the_idle_internal_disk_is_not()
    {
        string stick = _disks.Make("stick", 384 * MiB), idle = _disks.Make("idle", 64 * MiB);
        using var guest = new Guest(
            "-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK",
            "-drive", $"file={idle},if=none,id=idle,format=raw", "-device", "nvme,drive=idle,serial=IDLE");
        WaitForDisks(guest, 2);
        guest.Do("export DM_DISABLE_UDEV=1; printf 'label: gpt\\n,,L\\n' | sfdisk -q /dev/sda");
        guest.Do("echo secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/sda1 - && echo secret | cryptsetup open -d - /dev/sda1 crypt");
        guest.Do("lvm pvcreate -q -y /dev/mapper/crypt && lvm vgcreate -q vg /dev/mapper/crypt && lvm lvcreate -q -y -Zn -Wn -n root -L 320M vg");
        guest.Do("mkfs.ext4 -q /dev/mapper/vg-root && mount -t ext4 /dev/mapper/vg-root /mnt");
        guest.SwitchRoot();
        var listed = BySerial(guest);
        Assert.Equal("refused", listed["STICK"].Verdict);
        Assert.Equal("ok", listed["IDLE"].Verdict);
        guest.Do("dd if=/dev/urandom of=/tmp/image bs=1M count=4 2> /dev/null");
        var (code, said) = guest.Run("flasher write /tmp/image --to /dev/sda --yes");
        Assert.True(code == 2 && said.Contains("Nothing was written", StringComparison.Ordinal) && said.Contains("mounted at /", StringComparison.Ordinal), $"{code}: {said}");
        (code, said) = guest.Run("flasher write /tmp/image --to /dev/sda --yes --allow-system-disk STICK");
        Assert.True(code == 2 && said.Contains("Nothing was written", StringComparison.Ordinal), $"{code}: {said}");
        guest.Do("ls /bin/busybox && cat /bin/flasher > /dev/null"); // the root is whole
    }

    [Fact]
    public void A_power_cut_leaves_nothing_that_boots_and_the_next_write_goes_on_from_there()
    {
        const int Size = 160 * MiB;
        var stick = _disks.Make("stick", 192 * MiB);
        const string MakeImage = "yes 'one line of an image' | head -c 167772160 > /image";
        using (var guest = new Guest("-drive", $"file={stick},if=none,id=stick,format=raw,throttling.bps-write=20000000", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK"))
        {
            WaitForDisks(guest, 1);
            guest.Do(MakeImage);
            guest.Type("flasher write /image --to /dev/sda --yes --json");
            guest.Until("\"phase\":\"write\",\"done\":1(2[6-9]|[3-9]\\d)\\d{6}");
            guest.PullPlug();
        }

        // All that firmware looks at, but for the note for the next run.
        GuestDisks.IsBlank(stick, 4096);
        GuestDisks.IsBlank(stick, MiB, from: 8192);

        using var again = new Guest("-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK");
        WaitForDisks(again, 1);
        again.Do(MakeImage);
        again.Do("flasher write /image --to /dev/sda --yes --json > /tmp/said");
        using var said = JsonDocument.Parse(again.Do("grep skipped /tmp/said"));
        var (skipped, verified) = (said.RootElement.GetProperty("skipped").GetInt64(), said.RootElement.GetProperty("verified").GetInt64());
        Assert.True(skipped >= 32 * MiB && verified >= Size - MiB, said.RootElement.ToString());
        Assert.Equal(again.Do("sha256sum /image")[..64], Guest.Digest(stick, Size));
    }

    /// <summary>A disk with a kernel and this very guest on it is cloned onto a stick, and the firmware starts from the stick.</summary>
    [Fact]
    public void A_machine_boots_from_the_stick_that_was_written()
    {
        Judge.Require("mcopy");
        string source = _disks.Make("source", 48 * MiB), stick = _disks.Make("stick", 48 * MiB), files = Guest.Files;
        File.WriteAllText(Path.Combine(_disks.Folder, "startup.nsh"), $"fs0:\r\nvmlinuz.efi initrd=\\initrd {Guest.KernelCommandLine}\r\n");
        Judge.Run("sh", "-c", $"printf 'label: gpt\\nstart=2048,size=94208,type=uefi\\n' | sfdisk -q {source}").MustPass("sfdisk");
        Judge.Run("mformat", "-i", $"{source}@@1M", "-T", "94208", "-h", "64", "-s", "32", "::").MustPass("mformat");
        Judge.Run("mcopy", "-i", $"{source}@@1M", $"{files}/vmlinuz", "::vmlinuz.efi").MustPass("mcopy");
        Judge.Run("mcopy", "-i", $"{source}@@1M", $"{files}/initrd", Path.Combine(_disks.Folder, "startup.nsh"), "::").MustPass("mcopy");
        using (var guest = new Guest(
            "-drive", $"file={source},if=none,id=source,format=raw", "-device", "nvme,drive=source,serial=SOURCE",
            "-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK"))
        {
            WaitForDisks(guest, 2);
            Assert.Contains("read back", guest.Do("flasher clone /dev/nvme0n1 --to /dev/sda --yes"), StringComparison.Ordinal);
        }

        using var booted = Guest.FromFirmware("-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK,bootindex=0");
        WaitForDisks(booted, 1);
        Assert.Equal("ok", BySerial(booted)["STICK"].Verdict);
    }
}
