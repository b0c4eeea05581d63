using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>The files a Yocto build puts onto its own boot partition: IMAGE_BOOT_FILES and IMAGE_EFI_BOOT_FILES, as wic reads them
/// (get_boot_files in wic/plugins/source/bootimg_partition.py): names and globs, each with <c>;DEST</c> when it goes elsewhere.</summary>
internal static class ImageBootFiles
{
    private static readonly string[] Variables = ["IMAGE_BOOT_FILES", "IMAGE_EFI_BOOT_FILES"];

    /// <summary>Finds the files. One that is not there is only worth a note: bitbake does not look for them unless it makes a wic image.</summary>
    public static (IReadOnlyList<PlacedFile> Files, IReadOnlyList<string> Notes) Find(TestData data, DeployListing listing, Problems problems)
    {
        var placed = new List<PlacedFile>();
        var notes = new List<string>();
        foreach (var variable in Variables)
        {
            foreach (var word in data[variable]?.Split((char[])[' ', '\t', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries) ?? [])
            {
                if (Split(word) is not var (source, dest))
                {
                    problems.Add($"{variable} of the build has {word}, which is not SOURCE or SOURCE;DEST; correct the machine's configuration and build the image again.");
                    continue;
                }

                var found = listing.Match(source).ToList();
                if (found.Count == 0)
                    notes.Add($"{variable} of the build names {source}, which is not in the deploy directory; it is left out.");
                foreach (var entry in found)
                    if (InputFile.From(entry, problems) is { } file) placed.Add(new(file, DestOf(source, dest, entry.Name)));
            }
        }

        return (placed, notes);
    }

    /// <summary>The two parts of a word; null when one of them is empty.</summary>
    internal static (string Source, string? Dest)? Split(string word) => word.Split(';') switch
    {
        [{ Length: > 0 } source] => (source, null),
        [{ Length: > 0 } source, { Length: > 0 } dest] => (source, dest),
        _ => null,
    };

    /// <summary>A single file keeps its path or takes the one that is given; the files of a glob go to the top, or into the folder that is given.</summary>
    internal static string DestOf(string source, string? dest, string name)
    {
        var baseName = name[(name.LastIndexOf('/') + 1)..];
        if (dest is null) return DeployListing.IsGlob(source) ? baseName : name;
        var folder = DeployListing.IsGlob(source) || dest.EndsWith('/');
        var path = dest.Trim('/');
        return !folder ? path : path.Length == 0 || path == "." ? baseName : $"{path}/{baseName}";
    }
}
