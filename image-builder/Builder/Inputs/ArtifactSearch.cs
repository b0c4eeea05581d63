using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Finds artifacts in the listing of a deploy directory by bitbake's naming rules. Pure: it names files, it opens none.</summary>
internal sealed class ArtifactSearch(DeployListing listing, Board board, Problems problems)
{
    /// <summary>Images of which the directory holds a root file system for one of the board's machines.</summary>
    public (DeployEntry Entry, YoctoName Name)? Rootfs(string? image)
    {
        var all = listing.Entries
            .Where(e => e.Kind != EntryKind.Directory)
            .Select(e => (Entry: e, Name: YoctoName.Parse(e.Name, board.Machines)!))
            .Where(c => c.Name is not null && YoctoName.RootfsTypes.Contains(c.Name.Type) && !IsInitramfs(c.Name.Image))
            .ToList();
        if (board.Artifacts.Rootfs is { } form)
        {
            var allowed = form.Files.SelectMany(listing.Match).Select(e => e.Name).ToHashSet();
            all.RemoveAll(c => !allowed.Contains(c.Entry.Name));
        }

        var ours = all.Where(c => c.Name.Machine is not null).ToList();
        if (ours.Count == 0) return NoRootfs(all);
        var images = ours.Select(c => c.Name.Image).Distinct().Order(StringComparer.Ordinal).ToList();
        if (image is not null && !images.Contains(image))
        {
            problems.Add($"The deploy directory has no image {image}; it has {Listed(images)}.");
            return null;
        }

        if (image is null && images.Count > 1)
        {
            problems.Add($"The deploy directory holds several images ({string.Join(", ", images)}); choose one with --image NAME.");
            return null;
        }

        var chosen = ours.Where(c => c.Name.Image == (image ?? images[0])).ToList();
        var machines = chosen.Select(c => c.Name.Machine!).Distinct().ToList();
        if (machines.Count > 1)
        {
            problems.Add($"The deploy directory holds {images[0]} for several machines ({string.Join(", ", machines)}); give the directory of one machine.");
            return null;
        }

        var type = YoctoName.RootfsTypes.First(t => chosen.Any(c => c.Name.Type == t));
        return Newest(chosen.Where(c => c.Name.Type == type));
    }

    private (DeployEntry, YoctoName)? NoRootfs(List<(DeployEntry Entry, YoctoName Name)> others)
    {
        var takes = board.Machines.Count == 1 ? $"machine {board.Machines[0]}" : $"the machines {string.Join(", ", board.Machines)}";
        problems.Add(others.Count == 0
            ? $"The deploy directory {listing.Directory} has no root file system (IMAGE-{board.Machines[0]}.rootfs.tar.zst or another tar); add tar.zst to IMAGE_FSTYPES and build again."
            : $"The deploy directory is not for board {board.Name}: it has {Listed([.. others.Select(o => o.Entry.Name).Take(3)])}, the board takes {takes}; give another board or directory.");
        return null;
    }

    /// <summary>A file that belongs to the image (its manifest, its testdata.json); null when there is none.</summary>
    public DeployEntry? Sibling(YoctoName rootfs, string type)
    {
        var candidates = listing.Entries
            .Where(e => e.Kind != EntryKind.Directory)
            .Select(e => (Entry: e, Name: YoctoName.Parse(e.Name, board.Machines)!))
            .Where(c => c.Name is not null && c.Name.Type == type && c.Name.Image == rootfs.Image && c.Name.Machine == rootfs.Machine)
            .ToList();
        var sameStamp = candidates.Where(c => c.Name.Stamp == rootfs.Stamp).ToList();
        return (sameStamp.Count > 0 ? Newest(sameStamp) : Newest(candidates))?.Entry;
    }

