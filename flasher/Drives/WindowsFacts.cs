namespace OsBuild.Flasher.Drives;

/// <summary>A physical drive as Windows' storage IOCTLs tell it.</summary>
internal sealed record WindowsDisk
{
    public required int Number { get; init; }

    public string Vendor { get; init; } = "";

    public string Product { get; init; } = "";

    public string Serial { get; init; } = "";

    public long Size { get; init; }

    public int SectorSize { get; init; } = 512;

    /// <summary>STORAGE_BUS_TYPE: 1 SCSI, 3 ATA, 7 USB, 8 RAID, 11 SATA, 12 SD, 13 MMC, 14 virtual, 15 file-backed, 16 Spaces, 17 NVMe ...</summary>
    public int Bus { get; init; }

    /// <summary>RemovableMedia of the device descriptor: sticks and cards, not USB disks.</summary>
    public bool RemovableMedia { get; init; }

    public bool Writable { get; init; } = true;

    /// <summary>Partition type GUIDs (MBR types as <c>0x42</c>).</summary>
    public IReadOnlyList<string> PartitionTypes { get; init; } = [];

    /// <summary>False when an IOCTL was refused, so that this record is not complete.</summary>
    public bool Complete { get; init; } = true;
}

/// <summary>A volume with the disks it lies on.</summary>
internal sealed record WindowsVolume
{
    /// <summary><c>\\?\Volume{...}</c></summary>
    public required string Name { get; init; }

    /// <summary>Drive letters and folders, <c>E:\</c>.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Numbers of all disks it has extents on.</summary>
    public IReadOnlyList<int> Disks { get; init; } = [];

    /// <summary>pagefile.sys, hiberfil.sys, swapfile.sys in its root.</summary>
    public IReadOnlyList<string> SystemFiles { get; init; } = [];

    /// <summary>False when its extents could not be read: then it may lie anywhere.</summary>
    public bool Complete { get; init; } = true;
}

/// <summary>Everything that was asked of a Windows machine: data, so that recorded machines can be judged anywhere.</summary>
internal sealed record WindowsSnapshot
{
    public IReadOnlyList<WindowsDisk> Disks { get; init; } = [];

    public IReadOnlyList<WindowsVolume> Volumes { get; init; } = [];

    /// <summary>Folders of the running system: Windows, profiles, program files.</summary>
    public IReadOnlyList<string> SystemFolders { get; init; } = [];

    /// <summary>Volume the firmware started from (<c>SystemPartition</c> of the registry, resolved to a volume name), or null.</summary>
    public string? BootVolume { get; init; }

    public string? Image { get; init; }

    public string? Program { get; init; }

    public bool Administrator { get; init; } = true;
}

/// <summary>Turns what Windows tells into the facts that <see cref="Judge"/> knows. Pure.</summary>
internal static class WindowsFacts
{
    /// <summary>Partitions that show that a disk belongs to something larger: Storage Spaces, dynamic disks, Storage Replica.</summary>
    private static readonly Dictionary<string, string> Members = new(StringComparer.OrdinalIgnoreCase)
    {
        ["E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D"] = "a storage pool (Storage Spaces)",
        ["AF9B60A0-1431-4F62-BC68-3311714A69AD"] = "a dynamic disk group",
        ["5808C8AA-7E8F-42E0-85D2-E1E90434CFB3"] = "a dynamic disk group",
        ["558D43C5-A1AC-43C0-AAC8-D1472B2923D1"] = "a storage replica",
        ["EEFF8352-DD2A-44DB-AE83-BEE1CF7481DC"] = "a storage cache",
        ["03AAA829-EBFC-4E7E-AAC9-C4D76C63B24B"] = "a storage cache",
        ["0x42"] = "a dynamic disk group",
    };

