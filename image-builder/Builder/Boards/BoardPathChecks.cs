namespace OsBuild.ImageBuilder.Boards;

/// <summary>Names on the boot partition: what FAT can hold, and nothing twice.</summary>
internal static class BoardPathChecks
{
    /// <summary>What the builder and the supervisor keep there; <c>slot-a</c> and <c>slot-b</c> are filled by the builder alone.</summary>
    private static readonly string[] Owned = ["slot-a", "slot-b", "loader", "apps", "config.yaml", "compose.yaml", "image.json"];

    public static void Check(Board board, Findings findings)
    {
        var taken = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (path, dest, mayRepeat) in Destinations(board))
        {
            var folder = dest.EndsWith('/');
            var clean = dest.Trim('/');
            if (Flaw(clean) is { } flaw)
            {
                findings.Add(path, $"`{dest}` cannot be a name on the boot partition: {flaw}", "give it another name");
                continue;
            }

            var top = clean.Split('/')[0];
            if (Owned.Contains(top, StringComparer.OrdinalIgnoreCase))
                findings.Add(path, $"`{dest}` belongs to the builder", "choose a place outside " + string.Join(", ", Owned));
            if (folder || mayRepeat) continue;
            if (!taken.TryAdd(clean, path)) findings.Add(path, $"`{dest}` is written twice (FAT does not tell upper from lower case)", "remove one of the two");
        }
    }

    private static IEnumerable<(string Path, string Dest, bool MayRepeat)> Destinations(Board board)
    {
        for (var i = 0; i < board.Firmware.Count; i++)
            if (board.Firmware[i] is { Place: BlobPlace.InBootFile file } blob)
                yield return ($"firmware[{i}].path", file.Path, blob.Variant is not null);
        for (var i = 0; i < board.BootFiles.Count; i++)
            yield return ($"boot_files[{i}].dest", board.BootFiles[i].Dest, false);
        for (var i = 0; i < board.Artifacts.DeviceTrees.Count; i++)
            yield return ($"artifacts.dtbs[{i}].dest", Folder(board.Artifacts.DeviceTrees[i].Dest), false);
        for (var i = 0; i < board.Artifacts.Overlays.Count; i++)
            yield return ($"artifacts.overlays[{i}].dest", Folder(board.Artifacts.Overlays[i].Dest), false);
        if (board.Boot.LoaderFile is { } loader) yield return ("boot.loader_file.dest", loader.Dest, false);
        if (board.Slots.Path is { } store) yield return ("slots.path", store, false);
    }

    private static string Folder(string dest) => dest.EndsWith('/') ? dest : dest + "/";

    /// <summary>Microsoft FAT specification 1.03, §6 and §7: 255 UTF-16 units a name, no trailing dot; our own limit of 8 folders.</summary>
    private static string? Flaw(string path)
    {
        if (path.Length == 0) return null;
        var names = path.Split('/');
        if (names.Length > 8) return "it is too deep";
        foreach (var name in names)
        {
            if (name is "" or "." or "..") return "it has an empty name or dots in it";
            if (name.Length > 255) return "a name is longer than 255 characters";
            if (name[^1] == '.') return "a name ends in a dot";
        }

        return null;
    }
}
