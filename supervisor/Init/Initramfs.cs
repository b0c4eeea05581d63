using System.Globalization;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>The initramfs stage: load the few modules the root needs, find the root, mount it read-only, go there.</summary>
internal static class Initramfs
{
    private const ulong Hardened = Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec;

    private static readonly IReadOnlyList<BootAction> Table =
    [
        new BootAction.Directory("/proc", (UnixFileMode)0b111_101_101),
        new BootAction.Directory("/sys", (UnixFileMode)0b111_101_101),
        new BootAction.Directory("/dev", (UnixFileMode)0b111_101_101),
        new BootAction.Directory("/sysroot", (UnixFileMode)0b111_101_101),
        new BootAction.Mount("proc", "/proc", Hardened, Need: Need.Fatal),
        new BootAction.Mount("sysfs", "/sys", Hardened, Need: Need.Fatal),
        new BootAction.Mount("devtmpfs", "/dev", Libc.MsNoSuid, "mode=0755", Need.Fatal),
    ];

    /// <summary>True when this process is /init of an initramfs.</summary>
    public static bool IsHere => File.Exists("/etc/initrd-release");

    /// <summary>Ends in the real init; returns only by throwing.</summary>
    public static void Run(BootLog log)
    {
        new Boot(log.Say).Perform(Table);
        var line = KernelCommandLine.Current();
        LoadModules(log);
        var root = line["root"] ?? throw new BootFailedException("the kernel command line has no root=; add root=PARTUUID=... to the loader's entry", new InvalidDataException());
        var device = WaitFor(root, Seconds(line["rootdelay"], 60), log);
        MountRoot(device, line["rootfstype"], line["rootflags"]);
        foreach (var mount in new[] { "/dev", "/sys", "/proc" })
            if (Directory.Exists("/sysroot" + mount)) Libc.Mount(mount, "/sysroot" + mount, null, Libc.MsMove, null);
        log.Say($"root {device.Path} mounted, switching to it");
        SwitchRoot(line["init"] ?? "/sbin/init");
    }

    /// <summary>The files the builder put there, in its order. One that fails is a line on the console: the root may come up without it.</summary>
    private static void LoadModules(BootLog log)
    {
        if (!File.Exists("/etc/modules.load")) return;
        foreach (var line in File.ReadLines("/etc/modules.load").Select(l => l.Trim()).Where(l => l.Length > 0 && l[0] != '#'))
        {
            try
            {
                KernelModules.LoadFile(Path.Combine("/", line));
            }
            catch (IOException e)
            {
                log.Say(e.Message);
            }
        }
    }

    private static BlockDevice WaitFor(string root, int seconds, BootLog log)
    {
        var deadline = BootLog.Now + (seconds * 1000L);
        var said = false;
        while (true)
        {
            var devices = BlockDevice.All();
            if (Roots.Find(devices, root) is { } found && File.Exists(found.Path)) return found;
            if (BootLog.Now > deadline)
                throw new BootFailedException($"no device for root={root} after {seconds} s; there is {string.Join(", ", devices.Select(d => d.Name))}", new TimeoutException());
            if (!said) log.Say($"waiting for root={root}");
            said = true;
            Thread.Sleep(20);
        }
    }

    private static void MountRoot(BlockDevice device, string? type, string? flags)
    {
        var types = type is not null ? type.Split(',') : Probe(device) is { Length: > 0 } known ? [known] : [.. DiskFileSystems()];
        LinuxException? last = null;
        foreach (var candidate in types)
        {
            try
            {
                Libc.Mount(device.Path, "/sysroot", candidate, Libc.MsRdOnly, flags);
                return;
            }
            catch (LinuxException e)
            {
                last = e;
            }
        }

        throw new BootFailedException($"root {device.Path} cannot be mounted as {string.Join(", ", types)}: {last?.Message}", last ?? new LinuxException("mount", Libc.ENODEV));
    }

    private static string Probe(BlockDevice device)
    {
        try
        {
            using var file = File.OpenHandle(device.Path, share: FileShare.ReadWrite);
            var head = new byte[4096];
            return FileSystemProbe.Type(head.AsSpan(0, RandomAccess.Read(file, head, 0)));
        }
        catch (IOException)
        {
            return ""; // the mount will say what is wrong
        }
    }

    private static IEnumerable<string> DiskFileSystems() =>
        File.ReadLines("/proc/filesystems").Where(l => !l.StartsWith("nodev", StringComparison.Ordinal)).Select(l => l.Trim());

    private static void SwitchRoot(string init)
    {
        Libc.DefaultSignal(Libc.SIGPIPE); // .NET ignores it, and ignored signals pass through an exec
        Empty(new DirectoryInfo("/"), "/sysroot"); // gives the memory of the initramfs back
        Libc.ChangeDirectory("/sysroot");
        Libc.Mount(".", "/", null, Libc.MsMove, null);
        Libc.ChangeRoot(".");
        string[] environment = ["HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
        Libc.Execute(init, [], environment);
    }

    private static void Empty(DirectoryInfo directory, string except)
    {
        foreach (var entry in directory.EnumerateFileSystemInfos())
        {
            if (entry.FullName == except) continue;
            try
            {
                if (entry is DirectoryInfo child && child.LinkTarget is null)
                {
                    if (IsMountPoint(child)) continue;
                    Empty(child, except);
                }

                entry.Delete();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Memory that stays used; nothing else depends on it.
            }
        }
    }

    private static bool IsMountPoint(DirectoryInfo directory) => directory.FullName is "/proc" or "/sys" or "/dev" or "/sysroot";

    private static int Seconds(string? text, int otherwise) => int.TryParse(text, CultureInfo.InvariantCulture, out var value) ? Math.Max(value, otherwise) : otherwise;
}
