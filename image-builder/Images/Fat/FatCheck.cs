using System.Buffers.Binary;
using System.Collections;

namespace OsBuild.Images.Fat;

/// <summary>Looks at everything a FAT file system says about itself and reports where it disagrees with itself.</summary>
internal sealed class FatCheck(FatVolume volume)
{
    /// <summary>A volume with more findings than this is rubbish, and the list would only grow.</summary>
    private const int MaxFindings = 100;

    private readonly FatGeometry _g = volume.Geometry;
    private readonly List<string> _findings = [];

    // One bit per cluster: 32 MiB for the largest volume there can be.
    private readonly BitArray _used = new((int)volume.Geometry.Clusters + 2);

    public IEnumerable<string> Run()
    {
        CheckBootSectors();
        CheckTables();
        CheckTree();
        CheckLost();
        return _findings;
    }

    private bool IsFull => _findings.Count >= MaxFindings;

    private void Report(string finding)
    {
        if (_findings.Count < MaxFindings) _findings.Add(finding);
        else if (_findings.Count == MaxFindings) _findings.Add("There are more findings than these.");
    }

    private void CheckBootSectors()
    {
        var boot = new byte[_g.SectorSize];
        volume.ReadAt(0, boot);
        if (BinaryPrimitives.ReadUInt16LittleEndian(boot.AsSpan(510)) != 0xAA55) Report("The boot sector has no signature 55 AA.");
        if ((volume.Fields.State & 1) != 0) Report("The volume is marked as not cleanly unmounted.");
        if (_g.Kind != FatKind.Fat32) return;
        if (_g.BackupSector != 0)
        {
            var backup = new byte[_g.SectorSize];
            volume.ReadAt((long)_g.BackupSector * _g.SectorSize, backup);
            // The state byte is only kept in the first copy.
            boot[VolumeFields.Fat32Offset + 1] = backup[VolumeFields.Fat32Offset + 1] = 0;
            if (!boot.AsSpan().SequenceEqual(backup)) Report("The boot sector and its backup differ.");
        }

        if (_g.FsInfoSector == 0) return;
        var sector = new byte[_g.SectorSize];
        volume.ReadAt((long)_g.FsInfoSector * _g.SectorSize, sector);
        var info = FsInfo.Read(sector.AsSpan(FsInfo.Offset, FsInfo.Size));
        if (BinaryPrimitives.ReadUInt32LittleEndian(sector) != FsInfo.LeadSignature || info.Signature != FsInfo.GoodSignature)
        {
            Report("The FSInfo sector has no signature.");
            return;
        }

        uint free = 0;
        for (uint c = 2; c < _g.Clusters + 2; c++)
            if (volume.Next(c) == 0) free++;
        if (info.FreeClusters != FsInfo.Unknown && info.FreeClusters != free) Report($"FSInfo counts {info.FreeClusters} free clusters, but there are {free}.");
    }

    private void CheckTables()
    {
        if ((volume.Next(0) & 0xFF) != 0xF8 && (volume.Next(0) & 0xFF) < 0xF0) Report("The first entry of the table does not hold a media byte.");
        for (var copy = 0; copy < _g.FatCount; copy++)
            if (copy != _g.ActiveFat && FirstDifference(copy) is { } at) Report($"Copy {copy + 1} of the table differs from the one in use from cluster {at} on.");
    }

    private long? FirstDifference(int copy)
    {
        var (a, b) = (new byte[65536], new byte[65536]);
        var size = _g.FatSectors * _g.SectorSize;
        for (long at = 0; at < size; at += a.Length)
        {
            var length = (int)Math.Min(a.Length, size - at);
            volume.ReadAt(_g.FatOffset(_g.ActiveFat) + at, a.AsSpan(0, length));
            volume.ReadAt(_g.FatOffset(copy) + at, b.AsSpan(0, length));
            var same = a.AsSpan(0, length).CommonPrefixLength(b.AsSpan(0, length));
            if (same < length) return (at + same) * 8 / (int)_g.Kind;
        }

        return null;
    }

