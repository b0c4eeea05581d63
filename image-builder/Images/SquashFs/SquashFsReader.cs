using OsBuild.Images.Compression;
using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Reads a squashfs 4.0 (gzip, zstd, xz) from a seekable stream that starts at its first byte. Refused by name: lz4, lzo and
/// lzma compression, and versions before 4.</summary>
public sealed class SquashFsReader : IFileSystem
{
    private const string Name = "squashfs";
    private const int CachedEntries = 200_000;

    private readonly MetadataReader _metadata;
    private readonly InodeReader _inodes;
    private readonly Dictionary<ulong, List<DirectoryEntry>> _directories = [];
    private int _cached;

    private readonly record struct DirectoryEntry(byte[] Name, ulong Inode);

    /// <summary>Reads the superblock.</summary>
    /// <exception cref="ImageException">There is no squashfs, it is torn, or it uses what is not read here.</exception>
    public SquashFsReader(Stream source)
    {
        var bytes = new byte[SuperBlock.Size];
        source.Position = 0;
        if (source.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length || ReadUInt32LittleEndian(bytes) != SuperBlock.Magic)
            throw Damage.Corrupt(Name, "it does not begin like squashfs");
        var super = SuperBlock.Read(bytes);
        if (super.Major != 4) throw Damage.Unsupported(Name, $"version {super.Major}.{super.Minor}");
        if (super.BlockSize is < SquashFsFormat.SmallestBlock or > SquashFsFormat.LargestBlock || super.BlockSize != 1u << (super.BlockLog & 31))
            throw Damage.Corrupt(Name, "its block size is impossible");
        if (super.BytesUsed > (ulong)source.Length) throw Damage.Torn(Name);
        _metadata = new MetadataReader(source, super, new BlockDecoder(super.Compression));
        _inodes = new InodeReader(_metadata);
    }

    /// <inheritdoc/>
    public string Format => Name;

    /// <summary>Always empty: squashfs has no label.</summary>
    public string Label => "";

    /// <inheritdoc/>
    public long Size => (long)_metadata.Super.BytesUsed;

    /// <inheritdoc/>
    public long Used => Size;

    /// <summary>How its blocks are compressed.</summary>
    public SquashFsCompression Compression => _metadata.Super.Compression;

    /// <inheritdoc/>
    public Node? Find(string path) => Lookup(path) is { } inode ? NodeOf(path, inode) : null;

    /// <inheritdoc/>
    public IEnumerable<Node> List(string path)
    {
        if (Lookup(path) is not { Type: InodeType.Directory } directory) throw new FileNotFoundException($"There is no directory {path} in the squashfs.", path);
        foreach (var (name, reference) in Entries(directory))
            yield return NodeOf((path.Length == 0 ? "" : path + "/") + UnixText.Decode(name), _inodes.Read(reference));
    }

    /// <inheritdoc/>
    public Stream Open(string path) => Lookup(path) is { Type: InodeType.File } file
        ? new SquashFsFile(_metadata, file)
        : throw new FileNotFoundException($"There is no file {path} in the squashfs.", path);

    /// <inheritdoc/>
    public IEnumerable<string> Check() => new SquashFsCheck(this).Run();

    private Inode? Lookup(string path)
    {
        var inode = _inodes.Read(_metadata.Super.RootInode);
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (inode.Type != InodeType.Directory) return null;
            var name = UnixText.Encode(part);
            var found = Entries(inode).Find(e => e.Name.AsSpan().SequenceEqual(name));
            if (found.Name is null) return null;
            inode = _inodes.Read(found.Inode);
        }

