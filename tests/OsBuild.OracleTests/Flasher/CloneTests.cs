namespace OsBuild.OracleTests.Flasher;

public sealed class CloneTests
{
    private const int MiB = 1 << 20;

    private static LoopDevice Filled(int size, out byte[] bytes, params string[] options)
    {
        var device = new LoopDevice(size, options);
        bytes = Folder.Image(size);
        File.WriteAllBytes(device.File, bytes);
        return device;
    }

    [Theory]
    [InlineData("512")]
    [InlineData("4096")]
    public void A_drive_is_copied_whole_to_several_others(string sector)
    {
        using var from = Filled(12 * MiB, out var bytes);
        using var a = new LoopDevice(12 * MiB, "--sector-size", sector);
        using var b = new LoopDevice(20 * MiB);
        Cli.Ends(0, "12 MiB written and read back", "clone", from.Path, "--to", a.Path, b.Path, "--yes");
        foreach (var to in (LoopDevice[])[a, b]) Assert.True(bytes.AsSpan().SequenceEqual(to.Read(bytes.Length)), "the clone differs");
        Assert.True(bytes.AsSpan().SequenceEqual(from.Read(bytes.Length)), "the source must stay as it was");
        Cli.Ends(0, "every byte", "verify", from.File, "--to", a.Path);
    }

    [Fact]
    public void A_write_protected_drive_can_be_copied_from()
    {
        using var from = new LoopDevice(8 * MiB, "-r");
        using var to = new LoopDevice(8 * MiB);
        Cli.Ends(0, "read back", "clone", from.Path, "--to", to.Path, "--yes");
    }

    [Fact]
    public void Onto_a_smaller_drive_it_is_refused()
    {
        using var from = Filled(12 * MiB, out _);
        using var to = new LoopDevice((12 * MiB) - 512);
        Cli.Ends(2, "larger than", "clone", from.Path, "--to", to.Path, "--yes");
    }

    [Fact]
    public void Onto_itself_it_is_refused()
    {
        using var from = Filled(8 * MiB, out var bytes);
        Cli.Ends(2, "the one to be copied", "clone", from.Path, "--to", from.Path, "--yes");
        Assert.True(bytes.AsSpan().SequenceEqual(from.Read(bytes.Length)));
    }

    [Fact]
    public void A_mounted_drive_would_change_while_it_is_copied()
    {
        using var from = new LoopDevice(16 * MiB);
        using var to = new LoopDevice(16 * MiB);
        Judge.Run("mkfs.ext4", "-q", from.Path).MustPass("mkfs.ext4");
        var at = Directory.CreateDirectory(Path.Combine(Folder.Path, Guid.NewGuid().ToString("N"))).FullName;
        Judge.Run("mount", from.Path, at).MustPass("mount");
        try
        {
            Cli.Ends(2, "would change while it is copied", "clone", from.Path, "--to", to.Path, "--yes");
        }
        finally
        {
            Judge.Run("umount", at);
        }
    }

    [Theory]
    [InlineData("/dev/nosuchdisk", "There is no drive")]
    [InlineData("/etc/passwd", "There is no drive")]
    public void What_is_no_drive_is_not_copied_from(string from, string says)
    {
        using var to = new LoopDevice(8 * MiB);
        Cli.Ends(2, says, "clone", from, "--to", to.Path, "--yes");
    }

    [Fact]
    public void A_drive_that_is_set_to_read_only_is_refused_as_target()
    {
        using var from = Filled(8 * MiB, out _);
        using var to = new LoopDevice(8 * MiB);
        Judge.Run("blockdev", "--setro", to.Path).MustPass("blockdev");
        try
        {
            Cli.Ends(2, "write-protected", "clone", from.Path, "--to", to.Path, "--yes");
        }
        finally
        {
            // A loop device keeps this for its next file.
            Judge.Run("blockdev", "--setrw", to.Path);
        }
    }
}
