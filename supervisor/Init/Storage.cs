using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Init;

/// <summary>Mounts boot, state and data from the disk that holds the root, and grows data at the first boot.</summary>
internal sealed class Storage(BootLog log)
{
    private readonly Dictionary<string, string> _state = [];

    /// <summary>How each partition is: "ok", "memory" (its place is a tmpfs until it is repaired) or "missing".</summary>
    public IReadOnlyDictionary<string, string> State => _state;

    /// <summary>True when the data partition was grown in this boot.</summary>
    public bool Grown { get; private set; }

    public void MountAll()
    {
        var devices = Wait();
        var root = Roots.Mounted(devices);
        if (root is null) log.Say("the root is on no disk the kernel lists; looking for the other partitions everywhere");
        var boot = Find(devices, root, "boot");
        var state = Find(devices, root, "state");
        var data = Find(devices, root, "data");
        MountBoot(boot);
        MountWritable("state", state, "mode=0700,size=16m");
        GrowPartition(devices, ref data);
        MountWritable("data", data, "mode=0711,size=50%");
        GrowFileSystem(data);
    }

    /// <summary>The disk's partitions may appear one after the other: a short wait for the last one.</summary>
    private static IReadOnlyList<BlockDevice> Wait()
    {
        var deadline = BootLog.Now + 10_000;
        while (true)
        {
            var devices = Roots.Named(BlockDevice.All());
            if (devices.Any(d => d.Label == "data") || BootLog.Now > deadline) return devices;
            Thread.Sleep(50);
        }
    }

    private static BlockDevice? Find(IReadOnlyList<BlockDevice> devices, BlockDevice? root, string label) =>
        root is not null && root.Partition > 0 ? BlockDeviceChoice.Sibling(devices, root, label) : devices.FirstOrDefault(d => d.Partition > 0 && d.Label == label);

    private void MountBoot(BlockDevice? device)
    {
        if (device is null)
        {
            Missing("boot");
            return;
        }

        // Kernels differ in which code pages they have; the names on it are ASCII, so any will do.
        foreach (var options in new[] { null, "iocharset=utf8", "codepage=437,iocharset=iso8859-1", "codepage=437,iocharset=ascii" })
        {
            try
            {
                Libc.Mount(device.Path, "/boot", "vfat", Libc.MsRdOnly | Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec | Libc.MsNoAtime, options);
                _state["boot"] = "ok";
                return;
            }
            catch (LinuxException e)
            {
                log.Say(e.Message);
            }
        }

        _state["boot"] = "missing";
    }

    private void MountWritable(string name, BlockDevice? device, string memory)
    {
        if (device is not null)
        {
            try
            {
                // A journal that was cut is replayed by this mount.
                Libc.Mount(device.Path, "/" + name, "ext4", Flags(name), null);
                _state[name] = "ok";
                return;
            }
            catch (LinuxException e)
            {
                log.Say(e.Message);
            }
        }

        // The device stays reachable and says what is wrong; what it does until then is forgotten at power-off.
        Missing(name);
        try
        {
            Libc.Mount("tmpfs", "/" + name, "tmpfs", Libc.MsNoSuid | Libc.MsNoDev, memory);
            _state[name] = "memory";
        }
        catch (LinuxException e)
        {
            throw new BootFailedException($"no place for {name}: {e.Message}", e);
        }
    }

    /// <summary>Images hold set-user-id programs and device nodes, so data must allow them.</summary>
    private static ulong Flags(string name) => name == "data" ? Libc.MsNoAtime : Libc.MsNoAtime | Libc.MsNoSuid | Libc.MsNoDev | Libc.MsNoExec;

    private void GrowPartition(IReadOnlyList<BlockDevice> devices, ref BlockDevice? data)
    {
        if (data is null || Whole(devices, data) is not { } disk) return;
        Guard("grow the data partition", ref data, d =>
        {
            if (!Growth.GrowPartition(disk, d, log.Say)) return d;
            Grown = true;
            return Roots.Named(BlockDevice.All()).FirstOrDefault(n => n.Name == d.Name) ?? d;
        });
    }

    private void GrowFileSystem(BlockDevice? data)
    {
        if (data is null || _state["data"] != "ok") return;
        BlockDevice? same = data;
        Guard("grow the data file system", ref same, d =>
        {
            if (!Growth.GrowFileSystem(d, "/data")) return d;
            Grown = true;
            return d;
        });
        if (Grown) log.Event("grown", $"data is {data.Size >> 20} MiB");
    }

    private void Guard(string what, ref BlockDevice? device, Func<BlockDevice, BlockDevice> act)
    {
        try
        {
            device = act(device!);
        }
        catch (Exception e) when (e is IOException or Images.ImageException or UnauthorizedAccessException)
        {
            log.Say($"cannot {what}: {e.Message}"); // a small data partition works too
        }
    }

    private static BlockDevice? Whole(IReadOnlyList<BlockDevice> devices, BlockDevice partition) => devices.FirstOrDefault(d => d.Name == partition.Disk);

    private void Missing(string name)
    {
        _state[name] = "missing";
        log.Say($"partition {name} is missing or cannot be mounted");
    }
}
