using OsBuild.Images.Trees;

namespace OsBuild.Images.Fat;

/// <summary>Reads a FAT12, FAT16 or FAT32 file system from a seekable stream that starts at its first byte.</summary>
public sealed class FatReader : IFileSystem
{
    private readonly Stream _source;
    private readonly FatVolume _volume;

    /// <summary>Reads the boot sector.</summary>
    /// <exception cref="ImageException">It is not FAT, or the stream is shorter than the file system.</exception>
    public FatReader(Stream source)
    {
        _source = source;
        _volume = new FatVolume(source);
    }

    /// <inheritdoc/>
    public string Format => $"fat{(int)_volume.Geometry.Kind}";

    /// <inheritdoc/>
    public string Label
    {
        get
        {
            var label = _volume.ReadDirectory(0, "").Label()?.ShortName ?? (_volume.Fields.BootSignature == VolumeFields.Extended ? _volume.Fields.Label! : "");
            label = label.TrimEnd(' ', '\0');
            return label == "NO NAME" ? "" : label;
        }
    }

    /// <summary>Volume serial number.</summary>
    public uint VolumeId => _volume.Fields.VolumeId;

    /// <inheritdoc/>
    public long Size => _volume.Geometry.TotalSectors * _volume.Geometry.SectorSize;

    /// <inheritdoc/>
    public long Used => UsedExtents().Sum(e => e.Length);

    /// <summary>The bytes that mean something: boot sectors, tables and root directory whole (a zero there says "free"), then the clusters
    /// in use. What lies outside may be anything; this is what a block map must list.</summary>
    public IEnumerable<(long Offset, long Length)> UsedExtents()
    {
        var g = _volume.Geometry;
        yield return (0, g.DataSector * g.SectorSize);
        uint start = 0;
        for (uint c = 2; c < g.Clusters + 2; c++)
        {
            var isUsed = _volume.Next(c) != 0;
            if (isUsed && start == 0) start = c;
            if (isUsed || start == 0) continue;
            yield return (g.ClusterOffset(start), (long)(c - start) * g.ClusterSize);
            start = 0;
        }

        if (start != 0) yield return (g.ClusterOffset(start), (long)(g.Clusters + 2 - start) * g.ClusterSize);
    }

    /// <inheritdoc/>
    public Node? Find(string path)
    {
        var trimmed = path.Trim('/');
        if (trimmed.Length == 0) return new Node { Path = "", Kind = NodeKind.Directory, Mode = 0x1ED };
        return _volume.Find(trimmed) is { } e ? NodeOf(ParentOf(trimmed), e) : null;
    }

    /// <inheritdoc/>
    public IEnumerable<Node> List(string path)
    {
        var trimmed = path.Trim('/');
        var cluster = trimmed.Length == 0 ? 0 : _volume.Find(trimmed)?.Entry switch
        {
            { IsDirectory: true } d => d.FirstCluster,
            _ => throw new DirectoryNotFoundException($"There is no directory {trimmed} on this FAT file system."),
        };
        // Of two entries with one name, which only damage leaves, the first counts, as in Find.
        return [.. _volume.ReadDirectory(cluster, trimmed).Entries().Where(e => !e.IsDot).DistinctBy(e => e.Name, StringComparer.OrdinalIgnoreCase)
            .Select(e => NodeOf(trimmed, e)).OrderBy(n => n.Name, StringComparer.Ordinal)];
    }

    /// <inheritdoc/>
    public Stream Open(string path)
    {
        if (_volume.Find(path.Trim('/')) is not { Entry.IsDirectory: false } e) throw new FileNotFoundException($"There is no file {path} on this FAT file system.");
        return new FatFileStream(_source, _volume, e, path);
    }

    /// <inheritdoc/>
    public IEnumerable<string> Check() => new FatCheck(_volume).Run();

    private static string ParentOf(string path) => path.LastIndexOf('/') is >= 0 and var i ? path[..i] : "";

    private static Node NodeOf(string parent, FatEntry e) => new()
    {
        Path = parent.Length == 0 ? e.Name : parent + "/" + e.Name,
        Kind = e.Entry.IsDirectory ? NodeKind.Directory : NodeKind.File,
        Mode = e.Entry.IsDirectory ? 0x1ED : (e.Entry.Attributes & FatAttributes.ReadOnly) != 0 ? 0x124 : 0x1A4,
        ModifiedAt = new FatTime(e.Entry.WrittenDate, e.Entry.WrittenTime).ToUnixSeconds(),
        Size = e.Entry.IsDirectory ? 0 : e.Entry.FileSize,
    };
}
