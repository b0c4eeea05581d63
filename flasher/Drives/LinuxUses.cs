namespace OsBuild.Flasher.Drives;

/// <summary>Who uses the block devices of a Linux machine: mounts of every namespace, swap, btrfs, hidden file systems, boot and resume
/// devices, programs that hold one open. The union of all of them, because none is complete alone.</summary>
internal sealed class LinuxUses(string root, LinuxBlock block)
{
    private readonly List<Use> _uses = [];
    private readonly List<string> _unseen = [];
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _anonymous = [];
    private readonly List<MountLine> _own = [];

    public IReadOnlyList<Use> Uses => _uses;

    public IReadOnlyList<string> Unseen => _unseen;

    public void Gather()
    {
        Own();
        OtherNamespaces();
        Loops();
        Swaps();
        Btrfs();
        HiddenFileSystems();
        OpenForWriting();
    }

    /// <summary>The node that holds a path's file system, or null (tmpfs, network, overlay).</summary>
    public string? NodeHolding(string path)
    {
        MountLine? best = null;
        foreach (var mount in _own)
            if (Covers(mount.At, path) && (best is null || mount.At.Length >= best.At.Length)) best = mount;
        return best is null ? null : NodeOf(best);
    }

    public void Add(string node, UseKind kind, string what)
    {
        var use = new Use(node, kind, what);
        if (!_uses.Contains(use)) _uses.Add(use);
    }

    private static bool Covers(string at, string path) => at == "/" || path == at || path.StartsWith(at + "/", StringComparison.Ordinal);

    private void Own()
    {
        var text = Text("proc/self/mountinfo");
        if (text is null)
        {
            _unseen.Add("the mounts of this machine cannot be read (/proc/self/mountinfo)");
            return;
        }

        _own.AddRange(MountLine.Parse(text));
        foreach (var mount in _own)
        {
            _seen.Add(mount.Number + " " + mount.At);
            Mounted(mount, null);
        }
    }

    private void Mounted(MountLine mount, string? elsewhere)
    {
        if (NodeOf(mount) is not { } node) return;
        if (!mount.HasOwnDevice) _anonymous.TryAdd(mount.Number, node);
        if (elsewhere is null) Add(node, UseKind.Mount, mount.At);
        else Add(node, UseKind.MountElsewhere, $"{mount.At}, seen by {elsewhere}");
    }

    private string? NodeOf(MountLine mount) => mount.HasOwnDevice ? block.ByNumber(mount.Number)
        : mount.Source.StartsWith("/dev/", StringComparison.Ordinal) ? block.ByPath(mount.Source.Split(':')[0]) : null;

    /// <summary>One process per mount namespace is enough. A namespace that cannot be read makes every verdict uncertain.</summary>
    private void OtherNamespaces()
    {
        var known = new HashSet<string?>(StringComparer.Ordinal) { Link("proc/self/ns/mnt") };
        var hidden = 0;
        foreach (var process in Processes())
        {
            if (!Path.Exists(Path.Combine(root, "proc", process, "mountinfo"))) continue;
            var space = Link($"proc/{process}/ns/mnt");
            if (space is not null && !known.Add(space)) continue;
            if (Text($"proc/{process}/mountinfo") is not { } text)
            {
                if (Path.Exists(Path.Combine(root, "proc", process)) && !IsKernelThread(process)) hidden++;
                continue;
            }

            var name = $"process {process} ({Text($"proc/{process}/comm")?.Trim()})";
            foreach (var mount in MountLine.Parse(text))
                if (_seen.Add(mount.Number + " " + mount.At)) Mounted(mount, name);
        }

        if (hidden > 0) _unseen.Add($"the mounts of {hidden} other processes cannot be seen: {Linux.Denied("them", Libc.AccessDenied, Libc.EffectiveUser() == 0)}");
    }

    private bool IsKernelThread(string process) => Text($"proc/{process}/cmdline") is null or "";

    private void Loops()
    {
        foreach (var loop in block.Names.Where(n => block.KindOf(n) == NodeKind.Loop).ToList())
        {
            if (block.BackingFile(loop) is not { } file) continue;
            if (Libc.LoopFile(LinuxBlock.DevicePath(loop)) is { } lo && lo.Device is { } number)
            {
                if (lo.IsBlockDevice && block.ByPath(file) is { } device) block.AddEdge(loop, device);
                else block.AddEdge(loop, block.AddFile($"{number}:{lo.Inode}", file, block.ByNumber(number) ?? _anonymous.GetValueOrDefault(number)));
            }
            else if (block.ByPath(file) is { } device && file.StartsWith("/dev/", StringComparison.Ordinal))
            {
                block.AddEdge(loop, device);
            }
            else
            {
                block.AddEdge(loop, block.AddFile(file, file, NodeHolding(file)));
            }
        }
    }

