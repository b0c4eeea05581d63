namespace OsBuild.Flasher.Drives;

/// <summary>The facts of a Linux machine, read from the kernel itself: no lsblk, no udev.</summary>
internal static class Linux
{
    /// <summary>Gathers everything that <see cref="Judge"/> needs.</summary>
    /// <param name="image">Path of the image to be written, or null.</param>
    public static SystemFacts Gather(string? image) => Gather("/", image, ReadHead, Libc.TryClaim);

    /// <param name="root">The root directory; a recorded one in tests.</param>
    /// <param name="image">Path of the image to be written, or null.</param>
    /// <param name="read">Gives the first bytes of a device, null when it must not be read.</param>
    /// <param name="claim">Tries to claim a device; gives errno.</param>
    public static SystemFacts Gather(string root, string? image, Func<string, int, byte[]?> read, Func<string, int> claim)
    {
        var block = new LinuxBlock(root);
        var uses = new LinuxUses(root, block);
        uses.Gather();
        var disks = block.Disks.Select(d => d.Size == 0 ? d : Claim(d, claim)).ToList();
        List<string> unseen = [.. uses.Unseen];
        var contents = Contents(block, disks, read);
        Boot(root, block, uses, contents, unseen);
        Zfs(root, uses, contents);
        if (image is not null && uses.NodeHolding(Real(image)) is { } imageNode) uses.Add(imageNode, UseKind.Image, image);
        if (image is not null && Libc.FileIdentity(image) is { } id && block.Names.Contains($"file:{id.Device}:{id.Inode}"))
            uses.Add($"file:{id.Device}:{id.Inode}", UseKind.Image, image);
        if (Environment.ProcessPath is { } program && root == "/" && uses.NodeHolding(Real(program)) is { } programNode) uses.Add(programNode, UseKind.Program, program);
        return new SystemFacts
        {
            System = SystemKind.Linux,
            Disks = [.. disks.Select(d => d with { Holds = Holds(d, block, contents), Model = d.Transport == "loop" ? LoopModel(d, block) : d.Model })],
            Nodes = block.Nodes,
            Uses = uses.Uses,
            Unseen = unseen,
        };
    }

    /// <summary>What a partition or unpartitioned disk holds.</summary>
    private sealed record Content(string Node, string PartitionId, Signature? Signature, bool Read);

    private static Disk Claim(Disk disk, Func<string, int> claim) => claim(disk.Device) switch
    {
        0 => disk,
        Libc.Busy => disk with { Claimed = true },
        Libc.NoMedium => disk with { Size = 0 },
        Libc.NoSuchDevice or Libc.NoDevice => disk with { Size = 0 },
        (Libc.AccessDenied or Libc.NotPermitted) and var denied => disk with { Unseen = [$"whether it is in use cannot be seen: {Denied("it", denied, Libc.EffectiveUser() == 0)}"] },
        var error => disk with { Unseen = [$"whether it is in use cannot be seen ({Libc.Text(error)})"] },
    };

    /// <summary>Why the kernel does not show something, and what to do: for root, more rights are no advice.</summary>
    internal static string Denied(string what, int error, bool root) =>
        root ? $"not even root may open {what} here ({Libc.Name(error)}); start flasher outside of the container or policy that forbids it" : "run as root (sudo flasher ...)";

    private static List<Content> Contents(LinuxBlock block, IReadOnlyList<Disk> disks, Func<string, int, byte[]?> read)
    {
        List<Content> contents = [];
        foreach (var disk in disks.Where(d => d.Size > 0 && block.KindOf(d.Node) is NodeKind.Disk or NodeKind.Loop or NodeKind.Pool))
        {
            var head = read(disk.Device, (int)Math.Min(Signature.Window, disk.Size));
            var parts = block.Nodes.Where(n => n.Kind == NodeKind.Partition && n.On.Contains(disk.Node)).ToList();
            contents.Add(new Content(disk.Node, "", parts.Count == 0 && head is not null ? Signature.Of(head) : null, head is not null));
            var ids = head is null ? [] : PartitionIds.Of(head, disk.SectorSize).ToDictionary(p => p.Number, p => p.Id);
            foreach (var part in parts)
            {
                var bytes = read(LinuxBlock.DevicePath(part.Name), Signature.Window);
                var number = int.TryParse(part.Name[(part.Name.LastIndexOfAnyExceptInRange('0', '9') + 1)..], out var n) ? n : 0;
                contents.Add(new Content(part.Name, ids.GetValueOrDefault(number, ""), bytes is null ? null : Signature.Of(bytes), bytes is not null));
            }
        }

        return contents;
    }

    private static void Boot(string root, LinuxBlock block, LinuxUses uses, List<Content> contents, List<string> unseen)
    {
        foreach (var device in BootDevice.Of(root))
        {
            var node = device.Tag switch
            {
                "path" => block.ByPath(device.Value),
                "PARTUUID" => contents.FirstOrDefault(c => c.PartitionId == device.Value)?.Node,
                "UUID" => contents.FirstOrDefault(c => device.Value.Equals(c.Signature?.Id, StringComparison.OrdinalIgnoreCase))?.Node,
                "LABEL" => contents.FirstOrDefault(c => c.Signature?.Label == device.Value)?.Node,
                _ => null,
            };
            if (node is not null) uses.Add(node, device.Kind, device.Told);
            else if (contents.Any(c => !c.Read) && unseen.Count == 0) unseen.Add($"not every disk can be read to find what {device.Told} names: {Denied("them", Libc.AccessDenied, Libc.EffectiveUser() == 0)}");
        }

        foreach (var content in contents.Where(c => c.Signature?.Kind == "hibernation")) uses.Add(content.Node, UseKind.Hibernation, "a sleeping system lies there");
    }

    /// <summary>ZFS tells neither mountinfo nor sysfs which disks its pools are on: with its module loaded every labelled disk counts.</summary>
    private static void Zfs(string root, LinuxUses uses, List<Content> contents)
    {
        if (!Directory.Exists(Path.Combine(root, "sys/module/zfs"))) return;
        foreach (var content in contents.Where(c => c.Signature?.Kind == "zfs_member")) uses.Add(content.Node, UseKind.Member, "a ZFS pool, and ZFS is loaded");
    }

    private static string LoopModel(Disk disk, LinuxBlock block) => Shown.Clean(block.BackingFile(disk.Node) ?? "");

    private static List<string> Holds(Disk disk, LinuxBlock block, List<Content> contents) =>
        [.. contents.Where(c => c.Signature is not null && (c.Node == disk.Node || block.Nodes.Any(n => n.Name == c.Node && n.On.Contains(disk.Node)))).Select(c => c.Signature!.ToString())];

    private static string Real(string path)
    {
        var full = Path.GetFullPath(path);
        return File.Exists(full) ? File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full : full;
    }

    private static byte[]? ReadHead(string device, int length)
    {
        try
        {
            using var handle = File.OpenHandle(device);
            var bytes = new byte[length];
            var filled = 0;
            for (int got; filled < length && (got = RandomAccess.Read(handle, bytes.AsSpan(filled), filled)) > 0;) filled += got;
            return filled == length ? bytes : bytes[..filled];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
