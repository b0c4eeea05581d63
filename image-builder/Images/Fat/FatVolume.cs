namespace OsBuild.Images.Fat;

/// <summary>The way from names to clusters, shared by reader, checker and editor. Every loop over what is on the medium is bounded by
/// the number of clusters, which in turn is bounded by the length of the stream.</summary>
internal sealed class FatVolume
{
    /// <summary>The largest directory of the specification: 65,536 entries.</summary>
    private const int MaxDirectorySize = 65536 * 32;

    private const int WindowSize = 3 * 4096;

    private readonly Stream _stream;
    private readonly byte[] _window = new byte[WindowSize];
    private long _windowOffset = -1;

    public FatVolume(Stream stream)
    {
        _stream = stream;
        var boot = new byte[512];
        stream.Position = 0;
        if (stream.ReadAtLeast(boot, boot.Length, throwOnEndOfStream: false) < boot.Length)
            throw new ImageException(ImageErrorKind.Corrupt, "The volume is shorter than a boot sector.");
        Geometry = FatGeometry.Read(boot, stream.Length);
        Fields = VolumeFields.Read(boot.AsSpan(Geometry.Kind == FatKind.Fat32 ? VolumeFields.Fat32Offset : VolumeFields.Fat16Offset, VolumeFields.Size));
    }

    public FatGeometry Geometry { get; }

    public VolumeFields Fields { get; }

    /// <summary>Forgets what was read of the table, after it was written.</summary>
    public void Invalidate() => _windowOffset = -1;

    /// <summary>The table's value for a cluster.</summary>
    public uint Next(uint cluster) => Entry(cluster, Geometry.ActiveFat);

    /// <summary>A value of one of the copies of the table.</summary>
    public uint Entry(uint cluster, int copy)
    {
        // Windows are aligned to 3 * 4096 bytes, which hold a whole number of entries of any width.
        var perWindow = (uint)(WindowSize * 8 / (int)Geometry.Kind);
        var offset = Geometry.FatOffset(copy) + ((long)(cluster / perWindow) * WindowSize);
        if (offset != _windowOffset)
        {
            var length = (int)Math.Min(WindowSize, Geometry.FatOffset(copy + 1) - offset);
            ReadAt(offset, _window.AsSpan(0, length));
            _windowOffset = offset;
        }

        return FatEntries.Get(_window, (int)(cluster % perWindow), Geometry.Kind);
    }

    public void ReadAt(long offset, Span<byte> to)
    {
        _stream.Position = offset;
        if (_stream.ReadAtLeast(to, to.Length, throwOnEndOfStream: false) < to.Length)
            throw new ImageException(ImageErrorKind.Corrupt, $"The volume ends before byte {offset + to.Length}; the image is cut off.");
    }

    /// <summary>The runs of a chain.</summary>
    /// <param name="first">First cluster; 0 is an empty chain.</param>
    /// <param name="what">Name for messages.</param>
    /// <param name="most">No more clusters than this are followed; what comes after them does not belong to the file.</param>
    /// <exception cref="ImageException">The chain is broken or runs in a circle.</exception>
    public List<ClusterRun> Chain(uint first, string what, long most)
    {
        var runs = new List<ClusterRun>();
        if (first == 0 || most == 0) return runs;
        long count = 0;
        for (var cluster = first; ;)
        {
            if (!Geometry.IsCluster(cluster)) throw Broken(what, $"cluster {cluster} of its chain does not exist or is not in use");
            if (runs.Count > 0 && runs[^1].End == cluster) runs[^1] = runs[^1] with { Count = runs[^1].Count + 1 };
            else runs.Add(new ClusterRun(cluster, 1));
            if (++count >= most) return runs;
            if (count > Geometry.Clusters) throw Broken(what, "its chain runs in a circle");
            var next = Next(cluster);
            if (next >= Geometry.EndOfChain) return runs;
            cluster = next;
        }
    }

    /// <summary>Reads a directory.</summary>
    /// <param name="firstCluster">Its first cluster; 0 is the root.</param>
    /// <param name="path">Name for messages.</param>
    public FatDirectory ReadDirectory(uint firstCluster, string path)
    {
        var what = path.Length == 0 ? "the root directory" : "directory " + path;
        if (firstCluster == 0 && Geometry.RootCluster == 0)
        {
            var root = new byte[Geometry.RootSectors * Geometry.SectorSize];
            ReadAt(Geometry.RootOffset, root);
            return new FatDirectory(Geometry, 0, [], root);
        }

        var first = firstCluster == 0 ? Geometry.RootCluster : firstCluster;
        var most = Math.Max(1, MaxDirectorySize / Geometry.ClusterSize);
        var runs = Chain(first, what, most + 1L);
        if (runs.Sum(r => r.Count) > most) throw Broken(what, "it is longer than 2 MiB or runs in a circle");
        var bytes = new byte[runs.Sum(r => r.Count) * Geometry.ClusterSize];
        var at = 0;
        foreach (var run in runs)
        {
            var length = (int)run.Count * Geometry.ClusterSize;
            ReadAt(Geometry.ClusterOffset(run.First), bytes.AsSpan(at, length));
            at += length;
        }

        return new FatDirectory(Geometry, first, runs, bytes);
    }

    /// <summary>Walks a path; null when it is not there. The root has no entry of its own.</summary>
    /// <exception cref="ImageException">A directory on the way is damaged or contains itself.</exception>
    public FatEntry? Find(string path)
    {
        FatEntry? found = null;
        // A damaged directory may lead back to one above it; without this, whoever walks the tree would never end.
        var above = new HashSet<uint> { 0, Geometry.RootCluster };
        var cluster = 0u;
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (found is { Entry.IsDirectory: false }) return null;
            found = ReadDirectory(cluster, path).Find(part);
            if (found is null) return null;
            cluster = found.Entry.FirstCluster;
            if (found.Entry.IsDirectory && !above.Add(cluster)) throw Broken("directory " + path, "it contains itself");
        }

        return found;
    }

    private static ImageException Broken(string what, string why) => new(ImageErrorKind.Corrupt, $"On the FAT file system, {what} is damaged: {why}.");
}