    // Old builds stay beside new ones: bitbake moves the link to the newest, so the link decides; without links the latest stamp does.
    private static (DeployEntry Entry, YoctoName Name)? Newest(IEnumerable<(DeployEntry Entry, YoctoName Name)> candidates) =>
        candidates
            .OrderByDescending(c => c.Entry.IsLink)
            .ThenByDescending(c => c.Name.Stamp.Length == 0)
            .ThenByDescending(c => c.Name.Stamp, StringComparer.Ordinal)
            .ThenByDescending(c => c.Entry.ModifiedAt)
            .Select(c => ((DeployEntry, YoctoName)?)c)
            .FirstOrDefault();

    /// <summary>The kernel: the link <c>TYPE</c>, else <c>TYPE-MACHINE.bin</c>, else the newest <c>TYPE-*-MACHINE-STAMP.bin</c>
    /// (KERNEL_IMAGE_LINK_NAME and KERNEL_IMAGE_NAME in kernel-artifact-names.bbclass).</summary>
    public DeployEntry? Kernel(string machine)
    {
        foreach (var name in board.Artifacts.Kernel.Files)
        {
            if (DeployListing.IsGlob(name))
            {
                if (Matching([name], $"The kernel ({name})") is { } found) return found;
                continue;
            }

            if (listing.Find(name) is { Kind: not EntryKind.Directory } exact) return exact;
            if (listing.Find($"{name}-{machine}.bin") is { Kind: not EntryKind.Directory } link) return link;
            var stamped = listing.Match($"{name}-*{machine}*.bin").Where(e => !e.Name.Contains("initramfs", StringComparison.Ordinal)).MaxBy(e => (e.Name[^18..], e.ModifiedAt));
            if (stamped is not null) return stamped;
        }

        Missing("The kernel", board.Artifacts.Kernel.Files[0]);
        return null;
    }

    /// <summary>The modules archive, or null: it is optional everywhere, and off by default in new releases (MODULE_TARBALL_DEPLOY).</summary>
    public DeployEntry? Modules(string machine)
    {
        if (board.Artifacts.Modules is { } given) return One(given, "The modules archive");
        return listing.Find($"modules-{machine}.tgz")
            ?? listing.Match($"modules-*{machine}*.tgz").MaxBy(e => (e.Name, e.ModifiedAt));
    }

    /// <summary>The first of an artifact's names that is there; a problem when none is and it is not optional.</summary>
    public DeployEntry? One(Artifact artifact, string what)
    {
        foreach (var pattern in artifact.Files)
            if (Matching([pattern], what) is { } found) return found;
        if (!artifact.Optional) Missing(what, artifact.Files[0]);
        return null;
    }

    /// <summary>All files of a glob; a problem when there are none and it is not optional.</summary>
    public IReadOnlyList<DeployEntry> All(Artifact artifact, string what)
    {
        foreach (var pattern in artifact.Files)
            if (listing.Match(pattern).ToList() is { Count: > 0 } found) return found;
        if (!artifact.Optional) Missing(what, artifact.Files[0]);
        return [];
    }

    // Several names of one file are one; of several files it is for the user to say which.
    private DeployEntry? Matching(IReadOnlyList<string> patterns, string what)
    {
        var found = patterns.SelectMany(listing.Match).ToList();
        if (found.Count <= 1) return found.FirstOrDefault();
        if (found.Select(f => f.RealPath).Distinct().Count() == 1) return found.First(f => f.IsLink);
        var links = found.Where(f => f.IsLink).ToList();
        if (links.Count == 1) return links[0];
        problems.Add($"{what} is ambiguous: {Listed([.. found.Select(f => f.Name)])} all match {patterns[0]}; leave one of them in the deploy directory.");
        return found[0];
    }

    public void Missing(string what, string name) =>
        problems.Add($"{what} {name} is not in the deploy directory {listing.Directory}{Nearest.Hint(name, listing.FileNames)}.");

    private static bool IsInitramfs(string image) => image.Contains("initramfs", StringComparison.Ordinal) || image.Contains("initrd", StringComparison.Ordinal);

    private static string Listed(List<string> names) => names.Count switch
    {
        0 => "nothing",
        1 => names[0],
        _ => $"{string.Join(", ", names.Take(names.Count - 1))} and {names[^1]}",
    };
}