    private void CheckTree()
    {
        var pending = new Queue<(uint Cluster, uint Parent, string Path)>();
        if (_g.RootCluster != 0) Claim(_g.RootCluster, "the root directory", out _);
        pending.Enqueue((0, 0, ""));
        while (pending.Count > 0 && !IsFull)
        {
            var (cluster, parent, path) = pending.Dequeue();
            FatDirectory directory;
            try
            {
                directory = volume.ReadDirectory(cluster, path);
            }
            catch (ImageException e)
            {
                Report(e.Message);
                continue;
            }

            CheckDirectory(directory, cluster, parent, path, pending);
        }
    }

    private void CheckDirectory(FatDirectory directory, uint cluster, uint parent, string path, Queue<(uint, uint, string)> pending)
    {
        var here = path.Length == 0 ? "the root directory" : path;
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var shorts = new HashSet<string>();
        var orphans = 0;
        var dots = 0;
        foreach (var e in directory.Entries(_ => orphans++))
        {
            if (e.IsDot)
            {
                var wanted = FatNames.Shown(e.Entry) == "." ? cluster : parent;
                if (path.Length == 0 || e.Entry.FirstCluster != wanted || !e.Entry.IsDirectory) Report($"{here}: its entry {FatNames.Shown(e.Entry)} points to cluster {e.Entry.FirstCluster}.");
                dots++;
                continue;
            }

            var full = path.Length == 0 ? e.Name : path + "/" + e.Name;
            if (!names.Add(e.Name) || !shorts.Add(e.Entry.ShortName!)) Report($"{full} is there twice.");
            if (e.Entry.ShortName![0] == ' ' || e.Entry.ShortName.Any(c => c < ' ' && c != '\x05')) Report($"{full} has an impossible short name.");
            if (!Claim(e.Entry.FirstCluster, full, out var clusters)) continue;
            if (e.Entry.IsDirectory)
            {
                if (clusters == 0) Report($"Directory {full} has no clusters.");
                else pending.Enqueue((e.Entry.FirstCluster, cluster, full));
                if (e.Entry.FileSize != 0) Report($"Directory {full} claims a size.");
            }
            else if (clusters != _g.ClustersFor(e.Entry.FileSize))
            {
                Report($"{full} has {e.Entry.FileSize} bytes, but its chain has {clusters} clusters of {_g.ClusterSize}.");
            }
        }

        if (path.Length > 0 && dots != 2) Report($"{here} lacks its entries . and ..");
        if (orphans > 0) Report($"{here} holds {orphans} pieces of long names that belong to no file.");
    }

    /// <summary>Marks the clusters of a chain as used; false when the chain is broken or another one has them already.</summary>
    private bool Claim(uint first, string what, out long clusters)
    {
        clusters = 0;
        for (var c = first; c != 0; clusters++)
        {
            if (!_g.IsCluster(c)) return Fail($"{what}: its chain leads to cluster {c}, which does not exist.");
            if (_used[(int)c]) return Fail($"{what}: cluster {c} belongs to another chain too.");
            _used[(int)c] = true;
            var next = volume.Next(c);
            if (next >= _g.EndOfChain)
            {
                clusters++;
                return true;
            }

            if (next == 0) return Fail($"{what}: cluster {c} of its chain is marked as free.");
            if (next == _g.Bad) return Fail($"{what}: its chain leads to a bad cluster.");
            c = next;
        }

        return true;

        bool Fail(string why)
        {
            Report(why);
            return false;
        }
    }

    private void CheckLost()
    {
        long lost = 0;
        for (uint c = 2; c < _g.Clusters + 2; c++)
            if (!_used[(int)c] && volume.Next(c) is var next && next != 0 && next != _g.Bad) lost++;
        if (lost > 0) Report($"{lost} clusters are in use, but belong to no file.");
    }
}
