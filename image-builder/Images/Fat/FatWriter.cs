using OsBuild.Images.Streams;

namespace OsBuild.Images.Fat;

/// <summary>Writes a FAT file system in one pass. The target must be seekable, have its full length and read as zeros where nothing
/// is written; blocks that stay zero are never written. Every file is one run of clusters, in the order of the calls; directories follow at the end.
/// Not made: hard links, symbolic links, owners and permissions, which FAT does not have.</summary>
public sealed class FatWriter(Stream target, FatLayout layout)
{
    private const int MaxSlots = 65536;

    private readonly FatGeometry _g = layout.Geometry;
    private readonly FatTime _time = FatTime.Of(layout.Options.CreatedAt);
    private readonly List<ClusterRun> _chains = layout.Options.Kind == FatKind.Fat32 ? [new ClusterRun(2, 1)] : [];
    private readonly Directory _root = new("", null) { SlotCount = layout.Options.Label.Length > 0 ? 1 : 0, FirstCluster = layout.Geometry.RootCluster };
    private readonly List<Directory> _directories = [];
    private uint _next = layout.Options.Kind == FatKind.Fat32 ? 3u : 2;
    private long _directoryClusters;

    /// <summary>A directory until <see cref="Finish"/> writes it.</summary>
    private sealed class Directory(string path, Directory? parent)
    {
        public readonly string Path = path;
        public readonly Directory? Parent = parent;
        public readonly List<Child> Children = [];
        public readonly Dictionary<string, Child> ByName = new(StringComparer.OrdinalIgnoreCase);
        public readonly HashSet<string> ShortNames = [];
        public readonly Dictionary<string, int> LastNumbers = [];
        public int SlotCount = 2;
        public uint FirstCluster;
    }

    private sealed record Child(string Name, string Short, bool NeedsLong, uint FirstCluster, uint Size, Directory? Directory);

