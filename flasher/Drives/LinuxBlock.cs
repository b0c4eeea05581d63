namespace OsBuild.Flasher.Drives;

/// <summary>The block devices of a Linux machine as sysfs shows them: disks, their partitions and what is stacked on them.</summary>
internal sealed class LinuxBlock
{
    private readonly string _root;
    private readonly Dictionary<string, Node> _nodes = [];
    private readonly Dictionary<string, HashSet<string>> _on = [];
    private readonly Dictionary<string, string> _byNumber = [];
    private readonly List<Disk> _disks = [];

    /// <param name="root">The root directory; another one than <c>/</c> for recorded machines.</param>
    public LinuxBlock(string root)
    {
        _root = root;
        var folder = new DirectoryInfo(Path.Combine(root, "sys/block"));
        foreach (var entry in folder.EnumerateFileSystemInfos().OrderBy(e => e.Name, StringComparer.Ordinal)) AddDisk(entry);
    }

    public IReadOnlyList<Disk> Disks => _disks;

    public IReadOnlyList<Node> Nodes => [.. _nodes.Values.Select(n => n with { On = [.. _on[n.Name].Order(StringComparer.Ordinal)] })];

    /// <summary>Names of nodes that file systems can lie on.</summary>
    public IEnumerable<string> Names => _nodes.Keys;

    public NodeKind KindOf(string name) => _nodes.TryGetValue(name, out var node) ? node.Kind : NodeKind.Unknown;

    /// <summary>The node with a device number such as <c>8:1</c>.</summary>
    public string? ByNumber(string number) => _byNumber.GetValueOrDefault(number);

    /// <summary>The node that a path such as <c>/dev/mapper/vg-root</c> or <c>/dev/sda1</c> names, by its last part when nothing else helps.</summary>
    public string? ByPath(string path)
    {
        if (Libc.DeviceNumberOf(path) is { } number && ByNumber(number) is { } node) return node;
        var name = path.StartsWith("/dev/", StringComparison.Ordinal) ? path["/dev/".Length..].Replace('/', '!') : Path.GetFileName(path);
        if (_nodes.ContainsKey(name)) return name;
        var title = Path.GetFileName(path);
        return _nodes.Values.FirstOrDefault(n => n.Kind == NodeKind.Mapped && n.Title == title)?.Name;
    }

    /// <summary>Adds a file as a node that lies on another, and gives its name.</summary>
    public string AddFile(string identity, string path, string? on)
    {
        var name = "file:" + identity;
        Add(name, NodeKind.File, path);
        if (on is not null) _on[name].Add(on);
        return name;
    }

    public void AddEdge(string upper, string lower)
    {
        if (_on.TryGetValue(upper, out var on)) on.Add(lower);
    }

    /// <summary>The file that a loop device is made from, or null.</summary>
    public string? BackingFile(string loop) => Text($"sys/block/{loop}/loop/backing_file");

    public static string DevicePath(string node) => "/dev/" + node.Replace('!', '/');

    private void Add(string name, NodeKind kind, string? title)
    {
        _nodes.TryAdd(name, new Node(name, kind, []) { Title = title });
        _on.TryAdd(name, new(StringComparer.Ordinal));
    }

    private void AddDisk(FileSystemInfo entry)
    {
        var name = entry.Name;
        var at = $"sys/block/{name}";
        if (Text($"{at}/hidden") == "1") return;
        var devicePath = entry.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? entry.FullName;
        var kind = KindAt(name, at);
        Add(name, kind, Text($"{at}/dm/name"));
        if (Text($"{at}/dev") is { } number) _byNumber[number] = name;
        Stack(name, at);
        if (kind == NodeKind.Ram && Text($"{at}/backing_dev") is { } backing && backing != "none" && ByPath(backing) is { } below) AddEdge(name, below);
        foreach (var part in Folders(at).Where(f => File.Exists(Path.Combine(_root, at, f, "partition"))))
        {
            Add(part, NodeKind.Partition, null);
            _on[part].Add(name);
            if (Text($"{at}/{part}/dev") is { } partNumber) _byNumber[partNumber] = part;
            Stack(part, $"{at}/{part}");
        }

        if (kind is NodeKind.Ram or NodeKind.Mapped || (kind is NodeKind.Loop or NodeKind.Unknown && Text($"{at}/size") is null or "0")) return;
        _disks.Add(Describe(name, at, devicePath, kind));
    }

    /// <summary>Holders and slaves tell the same from both sides; whichever of the two is there counts.</summary>
    private void Stack(string name, string at)
    {
        foreach (var slave in Folders($"{at}/slaves")) _on[name].Add(slave);
        foreach (var holder in Folders($"{at}/holders"))
        {
            Add(holder, KindAt(holder, $"sys/class/block/{holder}"), Text($"sys/class/block/{holder}/dm/name"));
            _on[holder].Add(name);
        }
    }