    public static SystemFacts From(WindowsSnapshot machine)
    {
        List<Node> nodes = [];
        List<Use> uses = [];
        foreach (var disk in machine.Disks)
        {
            nodes.Add(new Node(Name(disk.Number), disk.Bus is 8 or 14 or 15 or 16 or 18 or 19 ? NodeKind.Pool : NodeKind.Disk, []));
            foreach (var type in disk.PartitionTypes)
                if (Members.TryGetValue(type, out var of)) uses.Add(new Use(Name(disk.Number), UseKind.Member, of));
        }

        foreach (var volume in machine.Volumes)
        {
            nodes.Add(new Node(volume.Name, NodeKind.Partition, [.. volume.Disks.Select(Name)]));
            if (volume.Disks.Count > 1) uses.Add(new Use(volume.Name, UseKind.Member, $"a volume on {volume.Disks.Count} disks"));
            foreach (var path in volume.Paths) uses.Add(new Use(volume.Name, UseKind.Mount, path));
            foreach (var file in volume.SystemFiles) uses.Add(new Use(volume.Name, file.StartsWith("hiber", StringComparison.OrdinalIgnoreCase) ? UseKind.Hibernation : UseKind.Swap, file));
            foreach (var folder in machine.SystemFolders.Where(f => LiesOn(f, volume, machine))) uses.Add(new Use(volume.Name, UseKind.System, folder));
            if (machine.Image is { } image && LiesOn(image, volume, machine)) uses.Add(new Use(volume.Name, UseKind.Image, image));
            if (machine.Program is { } program && LiesOn(program, volume, machine)) uses.Add(new Use(volume.Name, UseKind.Program, program));
            if (volume.Name == machine.BootVolume) uses.Add(new Use(volume.Name, UseKind.Boot, "the firmware's system partition"));
        }

        return new SystemFacts
        {
            System = SystemKind.Windows,
            Nodes = nodes,
            Uses = uses,
            Unseen = [.. Unseen(machine)],
            Disks = [.. machine.Disks.Select(d => Describe(d, machine))],
        };
    }

    private static IEnumerable<string> Unseen(WindowsSnapshot machine)
    {
        if (!machine.Administrator) yield return "what uses the drives cannot be seen; run as administrator";
        else if (machine.Volumes.FirstOrDefault(v => !v.Complete) is { } volume) yield return $"it cannot be told on which disk {(volume.Paths is [var path, ..] ? path : volume.Name)} lies";
        if (machine.SystemFolders.Count == 0) yield return "it cannot be told where Windows lies";
        foreach (var folder in machine.SystemFolders.Where(f => !machine.Volumes.Any(v => LiesOn(f, v, machine)))) yield return $"it cannot be told on which disk {folder} lies";
    }

    /// <summary>Whether a path lies on a volume: the longest mount path of all volumes decides, so that folder mounts count.</summary>
    private static bool LiesOn(string path, WindowsVolume volume, WindowsSnapshot machine)
    {
        var best = machine.Volumes.SelectMany(v => v.Paths.Select(p => (Volume: v, Path: p)))
            .Where(m => (path + "\\").StartsWith(m.Path.TrimEnd('\\') + "\\", StringComparison.OrdinalIgnoreCase))
            .OrderByDescending(m => m.Path.Length).FirstOrDefault();
        return best.Volume?.Name == volume.Name;
    }

    private static Disk Describe(WindowsDisk disk, WindowsSnapshot machine) => new()
    {
        Device = $@"\\.\PhysicalDrive{disk.Number}",
        Node = Name(disk.Number),
        Number = disk.Number.ToString(),
        Size = disk.Size,
        SectorSize = disk.SectorSize,
        Model = Shown.Clean($"{disk.Vendor} {disk.Product}").Trim(),
        Serial = Shown.Clean(disk.Serial).Trim(),
        Transport = disk.Bus switch { 7 => "usb", 12 => "sd", 13 => "mmc", 17 => "nvme", 3 or 11 => "sata", 1 or 10 => "scsi", 4 => "firewire", _ => "" },
        Removable = disk.RemovableMedia || disk.Bus is 4 or 7 or 12,
        ReadOnly = !disk.Writable,
        Holds = [.. machine.Volumes.Where(v => v.Disks.Contains(disk.Number)).SelectMany(v => v.Paths)],
        Unseen = disk.Complete ? [] : ["Windows does not tell everything about it"],
    };

    private static string Name(int number) => $"PhysicalDrive{number}";
}
