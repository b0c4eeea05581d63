namespace OsBuild.Images.Trees;

/// <summary>Reads a tar archive (V7, ustar, GNU, pax) as a file tree, in one pass, without unpacking it. Extended attributes and ACLs
/// come from pax records (SCHILY.xattr, LIBARCHIVE.xattr, SCHILY.acl); sparse files in all forms of GNU tar are read with their holes.
/// Refused by name: parts of multi-volume archives and paths that lead out of the tree.</summary>
public static class TarTree
{
    /// <summary>The entries in the order of the archive; each content stream is good until the next entry.</summary>
    /// <exception cref="ImageException">The archive is torn or corrupt.</exception>
    public static IEnumerable<TreeEntry> Read(Stream tar)
    {
        var reader = new TarReader(tar);
        while (reader.Next() is { } entry) yield return entry;
    }

    /// <summary>Brings a path of an archive into the form of <see cref="Node.Path"/>: no leading or trailing <c>/</c>, no <c>.</c> parts.</summary>
    /// <exception cref="ImageException">A part is <c>..</c> or holds a zero byte.</exception>
    internal static string Normalize(string path)
    {
        if (path.Contains('\0')) throw new ImageException(ImageErrorKind.Corrupt, "The tar archive has a path with a zero byte in it; make it again.");
        var trimmed = path.AsSpan();
        while (trimmed.StartsWith("./") || trimmed.StartsWith("/")) trimmed = trimmed[(trimmed[0] == '/' ? 1 : 2)..];
        trimmed = trimmed.TrimEnd('/');
        if (trimmed.SequenceEqual(".")) return "";
        if (!NeedsParts(trimmed)) return trimmed.Length == path.Length ? path : trimmed.ToString();

        var parts = trimmed.ToString().Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".").ToArray();
        if (parts.Contains(".."))
            throw new ImageException(ImageErrorKind.Corrupt, $"The tar archive holds {path}, which leads out of its own tree; pack it from inside the root directory.");
        return string.Join('/', parts);
    }

    private static bool NeedsParts(ReadOnlySpan<char> path) =>
        path.Contains("//", StringComparison.Ordinal) || path.Contains("/.", StringComparison.Ordinal) || path.StartsWith("..");
}
