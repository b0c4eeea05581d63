using System.Buffers.Binary;
using System.Text;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Tests.Supervisor.Linux;

public sealed class BlockDeviceTests
{
    private static readonly BlockDevice Vda = new("vda", "254:0", "vda", 0, "", "", 0, 2L << 30);
    private static readonly BlockDevice Root = Part("vda2", 2, "root-a", "11111111-2222-3333-4444-555555555502");
    private static readonly BlockDevice Data = Part("vda5", 5, "data", "11111111-2222-3333-4444-555555555505");
    private static readonly BlockDevice OtherData = Part("sda5", 5, "data", "99999999-2222-3333-4444-555555555505") with { Disk = "sda" };
    private static readonly BlockDevice[] All = [new("sda", "8:0", "sda", 0, "", "", 0, 4L << 30), OtherData, Vda, Root, Data];

    [Theory]
    [InlineData("PARTUUID=11111111-2222-3333-4444-555555555502", "vda2")]
    [InlineData("PARTUUID=11111111-2222-3333-4444-55555555550A", null)]
    [InlineData("PARTLABEL=root-a", "vda2")]
    [InlineData("/dev/vda2", "vda2")]
    [InlineData("/dev/vda", "vda")]
    [InlineData("/dev/disk/by-partlabel/root-a", "vda2")]
    [InlineData("/dev/disk/by-partuuid/11111111-2222-3333-4444-555555555502", "vda2")]
    [InlineData("254:2", "vda2")]
    [InlineData("/dev/nvme0n1p2", null)]
    [InlineData("", null)]
    public void Finds_what_root_names(string root, string? name) => Assert.Equal(name, BlockDeviceChoice.Find(All, root)?.Name);

    [Fact]
    public void Upper_case_ids_are_the_same_ids() => Assert.Equal("vda5", BlockDeviceChoice.Find([Data with { Uuid = "ABCDEF00-2222-3333-4444-555555555505" }], "PARTUUID=abcdef00-2222-3333-4444-555555555505")?.Name);

    [Fact]
    public void Data_is_looked_for_on_the_disk_of_the_root_only()
    {
        Assert.Equal("vda5", BlockDeviceChoice.Sibling(All, Root, "data")?.Name);
        Assert.Null(BlockDeviceChoice.Sibling([OtherData, Vda, Root], Root, "data"));
    }

    [Fact]
    public void Reads_partitions_from_sysfs()
    {
        // The same shape as the kernel's: /sys/class/block/NAME is a link into the device tree.
        var sys = Directory.CreateTempSubdirectory("osbuild-sys-").FullName;
        try
        {
            var disk = Directory.CreateDirectory(Path.Combine(sys, "devices/virtio0/block/vda")).FullName;
            var partition = Directory.CreateDirectory(Path.Combine(disk, "vda5")).FullName;
            Directory.CreateDirectory(Path.Combine(disk, "queue"));
            File.WriteAllText(Path.Combine(disk, "uevent"), "MAJOR=254\nMINOR=0\nDEVNAME=vda\nDEVTYPE=disk\n");
            File.WriteAllText(Path.Combine(disk, "size"), "4194304\n");
            File.WriteAllText(Path.Combine(disk, "queue/logical_block_size"), "4096\n");
            File.WriteAllText(Path.Combine(partition, "uevent"), "MAJOR=254\nMINOR=5\nDEVNAME=vda5\nDEVTYPE=partition\nPARTN=5\nPARTNAME=data\n");
            File.WriteAllText(Path.Combine(partition, "start"), "2048\n");
            File.WriteAllText(Path.Combine(partition, "size"), "131072\n");
            var links = Directory.CreateDirectory(Path.Combine(sys, "class")).FullName;
            File.CreateSymbolicLink(Path.Combine(links, "vda"), "../devices/virtio0/block/vda");
            File.CreateSymbolicLink(Path.Combine(links, "vda5"), "../devices/virtio0/block/vda/vda5");

            Assert.Equal(
                [new BlockDevice("vda", "254:0", "vda", 0, "", "", 0, 2L << 30, 4096), new BlockDevice("vda5", "254:5", "vda", 5, "data", "", 1 << 20, 64 << 20)],
                BlockDevice.All(links));
        }
        finally
        {
            Directory.Delete(sys, recursive: true);
        }
    }

    [Fact]
    public void A_missing_sysfs_has_no_devices() => Assert.Empty(BlockDevice.All("/nowhere"));

    [Fact]
    public void Knows_ext4_and_its_size_and_label()
    {
        var head = Ext(blocks: 0x1_0000_0004, logBlock: 2, wide: true, label: "data");
        Assert.Equal(("ext4", "data", 0x1_0000_0004 * 4096, 4096), (FileSystemProbe.Type(head), FileSystemProbe.Label(head), FileSystemProbe.ExtSize(head), FileSystemProbe.ExtBlockSize(head)));
    }

    [Fact]
    public void The_high_half_of_the_size_counts_only_with_64bit() => Assert.Equal(4 * 1024, FileSystemProbe.ExtSize(Ext(0x1_0000_0004, 0, wide: false, "")));

    [Fact]
    public void Knows_fat_squashfs_and_erofs()
    {
        var fat = new byte[4096];
        fat[0] = 0xEB;
        (fat[510], fat[511]) = (0x55, 0xAA);
        "FAT32   "u8.CopyTo(fat.AsSpan(0x52));
        "BOOT       "u8.CopyTo(fat.AsSpan(0x47));
        Assert.Equal(("vfat", "boot"), (FileSystemProbe.Type(fat), FileSystemProbe.Label(fat)));
        var squash = new byte[4096];
        "hsqs"u8.CopyTo(squash);
        Assert.Equal("squashfs", FileSystemProbe.Type(squash));
        var erofs = new byte[4096];
        BinaryPrimitives.WriteUInt32LittleEndian(erofs.AsSpan(1024), 0xE0F5E1E2);
        Assert.Equal("erofs", FileSystemProbe.Type(erofs));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(4096)]
    public void Noise_is_no_file_system(int length)
    {
        var noise = new byte[length];
        new Random(length).NextBytes(noise);
        Assert.Equal(("", "", 0L, 0), (FileSystemProbe.Type(noise), FileSystemProbe.Label(noise), FileSystemProbe.ExtSize(noise), FileSystemProbe.ExtBlockSize(noise)));
    }

    [Fact]
    public void A_block_size_that_cannot_be_is_zero() => Assert.Equal(0, FileSystemProbe.ExtBlockSize(Ext(1, 60, false, "")));

    private static BlockDevice Part(string name, int number, string label, string id) => new(name, $"254:{number}", "vda", number, label, id, number << 20, 1 << 20);

    private static byte[] Ext(long blocks, int logBlock, bool wide, string label)
    {
        var head = new byte[4096];
        var super = head.AsSpan(1024);
        BinaryPrimitives.WriteUInt32LittleEndian(super[0x04..], (uint)blocks);
        BinaryPrimitives.WriteUInt32LittleEndian(super[0x18..], (uint)logBlock);
        BinaryPrimitives.WriteUInt16LittleEndian(super[0x38..], 0xEF53);
        BinaryPrimitives.WriteUInt32LittleEndian(super[0x60..], wide ? 0x80u : 0);
        Encoding.ASCII.GetBytes(label).CopyTo(super[0x78..]);
        BinaryPrimitives.WriteUInt32LittleEndian(super[0x150..], (uint)(blocks >> 32));
        return head;
    }
}
