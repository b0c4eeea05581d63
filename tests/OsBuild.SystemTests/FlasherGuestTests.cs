namespace OsBuild.SystemTests;

/// <summary>The published flasher on a running system with real buses: its own disk is refused, a USB stick and an SD card are written.</summary>
[Collection("machines")]
public sealed class FlasherGuestTests : IDisposable
{
    private const int MiB = 1 << 20;
    private readonly GuestDisks _disks = new();

    public void Dispose() => _disks.Dispose();

    [Fact]
    public void The_system_disk_is_refused_and_a_stick_and_a_card_are_written()
    {
        string system = _disks.Make("system", 256 * MiB), stick = _disks.Make("stick", 128 * MiB), card = _disks.Make("card", 64 * MiB);
        using var guest = new Guest(
            "-drive", $"file={system},if=none,id=system,format=raw", "-device", "nvme,drive=system,serial=SYSTEM",
            "-drive", $"file={stick},if=none,id=stick,format=raw", "-device", "usb-storage,drive=stick,bus=xhci.0,removable=on,serial=STICK",
            "-drive", $"file={card},if=none,id=card,format=raw", "-device", "sd-card,drive=card");
        guest.Do("printf 'label: gpt\\n,,L\\n' | sfdisk -q /dev/nvme0n1 && mkfs.ext4 -q /dev/nvme0n1p1 && mount -t ext4 /dev/nvme0n1p1 /mnt");
        guest.SwitchRoot();
        guest.Do("for i in $(seq 100); do [ -b /dev/sda ] && [ -b /dev/mmcblk0 ] && break; sleep 0.1; done; [ -b /dev/sda ] && [ -b /dev/mmcblk0 ]");

        var drives = guest.List().ToDictionary(d => d.GetProperty("device").GetString()!);
        Assert.Equal(["/dev/mmcblk0", "/dev/nvme0n1", "/dev/sda"], drives.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("refused", drives["/dev/nvme0n1"].GetProperty("verdict").GetString());
        Assert.Contains("mounted at /", drives["/dev/nvme0n1"].GetProperty("reasons").EnumerateArray().Select(r => r.GetString()));
        foreach (var device in new[] { "/dev/sda", "/dev/mmcblk0" }) Assert.Equal("ok", drives[device].GetProperty("verdict").GetString());

        guest.Do("dd if=/dev/urandom of=/image bs=1M count=12 2> /dev/null && truncate -s 24M /image");
        var digest = guest.Do("sha256sum /image")[..64];
        var (code, said) = guest.Run("flasher write /image --to /dev/nvme0n1 --yes");
        Assert.True(code == 2 && said.Contains("/dev/nvme0n1 is refused: ", StringComparison.Ordinal) && said.Contains("Nothing was written.", StringComparison.Ordinal), $"{code}: {said}");
        foreach (var (device, disk) in new[] { ("/dev/sda", stick), ("/dev/mmcblk0", card) })
        {
            Assert.Contains("read back", guest.Do($"flasher write /image --to {device} --yes"), StringComparison.Ordinal);
            guest.Do($"flasher verify /image --to {device}");
            Assert.Equal(digest, Guest.Digest(disk, 24 * MiB));
        }

        guest.Do("printf x | dd of=/dev/sda bs=1 seek=5000000 conv=notrunc 2> /dev/null && sync");
        Assert.Equal(3, guest.Run("flasher verify /image --to /dev/sda").ExitCode);
    }
}