    private NodeKind KindAt(string name, string at)
    {
        if (Exists($"{at}/dm")) return NodeKind.Mapped;
        if (Exists($"{at}/md") || Exists($"{at}/bcache")) return NodeKind.Pool;
        if (name.StartsWith("loop", StringComparison.Ordinal)) return NodeKind.Loop;
        if (name.StartsWith("ram", StringComparison.Ordinal) || name.StartsWith("zram", StringComparison.Ordinal)) return NodeKind.Ram;
        if (name.StartsWith("mmcblk", StringComparison.Ordinal) && (name.Contains("boot") || name.Contains("rpmb") || name.Contains("gp"))) return NodeKind.HardwarePartition;
        if (!Exists($"{at}/device")) return NodeKind.Unknown;
        return Text($"{at}/device/type") switch
        {
            "5" or "4" => NodeKind.Optical,
            _ when name.StartsWith("sr", StringComparison.Ordinal) => NodeKind.Optical,
            _ => NodeKind.Disk,
        };
    }

    private Disk Describe(string name, string at, string devicePath, NodeKind kind)
    {
        var transport = TransportOf(name, at, devicePath, kind);
        return new Disk
        {
            Device = DevicePath(name),
            Node = name,
            Number = Text($"{at}/dev") ?? "",
            Size = Number($"{at}/size") * 512,
            SectorSize = (int)Math.Max(512, Number($"{at}/queue/logical_block_size")),
            Model = kind == NodeKind.Loop ? "" : ModelOf(at),
            Serial = kind == NodeKind.Loop ? "" : SerialOf(at, devicePath),
            Wwid = Text($"{at}/device/wwid") ?? Text($"{at}/wwid") ?? Text($"{at}/device/cid") ?? "",
            Transport = transport,
            Removable = transport is "usb" or "sd" || Text($"{at}/removable") == "1",
            ReadOnly = Text($"{at}/ro") == "1" && Number($"{at}/size") > 0,
            Sequence = Number($"{at}/diskseq"),
        };
    }

    private string TransportOf(string name, string at, string devicePath, NodeKind kind)
    {
        if (kind == NodeKind.Loop) return "loop";
        if (name.StartsWith("mmcblk", StringComparison.Ordinal)) return Text($"{at}/device/type") == "SD" ? "sd" : "mmc";
        if (devicePath.Contains("/usb", StringComparison.Ordinal)) return "usb";
        if (name.StartsWith("nvme", StringComparison.Ordinal)) return "nvme";
        if (devicePath.Contains("/ata", StringComparison.Ordinal)) return "sata";
        if (devicePath.Contains("/virtio", StringComparison.Ordinal)) return name.StartsWith("sd", StringComparison.Ordinal) ? "scsi" : "virtio";
        return name.StartsWith("sd", StringComparison.Ordinal) ? "scsi" : "";
    }

    private string ModelOf(string at)
    {
        var vendor = Text($"{at}/device/vendor") ?? "";
        if (vendor.StartsWith("0x", StringComparison.Ordinal) || vendor == "ATA") vendor = "";
        return Shown.Clean($"{vendor} {Text($"{at}/device/model") ?? Text($"{at}/device/name")}").Trim();
    }

    private string SerialOf(string at, string devicePath)
    {
        if ((Text($"{at}/device/serial") ?? Text($"{at}/serial")) is { Length: > 0 } own) return Shown.Clean(own);
        // SCSI vital product data page 0x80: four bytes of header, then the serial.
        var page = Bytes($"{at}/device/vpd_pg80");
        if (page is { Length: > 4 } && Shown.Clean(System.Text.Encoding.ASCII.GetString(page, 4, page.Length - 4)) is { Length: > 0 } vpd) return vpd;
        for (var up = Path.GetDirectoryName(devicePath); up is not null && up.Contains("/usb", StringComparison.Ordinal); up = Path.GetDirectoryName(up))
            if (KernelFile.Text(Path.Combine(up, "serial")) is { } serial) return Shown.Clean(serial);
        return "";
    }

    private bool Exists(string path) => Path.Exists(Path.Combine(_root, path));

    private IEnumerable<string> Folders(string path)
    {
        var full = Path.Combine(_root, path);
        return Directory.Exists(full) ? Directory.EnumerateDirectories(full).Select(f => Path.GetFileName(f)!) : [];
    }

    private long Number(string path) => long.TryParse(Text(path), out var number) ? number : 0;

    private string? Text(string path) => Bytes(path) is { } bytes ? System.Text.Encoding.UTF8.GetString(bytes).TrimEnd('\n', '\0', ' ') : null;

    private byte[]? Bytes(string path) => KernelFile.Bytes(Path.Combine(_root, path));
}
