using OsBuild.Flasher.Writing;
using OsBuild.Images;
using OsBuild.Images.Compression;

namespace OsBuild.Flasher.Sources;

/// <summary>A quick look at an image, before it is chosen: no digest is computed.</summary>
/// <param name="Path">Full path or address.</param>
/// <param name="Name">Name for a person.</param>
/// <param name="Length">Bytes of the decoded image, or null when that is not known.</param>
/// <param name="About">What is known, in few words each.</param>
internal sealed record ImageLook(string Path, string Name, long? Length, IReadOnlyList<string> About)
{
    /// <exception cref="RefusedException">It is no image; the message says what it is.</exception>
    public static ImageLook At(string path)
    {
        if (path.Length == 0) throw new RefusedException("Choose an image first.");
        if (HttpImage.IsAddress(path))
        {
            var source = HttpImage.Open(path, null, TimeSpan.FromSeconds(20));
            return new ImageLook(path, System.IO.Path.GetFileName(new Uri(path).AbsolutePath), source.Length, [source.Length is null ? "compressed" : "uncompressed", "fetched while it is written"]);
        }

        var (codec, fileLength) = ImageFile.Peek(path);
        var description = ImageDescription.Beside(path);
        var (map, _) = Sidecars.FindMap(path);
        List<string> about = [codec == Codec.None ? "uncompressed" : codec.ToString().ToLowerInvariant()];
        if (codec != Codec.None) about.Add($"{new ByteSize(fileLength)} packed");
        if (description?.Board is { } board) about.Add($"for {board}");
        if (map is not null) about.Add("block map");
        if (Sidecars.FindDigest(path) is not null || (description?.Sha256 ?? description?.BmapSha256) is not null) about.Add("SHA-256");
        return new ImageLook(System.IO.Path.GetFullPath(path), System.IO.Path.GetFileName(path), codec == Codec.None ? fileLength : map?.ImageSize ?? description?.Size, about);
    }
}
