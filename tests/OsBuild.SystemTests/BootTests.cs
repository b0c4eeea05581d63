using System.Globalization;
using System.Text.RegularExpressions;

namespace OsBuild.SystemTests;

/// <summary>Whole boots through the firmware and the loader: one at a time, they take both processors.</summary>
[Collection("machines")]
public sealed class BootTests : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);
    private readonly string _directory = Directory.CreateTempSubdirectory("osbuild-boot-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void First_boot_serves_a_page_and_later_boots_keep_everything_even_after_a_power_cut()
    {
        var disk = TestImage.Copy(Board.X64, _directory);
        var image = TestImage.Partition(disk, "data").Size;
        string name;

        using (var first = Machine.Start(Board.X64, disk))
        {
            Assert.Contains("OsBuild demo", first.WaitForPage("/cgi-bin/index.cgi", Long), StringComparison.Ordinal);
            first.WaitFor(@"^\[osbuild\] \+[\d.]+s grown", Long);
            name = first.WaitFor(@"identity: (\S+), last shutdown none: first boot", Long).Groups[1].Value;
            PowerOff(first);
            Assert.Equal(["pid1", "devices", "mounts", "identity", "children", "engine ready"], Events(first).Where(e => e is "pid1" or "devices" or "mounts" or "identity" or "children" or "engine ready"));
        }

        var grown = TestImage.Partition(disk, "data").Size;
        Assert.True(grown > image && grown > 1L << 30, $"data is {grown} bytes");
        MustBeCleanWithoutRecovery(disk);
        var id = TestImage.Read(disk, "state", "/machine-id");

        using (var second = Machine.Start(Board.X64, disk))
        {
            second.WaitFor($@"identity: {name}, last shutdown clean", Long);
            second.WaitForPage("/cgi-bin/index.cgi", Long);
            Assert.DoesNotMatch(@"\+[\d.]+s grown", second.Console);
            second.PullPlug();
        }

        using (var third = Machine.Start(Board.X64, disk))
        {
            third.WaitFor($@"identity: {name}, last shutdown NOT clean", Long);
            third.WaitForPage("/cgi-bin/index.cgi", Long);
            PowerOff(third);
        }

        MustBeCleanWithoutRecovery(disk);
        Assert.Equal(id, TestImage.Read(disk, "state", "/machine-id"));
        Assert.Equal(grown, TestImage.Partition(disk, "data").Size);
    }

    [Fact]
    public void A_64_bit_Arm_board_boots_serves_and_shuts_down()
    {
        var disk = TestImage.Copy(Board.Arm64, _directory);
        using (var machine = Machine.Start(Board.Arm64, disk))
        {
            machine.WaitForPage("/cgi-bin/index.cgi", TimeSpan.FromMinutes(15));
            PowerOff(machine);
        }

        MustBeCleanWithoutRecovery(disk);
    }

    /// <summary>The plug is pulled around first-boot growth, a little later each time; the next boot must end with everything grown and sound.</summary>
    [Fact]
    public void A_power_cut_at_any_time_of_the_first_boot_is_made_good_by_the_next()
    {
        var rounds = 3 * int.Parse(Environment.GetEnvironmentVariable("OSBUILD_FUZZ") ?? "1", CultureInfo.InvariantCulture);
        for (var round = 0; round < rounds; round++)
        {
            var directory = Directory.CreateDirectory(Path.Combine(_directory, $"{round}")).FullName;
            var disk = TestImage.Copy(Board.X64, directory);
            using (var cut = Machine.Start(Board.X64, disk))
            {
                cut.WaitFor(@"^\[osbuild\] \+[\d.]+s devices", Long);
                Thread.Sleep(round * 1500 / rounds);
                cut.PullPlug();
            }

            using (var next = Machine.Start(Board.X64, disk))
            {
                next.WaitFor(@"^\[osbuild\] \+[\d.]+s children", Long);
                PowerOff(next);
            }

            Assert.True(TestImage.Partition(disk, "data").Size > 1L << 30, $"round {round}");
            Judge.Run("sgdisk", "-v", disk).MustPass("sgdisk -v");
            MustBeCleanWithoutRecovery(disk);
            Directory.Delete(directory, recursive: true);
        }
    }

    private static void PowerOff(Machine machine)
    {
        machine.PressPowerButton();
        machine.WaitFor(@"^\[osbuild\] \+[\d.]+s clean shutdown: power button", TimeSpan.FromMinutes(4));
        machine.WaitForEnd(TimeSpan.FromMinutes(2));
    }

    /// <summary>Nothing for a journal to replay, nothing for a checker to mend, and the record says so.</summary>
    private static void MustBeCleanWithoutRecovery(string disk)
    {
        foreach (var name in new[] { "state", "data" })
        {
            var partition = TestImage.Extract(disk, name);
            var super = Judge.Run("dumpe2fs", "-h", partition).MustPass("dumpe2fs").Output;
            Assert.DoesNotContain("needs_recovery", super, StringComparison.Ordinal);
            Judge.Run("e2fsck", "-fn", partition).MustPass($"e2fsck of {name}");
            File.Delete(partition);
        }

        var boot = TestImage.Extract(disk, "boot");
        Judge.Run("fsck.fat", "-n", boot).MustPass("fsck.fat of boot");
        File.Delete(boot);
        Assert.StartsWith("clean ", TestImage.Read(disk, "state", "/last-run"), StringComparison.Ordinal);
    }

    private static List<string> Events(Machine machine) =>
        [.. Regex.Matches(machine.Console, @"^\[osbuild\] \+[\d.]+s ([a-z0-9 ]+?)(:|$)", RegexOptions.Multiline).Select(m => m.Groups[1].Value)];
}
