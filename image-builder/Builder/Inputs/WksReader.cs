using System.Text;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Finds the wks that bitbake deployed beside an image, and what it includes, where wic would (wic/ksparser.py, cannedpathtype).</summary>
internal sealed class WksReader(DeployListing listing, TestData data)
{
    private const int Longest = 1 << 20;

    /// <summary>Reads the wks of an image; null when none was deployed.</summary>
    /// <returns>Its name and what it says.</returns>
    public (string Name, WksFile Wks)? Read(string image, Problems problems)
    {
        // IMAGE_BASENAME-NAME.wks (image_types_wic.bbclass); a template only, for others are not deployed.
        if (listing.Match(image + "-*.wks").FirstOrDefault() is not { } entry || InputFile.From(entry, problems) is not { } file) return null;
        var folder = Path.GetDirectoryName(entry.RealPath)!;
        return (file.Name, WksFile.Parse(Encoding.UTF8.GetString(file.Head(Longest)), name => Included(name, folder)));
    }

    /// <summary>The text of an included file: a path that is there, a file beside the wks, or a name in one of the folders of WKS_SEARCH_PATH, which are
    /// the canned ones of the layers (image_types_wic.bbclass).</summary>
    private string? Included(string name, string folder)
    {
        IEnumerable<string> folders = [folder, listing.Directory, .. data["WKS_SEARCH_PATH"]?.Split(':', StringSplitOptions.RemoveEmptyEntries) ?? []];
        // A folder such as "wic" was relative to a place on the build machine that is not told.
        var file = folders.Where((f, i) => i < 2 || Path.IsPathRooted(f)).Select(f => new FileInfo(Path.Combine(f, name))).FirstOrDefault(f => f.Exists);
        if (file is null) return null;
        try
        {
            var text = new byte[(int)Math.Min(file.Length, Longest)];
            using var stream = file.OpenRead();
            return Encoding.UTF8.GetString(text.AsSpan(0, stream.ReadAtLeast(text, text.Length, throwOnEndOfStream: false)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
