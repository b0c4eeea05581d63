using OsBuild.Images.Trees;

namespace OsBuild.Images.Ext4;

/// <summary>Reads an ext2, ext3 or ext4 file system from a seekable stream that starts at its first byte.</summary>
public sealed class Ext4Reader(Stream source) : IFileSystem
{
    private readonly Stream _source = source;

    /// <inheritdoc/>
    public string Format => "ext4";

    /// <inheritdoc/>
    public string Label => throw new NotImplementedException();

    /// <inheritdoc/>
    public long Size => _source.Length;

    /// <inheritdoc/>
    public long Used => throw new NotImplementedException();

    /// <inheritdoc/>
    public Node? Find(string path) => throw new NotImplementedException();

    /// <inheritdoc/>
    public IEnumerable<Node> List(string path) => throw new NotImplementedException();

    /// <inheritdoc/>
    public Stream Open(string path) => throw new NotImplementedException();

    /// <inheritdoc/>
    public IEnumerable<string> Check() => throw new NotImplementedException();
}