    private void Swaps()
    {
        foreach (var line in (Text("proc/swaps") ?? "").Split('\n').Skip(1).Where(l => l.Length > 0))
        {
            var path = MountLine.Unescape(line.Split(' ', '\t')[0]);
            if (line.Contains("partition", StringComparison.Ordinal) && block.ByPath(path) is { } node) Add(node, UseKind.Swap, path);
            else Add(FileNode(path), UseKind.Swap, path);
        }
    }

    /// <summary>A file as a node: the same name whether a loop device or a swap area found it.</summary>
    private string FileNode(string path) => Libc.FileIdentity(path) is { } id
        ? block.AddFile($"{id.Device}:{id.Inode}", path, block.ByNumber(id.Device) ?? _anonymous.GetValueOrDefault(id.Device) ?? NodeHolding(path))
        : block.AddFile(path, path, NodeHolding(path));

    /// <summary>mountinfo names one device of a btrfs; sysfs names them all.</summary>
    private void Btrfs()
    {
        foreach (var id in Folders("sys/fs/btrfs").Where(f => Guid.TryParse(f, out _)))
        {
            List<string> members = [.. Folders($"sys/fs/btrfs/{id}/devices")];
            var mounted = _uses.Where(u => members.Contains(u.Node) && u.Kind is UseKind.Mount or UseKind.MountElsewhere).ToList();
            foreach (var member in members)
            {
                if (members.Count > 1) Add(member, UseKind.Member, $"a btrfs on {members.Count} disks ({string.Join(", ", members.Order(StringComparer.Ordinal))})");
                else if (mounted.Count == 0) Add(member, UseKind.HiddenFileSystem, $"btrfs {id}");
            }
        }
    }

    /// <summary>ext4, xfs, f2fs and others have a folder for each active device: also for one unmounted lazily, or under the root of a live system.</summary>
    private void HiddenFileSystems()
    {
        foreach (var type in (string[])["ext4", "xfs", "f2fs", "erofs", "exfat", "nilfs2", "bcachefs", "gfs2"])
            foreach (var node in Folders($"sys/fs/{type}").Where(n => block.Names.Contains(n)))
                if (!_uses.Any(u => u.Node == node && u.Kind is UseKind.Mount or UseKind.MountElsewhere)) Add(node, UseKind.HiddenFileSystem, type);
    }

    private void OpenForWriting()
    {
        var devices = block.Names.Where(n => !n.StartsWith("file:", StringComparison.Ordinal)).ToDictionary(LinuxBlock.DevicePath, n => n);
        foreach (var process in Processes())
        {
            if (process == Environment.ProcessId.ToString()) continue;
            foreach (var descriptor in Entries($"proc/{process}/fd"))
            {
                if (Link($"proc/{process}/fd/{descriptor}") is not { } target || !target.StartsWith("/dev/", StringComparison.Ordinal)) continue;
                if (devices.TryGetValue(target, out var node) && OpenedForWriting(process, descriptor, target))
                    Add(node, UseKind.Open, $"process {process} ({Text($"proc/{process}/comm")?.Trim()})");
            }
        }
    }

    /// <summary>Looks many times: a program that only looks at the drive may close it, and open another file under the same number, between a look at
    /// what the descriptor is and one at its flags. Flags that cannot be read count as writing.</summary>
    private bool OpenedForWriting(string process, string descriptor, string target)
    {
        for (var look = 0; look < 10; look++)
        {
            var flags = (Text($"proc/{process}/fdinfo/{descriptor}") ?? "").Split('\n').FirstOrDefault(l => l.StartsWith("flags:", StringComparison.Ordinal));
            if (flags is not null && (Convert.ToInt64(flags["flags:".Length..].Trim(), 8) & 3) == 0) return false;
            if (Link($"proc/{process}/fd/{descriptor}") != target) return false;
        }

        return true;
    }

    private IEnumerable<string> Processes() => Folders("proc").Where(f => char.IsAsciiDigit(f[0]));

    private List<string> Folders(string path) => Listing(path, Directory.EnumerateDirectories);

    private List<string> Entries(string path) => Listing(path, Directory.EnumerateFileSystemEntries);

    private List<string> Listing(string path, Func<string, IEnumerable<string>> list)
    {
        try
        {
            return [.. list(Path.Combine(root, path)).Select(p => Path.GetFileName(p)!)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private string? Link(string path)
    {
        try
        {
            return new FileInfo(Path.Combine(root, path)).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private string? Text(string path) => KernelFile.Text(Path.Combine(root, path));
}