        return inode;
    }

    private List<DirectoryEntry> Entries(Inode directory)
    {
        var key = (ulong)directory.ListingBlock << 32 | (ulong)directory.ListingOffset << 16 | (ushort)directory.Size;
        if (_directories.TryGetValue(key, out var known)) return known;
        var entries = ReadEntries(directory);
        if (_cached + entries.Count > CachedEntries)
        {
            _directories.Clear();
            _cached = 0;
        }

        _cached += entries.Count;
        return _directories[key] = entries;
    }

    private List<DirectoryEntry> ReadEntries(Inode directory)
    {
        var entries = new List<DirectoryEntry>();
        var cursor = _metadata.At(_metadata.Super.DirectoryTable, directory.ListingBlock, directory.ListingOffset);
        // Three bytes of the size stand for . and .., which are not there.
        for (var left = directory.Size - 3; left > 0;)
        {
            var (count, block) = (cursor.U32(), cursor.U32());
            cursor.U32();
            left -= 12;
            if (count > 255) throw Damage.Corrupt(Name, "a directory has an impossible number of entries");
            for (var i = 0; i <= count; i++)
            {
                var offset = cursor.U16();
                cursor.U32();
                var length = cursor.U16() + 1;
                if (length > SquashFsFormat.LongestName) throw Damage.Corrupt(Name, "a name is too long");
                var name = cursor.Bytes(length);
                left -= 8 + length;
                if (left < 0) throw Damage.Corrupt(Name, "a directory is longer than it tells");
                if (name.AsSpan().ContainsAny((byte)'/', (byte)0) || name is [(byte)'.'] or [(byte)'.', (byte)'.'])
                    throw Damage.Corrupt(Name, "a directory holds an impossible name");
                entries.Add(new DirectoryEntry(name, (ulong)block << 16 | offset));
            }
        }

        entries.Sort(static (a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        return entries;
    }

    private Node NodeOf(string path, Inode inode)
    {
        var (major, minor) = SquashFsFormat.Device(inode.Device);
        return new Node
        {
            Path = path,
            FileId = inode.Number,
            Kind = inode.Type switch
            {
                InodeType.Directory => NodeKind.Directory,
                InodeType.File => NodeKind.File,
                InodeType.Symlink => NodeKind.Symlink,
                InodeType.BlockDevice => NodeKind.BlockDevice,
                InodeType.CharDevice => NodeKind.CharDevice,
                InodeType.Fifo => NodeKind.Fifo,
                _ => NodeKind.Socket,
            },
            Mode = inode.Mode & 0xFFF,
            Uid = inode.Uid,
            Gid = inode.Gid,
            ModifiedAt = inode.ModifiedAt,
            Size = inode.Type == InodeType.File ? inode.Size : 0,
            LinkTarget = inode.Target,
            Major = major,
            Minor = minor,
            Xattrs = _inodes.Xattrs(inode),
        };
    }
}

/// <summary>Reads everything there is, and tells what cannot be read.</summary>
internal sealed class SquashFsCheck(SquashFsReader reader)
{
    // Deeper than any path the kernel would take: a directory that holds itself ends here.
    private const int Deepest = 4096 / 2;

    public IEnumerable<string> Run()
    {
        var open = new Stack<(string Path, int Depth)>([("", 0)]);
        var buffer = new byte[1 << 17];
        while (open.TryPop(out var directory))
        {
            var nodes = new List<Node>();
            if (Finding(directory.Path, () => nodes.AddRange(reader.List(directory.Path))) is { } unreadable) yield return unreadable;
            foreach (var node in nodes)
            {
                if (node.Kind == NodeKind.Directory && directory.Depth == Deepest) yield return $"{node.Path}: directories lie in each other without end.";
                else if (node.Kind == NodeKind.Directory) open.Push((node.Path, directory.Depth + 1));
                if (node.Kind == NodeKind.File && Finding(node.Path, () => ReadAll(node, buffer)) is { } finding) yield return finding;
            }

            if (directory.Depth == Deepest) yield break;
        }
    }

    private void ReadAll(Node node, byte[] buffer)
    {
        using var content = reader.Open(node.Path);
        while (content.Read(buffer) > 0)
        {
        }
    }

    private static string? Finding(string path, Action read)
    {
        try
        {
            read();
            return null;
        }
        catch (ImageException e)
        {
            return $"{(path.Length == 0 ? "The root directory" : path)}: {e.Message}";
        }
    }
}
