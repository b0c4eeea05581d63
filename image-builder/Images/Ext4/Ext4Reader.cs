using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Reads an ext2, ext3 or ext4 file system from a seekable stream that starts at its first byte: block lists and extents,
/// blocks of 1 to 64 KiB, plain and indexed directories, attributes and ACLs. Refused by name: inline data, encryption, attributes in
/// inodes of their own, and journals that must be replayed first.</summary>
public sealed class Ext4Reader : IFileSystem
{
    private const int CachedEntries = 200_000;

    private readonly Ext4Volume _volume;
    private readonly DirectoryReader _directoryReader;
    private readonly Dictionary<uint, NamedInode[]> _directories = [];
    private int _cached;

    /// <summary>Reads the superblock.</summary>
    /// <exception cref="ImageException">There is no ext file system, it is torn, or it uses what is not read here.</exception>
    public Ext4Reader(Stream source)
    {
        _volume = new Ext4Volume(source);
        _directoryReader = new DirectoryReader(_volume);
    }

    /// <inheritdoc/>
    public string Format =>
        _volume.Super.Has(IncompatibleFeatures.Extents) || _volume.Super.Has(ReadOnlyFeatures.MetadataCsum) ? "ext4"
        : _volume.Super.Has(CompatibleFeatures.HasJournal) ? "ext3" : "ext2";

    /// <inheritdoc/>
    public string Label => _volume.Super.Label;

    /// <summary>File-system UUID.</summary>
    public Guid Uuid => _volume.Super.Uuid;

    /// <inheritdoc/>
    public long Size => _volume.Super.Blocks * _volume.BlockSize;

    /// <inheritdoc/>
    public long Used => Math.Max(0, _volume.Super.Blocks - _volume.Super.FreeBlocks) * _volume.BlockSize;

    /// <inheritdoc/>
    public Node? Find(string path) => Lookup(path) is { } inode ? NodeOf(path, inode) : null;

    /// <inheritdoc/>
    public IEnumerable<Node> List(string path)
    {
        var directory = Lookup(path);
        if (directory is null || directory.Type != FileType.Directory) throw new FileNotFoundException($"There is no directory {path} in the {Format} file system.", path);
        foreach (var entry in Entries(directory))
            yield return NodeOf(path.Length == 0 ? entry.Name : path + "/" + entry.Name, _volume.Inode(entry.Inode));
    }

    /// <inheritdoc/>
    public Stream Open(string path)
    {
        var inode = Lookup(path);
        if (inode is null || inode.Type != FileType.File) throw new FileNotFoundException($"There is no file {path} in the {Format} file system.", path);
        return Content(inode);
    }

    /// <inheritdoc/>
    public IEnumerable<string> Check() => new Ext4Check(_volume).Run();

    private Ext4FileStream Content(Ext4Inode inode) =>
        inode.Length is >= 0 and < 1L << 46 ? new(_volume, FileMap.Of(_volume, inode).Runs, inode.Length) : throw _volume.Corrupt($"has an inode {inode.Number} of {inode.Length} bytes");

    private Ext4Inode? Lookup(string path)
    {
        var inode = _volume.Inode(SpecialInode.Root);
        if (inode.Type != FileType.Directory) throw _volume.Corrupt("has a root that is not a directory");
        if (path.Length == 0) return inode;
        foreach (var part in path.Split('/'))
        {
            if (inode.Type != FileType.Directory) return null;
            var entries = Entries(inode);
            var found = Array.BinarySearch(entries, new NamedInode(part, 0, 0), ByName);
            if (found < 0) return null;
            inode = _volume.Inode(entries[found].Inode);
        }

        return inode;
    }

    private static Comparer<NamedInode> ByName { get; } = Comparer<NamedInode>.Create((a, b) => string.CompareOrdinal(a.Name, b.Name));

    private NamedInode[] Entries(Ext4Inode directory)
    {
        if (_directories.TryGetValue(directory.Number, out var entries)) return entries;
        entries = [.. _directoryReader.Read(directory)];
        Array.Sort(entries, ByName);
        if (_cached + entries.Length > CachedEntries)
        {
            _directories.Clear();
            _cached = 0;
        }

        _cached += entries.Length;
        _directories[directory.Number] = entries;
        return entries;
    }

    private Node NodeOf(string path, Ext4Inode inode)
    {
        var view = inode.View;
        var kind = inode.Type switch
        {
            FileType.File => NodeKind.File,
            FileType.Directory => NodeKind.Directory,
            FileType.Symlink => NodeKind.Symlink,
            FileType.CharDevice => NodeKind.CharDevice,
            FileType.BlockDevice => NodeKind.BlockDevice,
            FileType.Fifo => NodeKind.Fifo,
            FileType.Socket => NodeKind.Socket,
            _ => throw _volume.Corrupt($"has an inode {inode.Number} of no known type (mode {view.Mode:x})"),
        };
        var (major, minor) = kind is NodeKind.CharDevice or NodeKind.BlockDevice ? Device(view) : (0, 0);
        return new Node
        {
            Path = path,
            Kind = kind,
            Mode = view.Mode & 0xFFF,
            Uid = view.Uid,
            Gid = view.Gid,
            ModifiedAt = view.ModifiedAt.Seconds,
            ModifiedNanoseconds = view.ModifiedAt.Nanoseconds,
            Size = kind == NodeKind.File ? inode.Length : 0,
            LinkTarget = kind == NodeKind.Symlink ? Target(inode) : null,
            Major = major,
            Minor = minor,
            Xattrs = XattrReader.Read(_volume, inode),
            FileId = inode.Number,
        };
    }

    private string Target(Ext4Inode inode)
    {
        var view = inode.View;
        var length = (int)Math.Min(inode.Length, 1 << 16);
        if (length == 0 || length > _volume.BlockSize) throw _volume.Corrupt($"has a symbolic link (inode {inode.Number}) of {inode.Length} bytes");
        var attributes = view.XattrBlock != 0 ? _volume.ClusterSize / 512 : 0;
        if (length < InodeView.BlockSize && view.Sectors - attributes <= 0) return UnixText.Decode(view.Block[..length]);
        var target = new byte[length];
        using var content = Content(inode);
        content.ReadExactly(target);
        return UnixText.Decode(target);
    }

    private static (uint Major, uint Minor) Device(InodeView inode)
    {
        var old = ReadUInt32LittleEndian(inode.Block);
        if (old != 0) return ((old >> 8) & 0xFF, old & 0xFF);
        var number = ReadUInt32LittleEndian(inode.Block[4..]);
        return ((number & 0xFFF00) >> 8, (number & 0xFF) | ((number >> 12) & 0xFFF00));
    }
}