    /// <summary>Adds a file; missing directories are made. <paramref name="path"/> is separated by <c>/</c>.</summary>
    /// <exception cref="ImageException">The file does not fit or its name cannot stand in FAT; the message says by how much or why.</exception>
    public void AddFile(string path, long size, Stream content)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(size);
        if (size > uint.MaxValue)
            throw new ImageException(ImageErrorKind.TooLarge, $"{path} has {size} bytes; a file on FAT ends at {uint.MaxValue}.");
        var parts = FatNames.Split(path);
        var parent = Parent(parts);
        var clusters = _g.ClustersFor(size);
        var first = clusters == 0 ? 0 : _next;
        AddChild(parent, parts[^1], first, (uint)size, null, clusters);
        _next += (uint)clusters;
        if (clusters > 0) _chains.Add(new ClusterRun(first, (uint)clusters));
        Copy(path, size, content, first);
    }

    /// <summary>Adds a directory; no error when it is there already.</summary>
    public void AddDirectory(string path)
    {
        var parts = FatNames.Split(path);
        Parent([.. parts, ""]);
    }

    /// <summary>Writes directories, tables, FSInfo and boot sectors.</summary>
    public void Finish()
    {
        PlaceDirectories();
        foreach (var d in _directories) WriteDirectory(d);
        WriteRoot();
        var table = new FatTableWriter(target, _g);
        table.Write(_chains);
        BootSectors.Write(target, layout, freeClusters: _g.Clusters - (_next - 2), nextFree: _next);
    }

    private Directory Parent(string[] parts)
    {
        var at = _root;
        foreach (var name in parts[..^1])
        {
            if (!at.ByName.TryGetValue(name, out var child))
            {
                var made = new Directory(at.Path.Length == 0 ? name : at.Path + "/" + name, at);
                child = AddChild(at, name, 0, 0, made, 1);
                _directories.Add(made);
                _directoryClusters++;
            }

            at = child.Directory
                ?? throw new ImageException(ImageErrorKind.Unsupported, $"{string.Join('/', parts)} needs {child.Name} to be a directory, but it is a file.");
        }

        return at;
    }

    private Child AddChild(Directory parent, string name, uint first, uint size, Directory? directory, long clusters)
    {
        var where = parent.Path.Length == 0 ? name : parent.Path + "/" + name;
        if (parent.ByName.TryGetValue(name, out var twin))
            throw new ImageException(ImageErrorKind.Unsupported, $"{where} is there already as {twin.Name}; FAT does not tell upper from lower case.");
        var (shortName, needsLong) = FatNames.ShortNameOf(name, parent.ShortNames.Contains, parent.LastNumbers);
        var slots = parent.SlotCount + FatNames.SlotCount(name, needsLong);
        var limit = parent == _root && _g.RootEntries > 0 ? _g.RootEntries : MaxSlots;
        if (slots > limit) throw new ImageException(ImageErrorKind.TooLarge, $"{where} does not fit: its directory holds {limit} short entries, and long names take several.");
        var growth = DirectoryClusters(parent, slots) - DirectoryClusters(parent, parent.SlotCount);
        var left = _g.Clusters - (_next - 2) - _directoryClusters;
        if (clusters + growth > left)
            throw new ImageException(ImageErrorKind.TooLarge,
                $"{where} does not fit into the FAT file system of {new ByteSize(layout.Options.Size)}: short by {(clusters + growth - left) * _g.ClusterSize} bytes. Make the partition larger or leave something out.");
        var added = new Child(name, shortName, needsLong, first, size, directory);
        parent.Children.Add(added);
        parent.ByName.Add(name, added);
        parent.ShortNames.Add(shortName);
        parent.SlotCount = slots;
        _directoryClusters += growth;
        return added;
    }

    /// <summary>Clusters a directory takes, those of the root without its first one, which is taken from the start.</summary>
    private long DirectoryClusters(Directory d, int slots)
    {
        if (d == _root && _g.RootEntries > 0) return 0;
        var all = Math.Max(1, _g.ClustersFor((long)slots * DirectoryEntry.Size));
        return d == _root ? all - 1 : all;
    }

    private void Copy(string path, long size, Stream content, uint first)
    {
        var buffer = new byte[128 * 1024];
        var at = first == 0 ? 0 : _g.ClusterOffset(first);
        for (var left = size; left > 0;)
        {
            var got = content.ReadAtLeast(buffer.AsSpan(0, (int)Math.Min(left, buffer.Length)), 1, throwOnEndOfStream: false);
            if (got == 0) throw new ImageException(ImageErrorKind.Corrupt, $"{path} ended {left} bytes before its {size} bytes; was it changed while it was read?");
            target.WriteSparse(at, buffer.AsSpan(0, got));
            at += got;
            left -= got;
        }
    }

    private void PlaceDirectories()
    {
        foreach (var d in _directories)
        {
            var count = (uint)DirectoryClusters(d, d.SlotCount);
            d.FirstCluster = _next;
            _chains.Add(new ClusterRun(_next, count));
            _next += count;
        }

        var more = (uint)DirectoryClusters(_root, _root.SlotCount);
        if (more == 0) return;
        _chains[0] = _chains[0] with { Continues = _next };
        _chains.Add(new ClusterRun(_next, more));
        _next += more;
    }

    private void WriteDirectory(Directory d)
    {
        var bytes = new List<byte>();
        var slot = new byte[DirectoryEntry.Size];
        foreach (var (name, cluster) in new[] { (".", d.FirstCluster), ("..", d.Parent == _root ? 0 : d.Parent!.FirstCluster) })
        {
            DirectoryEntry.For(name.PadRight(11), FatAttributes.Directory, cluster, 0, _time).Write(slot);
            bytes.AddRange(slot);
        }

        AddChildren(bytes, d);
        target.WriteSparse(_g.ClusterOffset(d.FirstCluster), bytes.ToArray());
    }

    private void WriteRoot()
    {
        var bytes = new List<byte>();
        if (layout.Options.Label.Length > 0)
        {
            var slot = new byte[DirectoryEntry.Size];
            DirectoryEntry.For(layout.Options.Label.PadRight(11), FatAttributes.VolumeId, 0, 0, _time).Write(slot);
            bytes.AddRange(slot);
        }

        AddChildren(bytes, _root);
        var all = bytes.ToArray();
        if (_g.RootEntries > 0)
        {
            target.WriteSparse(_g.RootOffset, all);
            return;
        }

        var head = Math.Min(all.Length, _g.ClusterSize);
        target.WriteSparse(_g.ClusterOffset(2), all.AsSpan(0, head));
        if (all.Length > head) target.WriteSparse(_g.ClusterOffset(_chains[0].Continues), all.AsSpan(head));
    }

    private void AddChildren(List<byte> bytes, Directory d)
    {
        foreach (var c in d.Children)
        {
            var attributes = c.Directory is null ? FatAttributes.Archive : FatAttributes.Directory;
            var entry = DirectoryEntry.For(c.Short, attributes, c.Directory?.FirstCluster ?? c.FirstCluster, c.Size, _time);
            bytes.AddRange(FatNames.Slots(c.Name, c.NeedsLong, entry));
        }
    }
}
