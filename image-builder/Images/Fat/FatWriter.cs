namespace OsBuild.Images.Fat;

/// <summary>Writes a FAT file system in one pass. Blocks that stay zero are never written.</summary>
public sealed class FatWriter(Stream target, FatLayout layout)
{
    private readonly Stream _target = target;
    private readonly FatLayout _layout = layout;

    /// <summary>Adds a file; missing directories are made. <paramref name="path"/> is separated by <c>/</c>.</summary>
    /// <exception cref="ImageException">The file does not fit or its name cannot stand in FAT; the message says by how much or why.</exception>
    public void AddFile(string path, long size, Stream content) => throw new NotImplementedException(_target + _layout.ToString());

    /// <summary>Adds a directory.</summary>
    public void AddDirectory(string path) => throw new NotImplementedException();

    /// <summary>Writes directories, tables, FSInfo and boot sectors.</summary>
    public void Finish() => throw new NotImplementedException();
}
