using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class ShutdownTests
{
    private const string Running =
        """
        21 1 254:2 / / ro,relatime shared:1 - ext4 /dev/root ro
        22 21 0:20 / /proc rw,nosuid,nodev,noexec shared:2 - proc proc rw
        23 21 0:21 / /sys rw,nosuid,nodev,noexec shared:3 - sysfs sysfs rw
        24 21 0:6 / /dev rw,nosuid shared:4 - devtmpfs devtmpfs rw,size=1k
        25 23 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
        26 21 0:22 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,mode=755
        27 21 0:26 / /etc rw,noatime shared:6 - overlay overlay rw,lowerdir=/etc
        28 21 254:1 / /boot ro shared:7 - vfat /dev/vda1 ro
        29 21 254:4 / /state rw,noatime shared:8 - ext4 /dev/vda4 rw
        30 21 254:5 / /data rw,noatime shared:9 - ext4 /dev/vda5 rw
        31 30 0:44 / /data/docker/overlay2/9f/merged rw shared:10 - overlay overlay rw
        32 26 0:4 net:[4026532264] /run/docker/netns/a\040b rw shared:11 - nsfs nsfs rw

        """;

    [Fact]
    public void The_latest_mount_goes_first_and_the_kernel_s_own_stay() => Assert.Equal(
        ["/run/docker/netns/a b", "/data/docker/overlay2/9f/merged", "/data", "/state", "/boot", "/etc"],
        Shutdown.UnmountOrder(MountInfo.Parse(Running)));

    [Fact]
    public void No_mount_is_unmounted_before_one_below_it()
    {
        var order = Shutdown.UnmountOrder(MountInfo.Parse(Running));
        for (var i = 0; i < order.Count; i++)
            Assert.DoesNotContain(order.Skip(i + 1), later => later.StartsWith(order[i] + "/", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_on_disk_must_be_clean_at_the_end() =>
        Assert.Equal(["/", "/boot", "/state", "/data"], MountInfo.Parse(Running).Where(m => m.IsOnDisk).Select(m => m.Target));

    [Theory]
    [InlineData("")]
    [InlineData("garbage\n- - -\n1 2 3\n")]
    [InlineData("x y 0:1 / / rw - ext4 a b\n")]
    public void Lines_that_make_no_sense_are_left_out(string text) => Assert.Empty(MountInfo.Parse(text));

    [Fact]
    public void This_machine_s_own_mounts_are_understood()
    {
        var mounts = MountInfo.Current();
        Assert.Equal(File.ReadAllLines("/proc/self/mountinfo").Length, mounts.Count);
        Assert.Contains(mounts, m => m is { Target: "/proc", Type: "proc" });
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("running", false)]
    [InlineData("", false)]
    [InlineData("clean power button", true)]
    public void The_record_tells_how_the_last_run_ended(string? record, bool? clean) => Assert.Equal(clean, ShutdownRecord.WasClean(record));

    [Fact]
    public void A_run_that_is_cut_is_seen_by_the_next_one()
    {
        var state = Directory.CreateTempSubdirectory("osbuild-state-").FullName;
        try
        {
            Assert.Null(ShutdownRecord.Begin(state));
            Assert.False(ShutdownRecord.WasClean(ShutdownRecord.Begin(state))); // no End between: the power went
            ShutdownRecord.End(state, "power button");
            Assert.True(ShutdownRecord.WasClean(ShutdownRecord.Begin(state)));
        }
        finally
        {
            Directory.Delete(state, recursive: true);
        }
    }

    [Theory]
    [InlineData("1000000000 0", 124, false)] // not enough words
    [InlineData("10000000000000 0", 116, true)] // ACPI power button: bit 52 of the second word
    [InlineData("10000000000000 0", 115, false)]
    [InlineData("1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe", 1, true)]
    [InlineData("", 116, false)]
    [InlineData("zz 0", 116, false)]
    public void Finds_keys_in_sysfs_bitmaps(string bitmap, int key, bool there) => Assert.Equal(there, PowerButton.HasKey(bitmap, key));

    [Theory]
    [InlineData(1, 116, 1, true)]
    [InlineData(1, 116, 0, false)] // released
    [InlineData(1, 116, 2, false)] // held
    [InlineData(1, 28, 1, false)] // Enter
    [InlineData(0, 116, 1, false)] // EV_SYN
    public void Only_a_press_of_the_power_key_counts(int type, int code, int value, bool press)
    {
        var bytes = new byte[24];
        BitConverter.TryWriteBytes(bytes.AsSpan(16), (ushort)type);
        BitConverter.TryWriteBytes(bytes.AsSpan(18), (ushort)code);
        BitConverter.TryWriteBytes(bytes.AsSpan(20), value);
        Assert.Equal(press, PowerButton.IsPress(bytes));
        Assert.False(PowerButton.IsPress(bytes.AsSpan(0, 23)));
    }
}
