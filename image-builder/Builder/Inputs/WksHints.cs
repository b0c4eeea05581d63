using OsBuild.ImageBuilder.Boards;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Compares the build's own wic layout with the board's. The board decides; where the wks wants something else, that is worth a note, for
/// it may be why an image that wic makes works and ours would not.</summary>
internal static class WksHints
{
    /// <summary>One sentence for everything in which the two differ; the first tells that there is such a file.</summary>
    /// <param name="name">Name of the wks file.</param>
    /// <param name="wks">What it says.</param>
    /// <param name="board">The board.</param>
    public static IReadOnlyList<string> Notes(string name, WksFile wks, Board board)
    {
        List<string> notes = [$"{name} is the layout of the build's wic image; the layout of board {board.Name} is used, what follows is where the two differ."];
        notes.AddRange(wks.Unread);
        foreach (var part in wks.Parts) notes.AddRange(part.RawFile is { } file ? Raw(part, file, board) : Partition(part, board));
        var words = wks.Append?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
        // What our own command line decides: the root, its way of being mounted, and the consoles, which the board knows.
        var missing = words.Where(w => !board.Boot.KernelArgs.Contains(w) && !board.Boot.Consoles.Any(c => w == $"console={c}")
            && w.Split('=')[0] is not ("root" or "rootwait" or "rootfstype" or "ro" or "rw" or "init")).ToList();
        if (missing.Count > 0) notes.Add($"{name} gives the kernel {string.Join(' ', missing)}, the board does not; add it to kernel_args of the board file if it is needed.");
        return notes.Count > 1 ? notes : [];
    }

    private static IEnumerable<string> Raw(WksPart part, string file, Board board)
    {
        var found = board.Firmware.FirstOrDefault(b => b.Files.Any(f => f == file || DeployListing.IsGlob(f) && System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(f, file, ignoreCase: false)));
        if (found is null)
            yield return $"{part.Where}: it copies {file} onto the disk, which the board does not; if it boots from that, add it to firmware of the board file.";
        else if (part.Offset is { } wanted && found.Place is BlobPlace.AtOffset at && at.Offset != wanted)
            yield return $"{part.Where}: it puts {file} at byte {wanted}, the board puts it at {at.Offset}; correct one of the two.";
    }

    private static IEnumerable<string> Partition(WksPart part, Board board)
    {
        var role = part.MountPoint switch { "/" => PartitionRole.RootA, "/boot" or "/efi" or "/boot/efi" => PartitionRole.Boot, _ => (PartitionRole?)null };
        var what = part.MountPoint ?? part.Label ?? "a partition without a name";
        if (role is not { } known || board.Partition(known) is not { } ours)
        {
            if (part.Offset is null && part.MountPoint is not "swap") yield return $"{part.Where}: {what} is not made; data that must outlive an update belongs into a volume of a container.";
            yield break;
        }

        if (part.Size > ours.Size) yield return $"{part.Where}: {what} has {new ByteSize(part.Size.Value)} there and {new ByteSize(ours.Size)} on the board; give the board file a larger {ours.Name} if that does not do.";
        if (part.MountOptions is { } options && options != "defaults") yield return $"{part.Where}: {what} is mounted with {options} there; the supervisor mounts as it always does.";
    }
}
