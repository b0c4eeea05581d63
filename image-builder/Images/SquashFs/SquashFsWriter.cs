using OsBuild.Images.Trees;

namespace OsBuild.Images.SquashFs;

/// <summary>Writes a squashfs 4.0 in one pass: blocks go forward as they come, the tables at the end; only the superblock goes back to the
/// start. Small files share fragments, equal small files are kept once, blocks of zeros are not written. The same tree and options
/// give the same bytes. Not held by the format, and refused: attributes outside of user, trusted and security (ACLs).</summary>
public sealed class SquashFsWriter : IDisposable
{
    private readonly Stream _target;
    private readonly long _origin;
    private readonly SquashFsOptions _options;
    private readonly BlockEncoder _encoder;
    private readonly DataWriter _data;
    private readonly Dictionary<string, TreeNode> _paths = new(StringComparer.Ordinal);
    private readonly TreeNode _root = new(MissingDirectory(""));
    private bool _finished;

    /// <summary>Begins at the target's position; room for the superblock is left there.</summary>
    /// <param name="target">A seekable stream.</param>
    /// <param name="options">How to write.</param>
    public SquashFsWriter(Stream target, SquashFsOptions options)
    {
        if (options.Compression is not (SquashFsCompression.Zstd or SquashFsCompression.Gzip))
            throw new ImageException(ImageErrorKind.Unsupported, $"A squashfs is not written with {options.Compression}; use zstd or gzip.");
        if (options.Level < 1 || options.Level > (options.Compression == SquashFsCompression.Zstd ? 22 : 9))
            throw new ArgumentOutOfRangeException(nameof(options), options.Level, "There is no such compression level.");
        if (options.BlockSize is < SquashFsFormat.SmallestBlock or > SquashFsFormat.LargestBlock || !int.IsPow2(options.BlockSize))
            throw new ArgumentOutOfRangeException(nameof(options), options.BlockSize, "A block is a power of two from 4 KiB to 1 MiB.");
        _target = target;
        _origin = target.Position;
        _options = options;
        _encoder = new BlockEncoder(options.Compression, options.Level);
        _data = new DataWriter(target, _origin, options, _encoder);
        _paths[""] = _root;
        target.Write(new byte[SuperBlock.Size]);
    }

    /// <summary>Adds an entry; missing parent directories are made (0755, root). A path that was added before is refused, except
    /// directories, whose attributes are then replaced.</summary>
    /// <exception cref="ImageException">The entry cannot be held by a squashfs.</exception>
    public void Add(Node node, Stream content)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        foreach (var (name, _) in node.Xattrs)
            if (!XattrTable.CanHold(name))
                throw Refuse($"{node.Path} has the attribute {name}, which squashfs cannot hold; remove it, or use ext4.");
        if (_paths.TryGetValue(node.Path, out var known))
        {
            if (node.Kind != NodeKind.Directory || known.Node.Kind != NodeKind.Directory) throw Refuse($"{node.Path} is in the tree twice; remove one of the two.");
            known.Node = node;
            return;
        }

        var parent = Parent(node.Path);
        var name8 = UnixText.Encode(node.Name);
        if (name8.Length is 0 or > SquashFsFormat.LongestName) throw Refuse($"The name of {node.Path} has more than {SquashFsFormat.LongestName} bytes; shorten it.");
        var entry = node.Kind == NodeKind.HardLink ? LinkTo(node) : new TreeNode(node);
        if (node.Kind == NodeKind.File) entry.File = WriteContent(node, content);
        parent.Children!.Add((name8, entry));
        _paths[node.Path] = entry;
    }

    private FileRecord WriteContent(Node node, Stream content)
    {
        try
        {
            return _data.Write(node.Size, content);
        }
        catch (EndOfStreamException e)
        {
            throw new ImageException(ImageErrorKind.Corrupt, $"{node.Path} ends before its {node.Size} bytes; pack the tree again.", e);
        }
    }

    private TreeNode LinkTo(Node node)
    {
        if (node.LinkTarget is null || !_paths.TryGetValue(node.LinkTarget, out var target) || target.Node.Kind == NodeKind.Directory)
            throw Refuse($"{node.Path} is a hard link to {node.LinkTarget}, which did not come before it; pack the tree again.");
        target.Links++;
        return target;
    }

    private TreeNode Parent(string path)
    {
        var slash = path.LastIndexOf('/');
        var parent = slash < 0 ? "" : path[..slash];
        if (_paths.TryGetValue(parent, out var known))
            return known.Node.Kind == NodeKind.Directory ? known : throw Refuse($"{path} lies in {parent}, which is no directory; remove one of the two.");
        var made = new TreeNode(MissingDirectory(parent));
        Parent(parent).Children!.Add((UnixText.Encode(made.Node.Name), made));
        return _paths[parent] = made;
    }

    private static Node MissingDirectory(string path) => new() { Path = path, Kind = NodeKind.Directory, Mode = 0x1ED };

    private static ImageException Refuse(string message) => new(ImageErrorKind.Unsupported, message);

    /// <summary>Writes the tables and the superblock; gives the size in bytes, a multiple of 4 KiB. Nothing may be added afterwards.</summary>
    public long Finish()
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        _finished = true;
        _data.Finish();
        var tables = new TableWriter(_encoder, _options);
        var super = tables.Write(_root, _data.Fragments, _target, _origin);
        var size = ((long)super.BytesUsed + 4095) & ~4095L;
        _target.Write(new byte[size - (long)super.BytesUsed]);
        var bytes = new byte[SuperBlock.Size];
        super.Write(bytes);
        _target.Position = _origin;
        _target.Write(bytes);
        _target.Position = _origin + size;
        return size;
    }

    /// <summary>Lets the encoders go; writes nothing.</summary>
    public void Dispose()
    {
        _finished = true;
        _encoder.Dispose();
    }
}

/// <summary>An entry of the tree under construction: one inode, under one or more names.</summary>
internal sealed class TreeNode(Node node)
{
    public Node Node { get; set; } = node;

    public int Links { get; set; } = 1;

    public FileRecord? File { get; set; }

    public List<(byte[] Name, TreeNode Node)>? Children { get; } = node.Kind == NodeKind.Directory ? [] : null;

    /// <summary>The inode's number; 0 until it has one.</summary>
    public uint Number { get; set; }

    /// <summary>Where the inode lies in the inode table, once it is written.</summary>
    public (uint Block, ushort Offset)? Place { get; set; }
}
