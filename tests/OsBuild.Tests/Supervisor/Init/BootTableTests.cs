using OsBuild.Supervisor.Init;

namespace OsBuild.Tests.Supervisor.Init;

public sealed class BootTableTests
{
    private static IEnumerable<BootAction> InOrder =>
        [.. BootTable.Kernel, .. BootTable.Modules, .. BootTable.Programs, .. BootTable.ControlGroups, .. BootTable.Settings];

    [Fact]
    public void Nothing_is_written_below_a_kernel_file_system_that_is_not_mounted_yet()
    {
        var mounted = new List<string>();
        foreach (var action in InOrder)
        {
            if (action is BootAction.Mount mount) mounted.Add(mount.Target);
            if (action is not BootAction.Write write) continue;
            Assert.Contains(mounted, m => write.Path.StartsWith(m + "/", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void A_mount_point_inside_another_mount_comes_after_it()
    {
        var targets = InOrder.OfType<BootAction.Mount>().Select(m => m.Target).ToList();
        for (var i = 0; i < targets.Count; i++)
            Assert.DoesNotContain(targets.Skip(i + 1), later => targets[i].StartsWith(later + "/", StringComparison.Ordinal));
    }

    [Fact]
    public void Directories_made_in_a_file_system_are_made_after_its_mount()
    {
        var actions = InOrder.ToList();
        foreach (var directory in actions.OfType<BootAction.Directory>())
        {
            var mount = actions.FindLastIndex(a => a is BootAction.Mount m && directory.Path.StartsWith(m.Target + "/", StringComparison.Ordinal));
            if (mount >= 0 && actions[mount] is BootAction.Mount { Target: "/dev" or "/run" or "/sys/fs/cgroup" }) Assert.True(actions.IndexOf(directory) > mount, directory.ToString());
        }
    }

    [Fact]
    public void Without_these_a_boot_is_given_up() => Assert.Equal(
        ["/proc", "/sys", "/dev", "/run", "/tmp", "/sys/fs/cgroup"],
        InOrder.OfType<BootAction.Mount>().Where(m => m.Need == Need.Fatal).Select(m => m.Target));

    [Fact]
    public void Etc_and_var_are_writable_on_a_read_only_root() =>
        Assert.Equal(["/etc", "/var"], InOrder.OfType<BootAction.Overlay>().Select(o => o.Path));

    [Fact]
    public void Overlays_come_after_the_run_directory_that_holds_their_changes_and_the_module()
    {
        var actions = InOrder.ToList();
        var overlay = actions.FindIndex(a => a is BootAction.Overlay);
        Assert.True(actions.FindIndex(a => a is BootAction.Mount { Target: "/run" }) < overlay);
        Assert.True(actions.FindIndex(a => a is BootAction.Module { Name: "overlay" }) < overlay);
    }

    [Fact]
    public void Process_1_leaves_the_root_cgroup_before_controllers_are_handed_down()
    {
        var writes = BootTable.ControlGroups.OfType<BootAction.Write>().ToList();
        var leaves = writes.FindIndex(w => w is { Path: "/sys/fs/cgroup/init/cgroup.procs", Text: "1" });
        Assert.True(leaves >= 0 && leaves < writes.FindIndex(w => w.Path.EndsWith("subtree_control", StringComparison.Ordinal)));
    }

    [Fact]
    public void Each_controller_is_asked_for_by_itself_so_that_a_missing_one_costs_only_itself() =>
        Assert.All(BootTable.ControlGroups.OfType<BootAction.Write>().Where(w => w.Path.EndsWith("subtree_control", StringComparison.Ordinal)), w => Assert.DoesNotContain(' ', w.Text));

    [Fact]
    public void A_panic_reboots() => Assert.Contains(BootTable.Settings, a => a is BootAction.Write { Path: "/proc/sys/kernel/panic", Text: "10" });

    [Fact]
    public void Security_file_systems_are_there_only_for_a_root_that_has_the_parser() =>
        Assert.Equal(["/sys/kernel/security apparmor_parser"], InOrder.OfType<BootAction.Mount>().Where(m => m.OnlyWith is not null).Select(m => $"{m.Target} {m.OnlyWith}"));

    [Theory]
    [InlineData("there", 1)]
    [InlineData("missing", 0)]
    public void An_action_for_the_sake_of_a_program_is_left_out_where_the_root_has_none(string program, int failures)
    {
        var said = new List<string>();
        new Boot(said.Add, hasProgram: name => name == "there").Perform([new BootAction.Write("/nowhere/x", "1") { OnlyWith = program }]);
        Assert.Equal(failures, said.Count);
    }

    [Fact]
    public void Programs_are_looked_for_where_roots_keep_them()
    {
        Assert.Equal("/usr/sbin/apparmor_parser", Programs.Find("apparmor_parser", path => path is "/usr/sbin/apparmor_parser" or "/sbin/apparmor_parser"));
        Assert.Null(Programs.Find("apparmor_parser", path => path == "/opt/apparmor_parser"));
    }

    [Fact]
    public void The_table_reads_as_text()
    {
        string[] some = [.. BootTable.Kernel.Take(3).Select(a => a.ToString()!), new BootAction.Overlay("/etc", "/run/osbuild/etc").ToString(), BootTable.Settings[^1].ToString()!];
        Assert.Equal(["mount proc on /proc", "mount sysfs on /sys", "mount devtmpfs on /dev (mode=0755)", "overlay /etc over /run/osbuild/etc", "limit CORE 0"], some);
    }

    [Fact]
    public void A_fatal_action_that_fails_ends_the_boot_and_names_itself()
    {
        var said = new List<string>();
        BootAction[] table = [new BootAction.Write("/nowhere/x", "1", Need.Fatal)];
        var failure = Assert.Throws<BootFailedException>(() => new Boot(said.Add).Perform(table));
        Assert.StartsWith("write /nowhere/x 1", failure.Message, StringComparison.Ordinal);
        Assert.Empty(said);
    }

    [Fact]
    public void A_wanted_action_that_fails_is_said_and_an_optional_one_is_not()
    {
        var said = new List<string>();
        new Boot(said.Add).Perform([new BootAction.Write("/nowhere/wanted", "1"), new BootAction.Write("/nowhere/optional", "1", Need.Optional)]);
        Assert.StartsWith("write /nowhere/wanted", Assert.Single(said), StringComparison.Ordinal);
    }

    [Fact]
    public void Directories_links_and_writes_are_made_and_made_again_without_harm()
    {
        var root = Directory.CreateTempSubdirectory("osbuild-boot-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(root, "kernel-file"), "");
            File.CreateSymbolicLink(Path.Combine(root, "log"), "volatile/log"); // as Yocto's base-files does
            BootAction[] table =
            [
                new BootAction.Directory(Path.Combine(root, "log"), (UnixFileMode)0b111_101_101),
                new BootAction.Link(Path.Combine(root, "fd"), "/proc/self/fd"),
                new BootAction.Write(Path.Combine(root, "kernel-file"), "+memory"),
            ];
            var said = new List<string>();
            new Boot(said.Add).Perform(table);
            new Boot(said.Add).Perform(table);
            Assert.Empty(said);
            Assert.True(Directory.Exists(Path.Combine(root, "volatile", "log")));
            Assert.Equal("/proc/self/fd", new FileInfo(Path.Combine(root, "fd")).LinkTarget);
            Assert.Equal("+memory", File.ReadAllText(Path.Combine(root, "kernel-file")));
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }
}
