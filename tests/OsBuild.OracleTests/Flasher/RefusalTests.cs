using System.Diagnostics;

namespace OsBuild.OracleTests.Flasher;

/// <summary>The measured matrix of other flashers repeated: what is in use is refused with exit code 2, and not one byte of it changes.</summary>
public sealed class RefusalTests
{
    private const int MiB = 1 << 20;

    /// <summary>Otherwise a mounted ext4 goes on writing its tables in the background, and the byte comparison sees that.</summary>
    private const string NothingLater = "lazy_itable_init=0,lazy_journal_init=0";

    private static string Small => Folder.File("a.img", Folder.Image(4 * MiB));

    /// <summary>Fills a device with a pattern first, then expects a refusal that leaves all of it.</summary>
    private static void Untouched(LoopDevice device, string says, params string[] more)
    {
        Judge.Run("sync");
        var before = Digest(device.File);
        Cli.Ends(2, says, ["write", Small, "--to", device.Path, "--yes", .. more]);
        Assert.Equal(before, Digest(device.File));
    }

    private static string Digest(string file)
    {
        using var stream = File.OpenRead(file);
        return Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(stream));
    }

    private static LoopDevice Ext4(string folder, bool mount = true)
    {
        var device = new LoopDevice(32 * MiB);
        Judge.Run("mkfs.ext4", "-q", "-E", NothingLater, device.Path).MustPass("mkfs.ext4");
        Directory.CreateDirectory(folder);
        if (mount) Judge.Run("mount", device.Path, folder).MustPass("mount");
        return device;
    }

    private static string NewFolder() => Path.Combine(Folder.Path, Guid.NewGuid().ToString("N"));

    [Fact]
    public void Mounted_here()
    {
        var at = NewFolder();
        using var device = Ext4(at);
        try
        {
            Untouched(device, $"mounted at {at}");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void Mounted_read_only()
    {
        var at = NewFolder();
        using var device = Ext4(at, mount: false);
        Judge.Run("mount", "-o", "ro", device.Path, at).MustPass("mount");
        try
        {
            Untouched(device, $"mounted at {at}");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void Mounted_in_another_namespace_only()
    {
        var at = NewFolder();
        using var device = Ext4(at, mount: false);
        using var hidden = Process.Start(new ProcessStartInfo("unshare", ["-m", "--propagation", "private", "sh", "-c", $"mount {device.Path} {at} && echo ready && exec sleep 60"]) { RedirectStandardOutput = true })!;
        Assert.Equal("ready", hidden.StandardOutput.ReadLine());
        try
        {
            Untouched(device, "mounted out of sight");
        }
        finally
        {
            hidden.Kill();
            hidden.WaitForExit();
        }
    }

    [Fact]
    public void Unmounted_lazily_while_a_file_is_open()
    {
        var at = NewFolder();
        using var device = Ext4(at);
        using (File.Create(Path.Combine(at, "open")))
        {
            Judge.Run("umount", "-l", at).MustPass("umount");
            Untouched(device, "its file system is in use although no mount of it is visible");
        }
    }

    [Fact]
    public void Swap()
    {
        using var device = new LoopDevice(32 * MiB);
        Judge.Run("mkswap", device.Path).MustPass("mkswap");
        var on = Judge.Run("swapon", device.Path);
        Assert.SkipWhen(on.ExitCode != 0, "this kernel takes no swap");
        try
        {
            // The kernel itself may write here at any time, so only its header is compared.
            var header = device.Read(4096)[1024..];
            Cli.Ends(2, "used as swap space", "write", Small, "--to", device.Path, "--yes");
            Assert.Equal(header, device.Read(4096)[1024..]);
        }
        finally
        {
            Judge.Run("swapoff", device.Path);
        }
    }

    [Fact]
    public void Either_member_of_a_btrfs_mirror()
    {
        var at = NewFolder();
        Directory.CreateDirectory(at);
        using var first = new LoopDevice(128 * MiB);
        using var second = new LoopDevice(128 * MiB);
        var made = Judge.Run("mkfs.btrfs", "-q", "-f", "-d", "raid1", "-m", "raid1", first.Path, second.Path);
        Assert.SkipWhen(made.ExitCode != 0 || Judge.Run("mount", first.Path, at).ExitCode != 0, "this kernel has no btrfs");
        try
        {
            Untouched(first, "a member of a btrfs on 2 disks");
            Untouched(second, "a member of a btrfs on 2 disks");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void Read_only()
    {
        using var device = new LoopDevice(16 * MiB, "-r");
        Untouched(device, "write-protected");
    }

    [Fact]
    public void Smaller_than_the_image()
    {
        using var device = new LoopDevice((4 * MiB) - 512);
        Untouched(device, "larger than");
    }

    [Fact]
    public void The_image_lies_on_the_target()
    {
        var at = NewFolder();
        using var device = Ext4(at);
        try
        {
            var image = Path.Combine(at, "a.img");
            File.WriteAllBytes(image, Folder.Image(4 * MiB));
            Cli.Ends(2, "the image to be written lies on it", "write", image, "--to", device.Path, "--yes");
            Assert.True(File.ReadAllBytes(image).AsSpan().SequenceEqual(Folder.Image(4 * MiB)));
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void Another_loop_device_on_the_same_file_is_mounted()
    {
        var at = NewFolder();
        using var device = Ext4(at);
        using var twin = new LoopDevice(device.File, ownFile: false);
        try
        {
            Untouched(twin, "lies on it and is active");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Fact]
    public void A_loop_device_over_a_loop_device()
    {
        using var below = new LoopDevice(16 * MiB);
        using var above = new LoopDevice(below.Path, ownFile: false);
        Untouched(below, "lies on it and is active");
        Cli.Ends(2, "which is no file", "write", Small, "--to", above.Path, "--yes");
    }

    [Fact]
    public void A_file_system_in_a_file_on_the_target_is_mounted()
    {
        string outer = NewFolder(), inner = NewFolder();
        using var device = Ext4(outer);
        Directory.CreateDirectory(inner);
        try
        {
            var file = Path.Combine(outer, "inner");
            using (var stream = File.Create(file)) stream.SetLength(8 * MiB);
            using var nested = new LoopDevice(file, ownFile: false);
            Judge.Run("mkfs.ext4", "-q", "-E", NothingLater, nested.Path).MustPass("mkfs.ext4");
            Judge.Run("mount", nested.Path, inner).MustPass("mount");
            Judge.Run("umount", "-l", outer);
            Untouched(device, "lies on it and is active");
        }
        finally
        {
            Judge.Run("umount", inner);
            Judge.Run("umount", outer);
        }
    }

    [Fact]
    public void Open_for_writing_in_another_program()
    {
        using var device = new LoopDevice(16 * MiB);
        using var holder = Process.Start(new ProcessStartInfo("sh", ["-c", $"exec 3<>{device.Path}; echo ready; exec sleep 60"]) { RedirectStandardOutput = true })!;
        Assert.Equal("ready", holder.StandardOutput.ReadLine());
        try
        {
            Untouched(device, $"open for writing in process {holder.Id}");
        }
        finally
        {
            holder.Kill();
            holder.WaitForExit();
        }
    }

    [Fact]
    public void Locked_by_another_program()
    {
        using var device = new LoopDevice(16 * MiB);
        using var holder = Process.Start(new ProcessStartInfo("flock", [device.Path, "sh", "-c", "echo ready; exec sleep 60"]) { RedirectStandardOutput = true })!;
        Assert.Equal("ready", holder.StandardOutput.ReadLine());
        try
        {
            Untouched(device, "locked by another program");
        }
        finally
        {
            holder.Kill(entireProcessTree: true);
            holder.WaitForExit();
        }
    }

    [Fact]
    public void A_partition()
    {
        using var device = new LoopDevice(32 * MiB, "-P");
        Judge.Run("sh", "-c", $"printf 'label: dos\\n,16M\\n' | sfdisk -q {device.Path}").MustPass("sfdisk");
        var part = device.Path + "p1";
        Assert.SkipUnless(File.Exists(part), "no partition node");
        Cli.Ends(2, $"Did you mean {device.Path}?", "write", Small, "--to", part, "--yes");
    }

    [Theory]
    [InlineData("/dev/null", "neither a drive nor an ordinary file")]
    [InlineData("/dev/nosuchdisk", "There is no drive")]
    [InlineData("/dev", "is a folder; name a drive")]
    public void What_is_no_drive(string target, string says) => Cli.Ends(2, says, "write", Small, "--to", target, "--yes");

    [Fact]
    public void The_image_itself_by_another_name()
    {
        var image = Small;
        var link = image + ".link";
        Judge.Run("ln", image, link).MustPass("ln");
        Cli.Ends(2, "is the image itself", "write", image, "--to", link, "--yes");
    }

    [Fact]
    public void A_file_that_is_a_loop_device()
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "is in use as loop", "write", Small, "--to", device.File, "--yes");
    }

    [Fact]
    public void The_same_device_twice()
    {
        using var device = new LoopDevice(16 * MiB);
        Untouched(device, "named twice", "--to", device.Path);
    }

    [Fact]
    public void One_of_several_is_unfit_and_none_is_written()
    {
        using var good = new LoopDevice(16 * MiB);
        using var small = new LoopDevice(MiB);
        Untouched(good, "larger than", "--to", small.Path);
    }

    [Fact]
    public void Nobody_there_to_confirm()
    {
        using var device = new LoopDevice(16 * MiB);
        Cli.Ends(2, "--yes", "write", Small, "--to", device.Path);
        Assert.All(device.Read(4 * MiB), b => Assert.Equal(0, b));
    }

    [Theory]
    [InlineData("write")]
    [InlineData("write", "a.img")]
    [InlineData("format", "c:")]
    [InlineData("list", "--colour")]
    public void Bad_usage(params string[] arguments) => Cli.Ends(2, "flasher", arguments);
}
