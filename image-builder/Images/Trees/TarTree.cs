namespace OsBuild.Images.Trees;

/// <summary>Reads a tar archive (ustar, GNU, pax with xattrs) as a file tree, in one pass, without unpacking it.</summary>
public static class TarTree
{
    /// <summary>The entries in the order of the archive; each content stream is good until the next entry.</summary>
    /// <exception cref="ImageException">The archive is torn or corrupt.</exception>
    public static IEnumerable<TreeEntry> Read(Stream tar) => throw new NotImplementedException();
}
