using OsBuild.Supervisor.Linux;
using static OsBuild.Supervisor.Init.BootAction;

namespace OsBuild.Supervisor.Init;

/// <summary>
/// What makes a Linux kernel with a read-only root into a host for containers, in order. Checked against what dockerd, containerd and runc
/// really need, and against Talos' and u-root's tables.
/// </summary>
internal static class BootTable
{
    private const ulong Hardened = Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec;
    private const UnixFileMode Mode755 = (UnixFileMode)0b111_101_101;
    private const UnixFileMode Mode1777 = (UnixFileMode)0b1_111_111_111;

    /// <summary>The kernel's own file systems: before anything else can be read, logged or loaded.</summary>
    public static readonly IReadOnlyList<BootAction> Kernel =
    [
        new Mount("proc", "/proc", Hardened, Need: Need.Fatal),
        new Mount("sysfs", "/sys", Hardened, Need: Need.Fatal),
        new Mount("devtmpfs", "/dev", Libc.MsNoSuid, "mode=0755", Need.Fatal),
        new Mount("tmpfs", "/run", Libc.MsNoSuid | Libc.MsNoDev, "mode=0755", Need.Fatal),
        new BootAction.Directory("/run/osbuild", Mode755, Need.Fatal),
        new BootAction.Directory("/run/lock", Mode1777),
    ];

    /// <summary>What programs expect to find.</summary>
    public static readonly IReadOnlyList<BootAction> Programs =
    [
        new BootAction.Directory("/dev/pts", Mode755),
        new BootAction.Directory("/dev/shm", Mode1777),
        new BootAction.Directory("/dev/mqueue", Mode1777),
        new Mount("devpts", "/dev/pts", Libc.MsNoSuid | Libc.MsNoExec, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
        new Mount("tmpfs", "/dev/shm", Libc.MsNoSuid | Libc.MsNoDev, "mode=1777"),
        new Mount("mqueue", "/dev/mqueue", Hardened, Need: Need.Optional),
        new Link("/dev/fd", "/proc/self/fd"),
        new Link("/dev/stdin", "/proc/self/fd/0"),
        new Link("/dev/stdout", "/proc/self/fd/1"),
        new Link("/dev/stderr", "/proc/self/fd/2"),
        new Link("/dev/ptmx", "pts/ptmx", Need.Optional),
        new Mount("tmpfs", "/tmp", Libc.MsNoSuid | Libc.MsNoDev, "mode=1777", Need.Fatal),
        new Mount("cgroup2", "/sys/fs/cgroup", Hardened, "nsdelegate,memory_recursiveprot", Need.Fatal),
        new Mount("bpf", "/sys/fs/bpf", Hardened, "mode=0700", Need.Optional),
        new Mount("efivarfs", "/sys/firmware/efi/efivars", Hardened, Need: Need.Optional),
        new Mount("pstore", "/sys/fs/pstore", Hardened, Need: Need.Optional),
        // By this mount dockerd decides that there is AppArmor, and then no container starts without the parser.
        new Mount("securityfs", "/sys/kernel/security", Hardened, Need: Need.Optional) { OnlyWith = "apparmor_parser" },
        new Propagate("/", Libc.MsShared | Libc.MsRec),
        new Overlay("/etc", "/run/osbuild/etc"),
        new Overlay("/var", "/run/osbuild/var"),
        new BootAction.Directory("/var/lib", Mode755),
        new BootAction.Directory("/var/log", Mode755),
        new BootAction.Directory("/var/tmp", Mode1777),
        new BootAction.Directory("/etc/docker", Mode755),
    ];

    /// <summary>The cgroup tree. A cgroup with processes cannot hand controllers to children, so PID 1 leaves the root first.</summary>
    public static readonly IReadOnlyList<BootAction> ControlGroups =
    [
        new BootAction.Directory("/sys/fs/cgroup/init", Mode755),
        new BootAction.Directory("/sys/fs/cgroup/engine", Mode755),
        new BootAction.Directory("/sys/fs/cgroup/supervisor", Mode755),
        new Write("/sys/fs/cgroup/init/cgroup.procs", "1"),
        .. Controllers(["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma"]),
        new Write("/sys/fs/cgroup/init/memory.min", "16M", Need.Optional),
        new Write("/sys/fs/cgroup/supervisor/memory.min", "24M", Need.Optional),
        new Write("/sys/fs/cgroup/engine/memory.min", "64M", Need.Optional),
    ];

    public static readonly IReadOnlyList<BootAction> Settings =
    [
        // A panic, an oops or a hang of the kernel becomes a reboot: the one way back when nobody is there.
        new Write("/proc/sys/kernel/panic", "10"),
        new Write("/proc/sys/kernel/panic_on_oops", "1"),
        new Write("/proc/sys/kernel/softlockup_panic", "1", Need.Optional),
        new Write("/proc/sys/kernel/ctrl-alt-del", "0"),
        new Write("/proc/sys/kernel/kptr_restrict", "1"),
        new Write("/proc/sys/kernel/dmesg_restrict", "1"),
        new Write("/proc/sys/kernel/pid_max", "262144", Need.Optional),
        new Write("/proc/sys/vm/overcommit_memory", "1"),
        new Write("/proc/sys/fs/inotify/max_user_instances", "8192", Need.Optional),
        new Write("/proc/sys/fs/inotify/max_user_watches", "524288", Need.Optional),
        new Write("/proc/sys/fs/aio-max-nr", "1048576", Need.Optional),
        new Write("/proc/sys/net/ipv4/ip_forward", "1", Need.Optional),
        new Write("/proc/sys/net/ipv4/tcp_keepalive_time", "600", Need.Optional),
        new Write("/proc/sys/net/ipv4/tcp_keepalive_intvl", "60", Need.Optional),
        // With forwarding on, the kernel takes router advertisements only when told so (2).
        new Write("/proc/sys/net/ipv6/conf/all/forwarding", "1", Need.Optional),
        new Write("/proc/sys/net/ipv6/conf/default/accept_ra", "2", Need.Optional),
        new Write("/proc/sys/net/ipv6/conf/all/accept_ra", "2", Need.Optional),
        new Write("/proc/self/oom_score_adj", "-1000"),
        new Limit("NOFILE", 7, 1048576),
        new Limit("NPROC", 6, 262144, Need.Optional),
        new Limit("CORE", 4, 0),
    ];

    /// <summary>Modules nothing would ask for by alias in time: overlayfs is mounted by us, the others are named by the engine with a
    /// modprobe program that the root may lack.</summary>
    public static readonly IReadOnlyList<BootAction> Modules =
    [
        new Module("overlay"), new Module("vfat"), new Module("nls_cp437"), new Module("nls_iso8859_1"), new Module("nls_ascii"),
        new Module("nls_utf8"), new Module("ext4"), new Module("bridge"), new Module("br_netfilter"), new Module("veth"), new Module("nf_tables"),
        new Module("evdev"), new Module("button"),
    ];

    private static IEnumerable<BootAction> Controllers(string[] names) =>
        names.Select(n => new Write("/sys/fs/cgroup/cgroup.subtree_control", "+" + n, n is "memory" or "pids" or "cpu" ? Need.Wanted : Need.Optional));
}
