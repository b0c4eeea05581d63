namespace OsBuild.Flasher.Drives;

/// <summary>A reason to refuse a disk.</summary>
/// <param name="Text">For a person, in one sentence.</param>
/// <param name="MayAllow">Whether <c>--allow-system-disk</c> with the disk's serial or model overrides it.</param>
internal sealed record Reason(string Text, bool MayAllow);

/// <summary>What may be done to a disk.</summary>
internal sealed record Verdict
{
    /// <summary>Why the disk is refused; empty when it may be written.</summary>
    public required IReadOnlyList<Reason> Reasons { get; init; }

    /// <summary>What a person should know before saying yes.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Mount points that must be unmounted first.</summary>
    public IReadOnlyList<string> Unmount { get; init; } = [];

    /// <summary>Everything that is mounted from it: what an override must unmount.</summary>
    public IReadOnlyList<string> Mounted { get; init; } = [];

    public bool Ok => Reasons.Count == 0;

    /// <summary>Whether the person's override covers every reason.</summary>
    public bool MayAllow => Reasons.All(r => r.MayAllow);

    /// <summary>The reasons for a person: a machine with containers has a system disk with dozens.</summary>
    public IEnumerable<string> Why()
    {
        const int Most = 5;
        var texts = Reasons.Select(r => r.Text);
        return Reasons.Count <= Most ? texts : texts.Take(Most - 1).Append($"and {Reasons.Count - Most + 1} more reasons (flasher list --json names them)");
    }
}

/// <summary>The policy: which disks may be overwritten. Pure; what it does not know it refuses.</summary>
internal static class Judge
{
    /// <summary>Where desktops and people mount sticks and cards. Elsewhere a mount has a purpose that outlives the stick.</summary>
    private static readonly string[] MediaFolders = ["/media", "/run/media", "/mnt", "/Volumes"];

    /// <summary>Above this size a disk is rarely a card; worth a second look.</summary>
    private const long Large = 300L << 30;

    public static Verdict Verdict(Disk disk, SystemFacts system)
    {
        List<Reason> reasons = [.. OfKind(disk, system)];
        List<string> warnings = [];
        SortedSet<string> unmount = new(StringComparer.Ordinal), mounted = new(StringComparer.Ordinal);
        var stack = Above(disk, system);
        foreach (var node in system.Nodes.Where(n => stack.Contains(n.Name) && n.Name != disk.Node && n.Kind is not (NodeKind.Partition or NodeKind.File)))
            reasons.Add(new Reason($"{Named(node)} lies on it and is active", false));
        foreach (var use in system.Uses.Where(u => stack.Contains(u.Node)))
        {
            if (use.Kind == UseKind.Mount) mounted.Add(use.What);
            if (use.Kind == UseKind.Mount && disk.Removable && IsMedia(use.What, system.System)) unmount.Add(use.What);
            else reasons.Add(OfUse(use));
        }

        // Last: what is known tells a person more.
        reasons.AddRange(system.Unseen.Concat(disk.Unseen).Select(unseen => new Reason(unseen, false)));
        if (disk.Claimed && unmount.Count == 0 && reasons.Count == 0) reasons.Add(new Reason("something that cannot be seen from here has claimed it", false));
        if (unmount.Count > 0) warnings.Add($"mounted at {string.Join(", ", unmount)}: will be unmounted");
        if (!disk.Removable && disk.Transport is not "loop") warnings.Add("not a removable drive");
        if (disk.Size > Large) warnings.Add("larger than cards usually are");
        return new Verdict { Reasons = [.. reasons.Distinct()], Warnings = warnings, Unmount = [.. unmount], Mounted = [.. mounted] };
    }

    private static IEnumerable<Reason> OfKind(Disk disk, SystemFacts system)
    {
        var node = system.Nodes.FirstOrDefault(n => n.Name == disk.Node);
        var wrongKind = node?.Kind switch
        {
            null or NodeKind.Unknown => "it is not known what kind of device this is",
            NodeKind.Disk or NodeKind.Loop => null,
            NodeKind.Partition => "it is a part of a disk, not a whole one",
            NodeKind.Mapped or NodeKind.Pool => "it is made of other disks; name one of those",
            NodeKind.Ram => "it is a RAM disk",
            NodeKind.Optical => "it is an optical drive",
            NodeKind.HardwarePartition => "it is a boot or service area of a flash chip",
            _ => "it is not a disk",
        };
        if (wrongKind is not null) yield return new Reason(wrongKind, false);
        if (disk.Size <= 0) yield return new Reason("there is no medium in it", false);
        if (disk.ReadOnly) yield return new Reason("it is read-only or write-protected", false);
        if (node is { Kind: NodeKind.Disk, On.Count: > 0 }) yield return new Reason($"it lies on {string.Join(", ", node.On)}", false);
        if (node is { Kind: NodeKind.Loop } && !node.On.Any(on => system.Nodes.Any(n => n.Name == on && n.Kind == NodeKind.File)))
            yield return new Reason(node.On.Count == 0 ? "it is not known what file it is made from" : $"it is made from {string.Join(", ", node.On)}, which is no file", false);
    }

    /// <summary>All nodes that change when the disk is written. A loop device is the file it is made from (so are its siblings on the same
    /// file), but not the disk that holds the file: writing to it changes nothing there but that file.</summary>
    private static HashSet<string> Above(Disk disk, SystemFacts system)
    {
        HashSet<string> found = [disk.Node];
        if (system.Nodes.FirstOrDefault(n => n.Name == disk.Node) is { Kind: NodeKind.Loop } loop) found.UnionWith(loop.On);
        var lying = system.Nodes.SelectMany(n => n.On.Select(on => (On: on, n.Name))).ToLookup(e => e.On, e => e.Name);
        var ahead = new Queue<string>(found);
        while (ahead.TryDequeue(out var name))
            foreach (var above in lying[name])
                if (found.Add(above)) ahead.Enqueue(above);
        return found;
    }

    private static string Named(Node node) => node.Title is null ? node.Name : $"{node.Name} ({node.Title})";

    private static Reason OfUse(Use use) => use.Kind switch
    {
        UseKind.Mount => new Reason($"mounted at {use.What}", use.What != "/"),
        UseKind.MountElsewhere => new Reason($"mounted out of sight at {use.What}", false),
        UseKind.System => new Reason($"the running system is on it ({use.What})", false),
        UseKind.Boot => new Reason($"this machine started from it ({use.What})", true),
        UseKind.Swap => new Reason($"used as swap space ({use.What})", false),
        UseKind.Hibernation => new Reason($"kept for hibernation ({use.What})", true),
        UseKind.HiddenFileSystem => new Reason($"its file system is in use although no mount of it is visible ({use.What})", false),
        UseKind.Member => new Reason($"a member of {use.What}", false),
        UseKind.Open => new Reason($"open for writing in {use.What}", false),
        UseKind.Image => new Reason($"the image to be written lies on it ({use.What})", false),
        UseKind.Program => new Reason($"this program runs from it ({use.What})", false),
        _ => new Reason($"in use ({use.What})", false),
    };

    private static bool IsMedia(string mountPoint, SystemKind system) => system == SystemKind.Windows
        ? mountPoint.Length is 2 or 3 && mountPoint[1] == ':'
        : !mountPoint.Contains("/../", StringComparison.Ordinal) && MediaFolders.Any(f => mountPoint == f ? f == "/mnt" : mountPoint.StartsWith(f + "/", StringComparison.Ordinal));
}
