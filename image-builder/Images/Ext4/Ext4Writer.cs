using OsBuild.Images.Trees;

namespace OsBuild.Images.Ext4;

/// <summary>Writes an ext4 file system in one pass: file data goes forward as it arrives, metadata at the end. The target must be
/// seekable and read as zeros where nothing is written (a new sparse file is). Blocks that stay zero are never written.</summary>
public sealed class Ext4Writer(Stream target, Ext4Layout layout)
{
    private readonly Stream _target = target;
    private readonly Ext4Layout _layout = layout;

    /// <summary>Adds an entry; missing parent directories are made (0755, root). A path that was added before is refused,
    /// except directories, whose attributes are then replaced.</summary>
    /// <exception cref="ImageException">The entry does not fit; the message says by how much.</exception>
    public void Add(Node node, Stream content) => throw new NotImplementedException(_target + _layout.ToString());

    /// <summary>Writes directories, inode tables, bitmaps, descriptors and superblocks.</summary>
    public void Finish() => throw new NotImplementedException();
}
