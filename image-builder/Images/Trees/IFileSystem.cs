namespace OsBuild.Images.Trees;

/// <summary>A file system that can be read without mounting it. Made by the readers of Fat, Ext4 and SquashFs.</summary>
public interface IFileSystem
{
    /// <summary>The field's name of the format: <c>fat32</c>, <c>ext4</c>, <c>squashfs</c>.</summary>
    string Format { get; }

    /// <summary>The label, or the empty string.</summary>
    string Label { get; }

    /// <summary>Size of the file system in bytes.</summary>
    long Size { get; }

    /// <summary>Bytes in use, metadata included.</summary>
    long Used { get; }

    /// <summary>The entry at a path (see <see cref="Node.Path"/>), or null. Symbolic links are not followed.</summary>
    Node? Find(string path);

    /// <summary>The entries of a directory in ordinal order of their names.</summary>
    /// <exception cref="ImageException">The directory is corrupt.</exception>
    IEnumerable<Node> List(string path);

    /// <summary>Opens the content of a file for reading; seekable.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    Stream Open(string path);

    /// <summary>Checks the whole file system; one sentence for each finding, none when it is sound.</summary>
    IEnumerable<string> Check();
}
