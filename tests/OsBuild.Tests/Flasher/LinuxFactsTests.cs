using System.Text;
using OsBuild.Flasher.Drives;

namespace OsBuild.Tests.Flasher;

public sealed class LinuxFactsTests
{
    [Theory]
    [InlineData(OsBuild.Flasher.Libc.NotPermitted, true, "not even root may open it here (EPERM)")]
    [InlineData(OsBuild.Flasher.Libc.AccessDenied, true, "not even root may open it here (EACCES)")]
    [InlineData(OsBuild.Flasher.Libc.AccessDenied, false, "run as root")]
    public void A_disk_that_may_not_be_opened_says_what_would_help(int error, bool root, string says) =>
        Assert.Contains(says, OsBuild.Flasher.Drives.Linux.Denied("it", error, root), StringComparison.Ordinal);

    [Theory]
    [InlineData("root=/dev/sda2 ro quiet", "System path /dev/sda2")]
    [InlineData("BOOT_IMAGE=/x root=UUID=ABCD-1234 resume=/dev/mapper/vg-swap", "System UUID abcd-1234,Hibernation path /dev/mapper/vg-swap")]
    [InlineData("root=PARTUUID=0A0B0C0D-02 rootwait", "System PARTUUID 0a0b0c0d-02")]
    [InlineData("root=PARTUUID=00112233-4455-6677-8899-aabbccddeeff/PARTNROFF=1", "System PARTUUID 00112233-4455-6677-8899-aabbccddeeff")]
    [InlineData("root=LABEL=Root resume=UUID=x", "System LABEL Root,Hibernation UUID x")]
    [InlineData("rootfstype=ext4 init=/sbin/init", "")]
    [InlineData("root= resume", "")]
    public void The_kernel_command_line(string line, string expected) =>
        Assert.Equal(expected, string.Join(',', BootDevice.OfCommandLine(Encoding.ASCII.GetBytes(line)).Select(d => $"{d.Kind} {d.Tag} {d.Value}")));

    [Fact]
    public void The_firmwares_boot_entry_names_its_partition()
    {
        var id = Guid.Parse("5c1a7d3e-8f02-4b6b-9c3d-0123456789ab");
        byte[] node = [4, 1, 42, 0, 1, 0, 0, 0, .. new byte[16], .. id.ToByteArray(), 2, 2, 4, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 4, 0];
        byte[] option = [1, 0, 0, 0, 60, 0, .. Encoding.Unicode.GetBytes("debian\0"), 2, 1, 12, 0, .. new byte[8], .. node];
        Assert.Equal(id.ToString(), BootDevice.PartitionOfLoadOption(option));
        for (var cut = 0; cut < option.Length; cut++) _ = BootDevice.PartitionOfLoadOption(option.AsSpan(0, cut));
        Assert.Null(BootDevice.PartitionOfLoadOption([1, 0, 0, 0, 4, 0, 0, 0, 0x7f, 0xff, 4, 0]));
    }

    [Fact]
    public void Partition_ids_of_MBR_and_GPT()
    {
        var mbr = new byte[512];
        (mbr[440], mbr[443], mbr[446 + 4], mbr[446 + 36], mbr[510], mbr[511]) = (0x78, 0x12, 0x0c, 0x83, 0x55, 0xaa);
        Assert.Equal([(1, "12000078-01"), (3, "12000078-03")], PartitionIds.Of(mbr, 512));
        Assert.Empty(PartitionIds.Of(new byte[100], 512));
        var id = Guid.NewGuid();
        var gpt = new byte[64 << 10];
        "EFI PART"u8.CopyTo(gpt.AsSpan(4096));
        (gpt[4096 + 72], gpt[4096 + 80], gpt[4096 + 84]) = (2, 128, 128);
        gpt[8192 + 128] = 1;
        id.TryWriteBytes(gpt.AsSpan(8192 + 128 + 16));
        Assert.Equal([(2, id.ToString())], PartitionIds.Of(gpt, 4096));
    }

    [Theory]
    [InlineData("LUKS", 0, "TFVLU7q+AAI=")]
    [InlineData("ext4", 0x438, "U+8=")]
    [InlineData("btrfs", 0x10040, "X0JIUmZTX00=")]
    [InlineData("xfs", 0, "WEZTQg==")]
    [InlineData("LVM2_member", 512, "TEFCRUxPTkU=")]
    [InlineData("linux_raid_member", 4096, "/E4rqQ==")]
    [InlineData("linux_raid_member", 0, "/E4rqQ==")]
    [InlineData("bcache", 0x1018, "xoVz9g==")]
    [InlineData("zfs_member", 135168, "DLG6AAAAAAA=")]
    [InlineData("iso9660", 0x8001, "Q0QwMDE=")]
    [InlineData("squashfs", 0, "aHNxcw==")]
    [InlineData("ntfs", 3, "TlRGUyAgICA=")]
    [InlineData("BitLocker", 3, "LUZWRS1GUy0=")]
    public void Contents_are_recognised(string kind, int offset, string base64)
    {
        var bytes = new byte[Signature.Window];
        Convert.FromBase64String(base64).CopyTo(bytes, offset);
        Assert.Equal(kind, Signature.Of(bytes)?.Kind);
    }

    [Theory]
    [InlineData("SWAPSPACE2", "swap")]
    [InlineData("S1SUSPEND\0", "hibernation")]
    [InlineData("LINHIB0001", "hibernation")]
    public void Swap_and_a_sleeping_system(string magic, string kind)
    {
        foreach (var page in (int[])[4096, 16384, 65536])
        {
            var bytes = new byte[Signature.Window];
            Encoding.ASCII.GetBytes(magic).CopyTo(bytes, page - 10);
            Assert.Equal(kind, Signature.Of(bytes)?.Kind);
        }
    }

    [Fact]
    public void Torn_contents_do_no_harm()
    {
        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var bytes = new byte[random.Next(0, 70_000)];
            if (bytes.Length > 600) random.NextBytes(bytes.AsSpan(0, 600));
            if (bytes.Length > 8) (i % 4 == 0 ? "LUKS\xba\xbe\0\x02"u8 : i % 4 == 1 ? "XFSB"u8 : "hsqs"u8).CopyTo(bytes);
            try
            {
                _ = Signature.Of(bytes);
            }
            catch (ArgumentOutOfRangeException)
            {
                Assert.Fail($"a content of {bytes.Length} bytes breaks the recognition");
            }
        }

        Assert.Null(Signature.Of(new byte[Signature.Window]));
    }
}
