namespace OsBuild.Images.Fat;

/// <summary>Changes entries of the tables. Changes are kept in memory until <see cref="Flush"/> writes them, sector by sector; of each
/// sector the copies nobody reads come first, so that the change counts when the sector in use is written.</summary>
internal sealed class FatTableEditor(Stream stream, FatVolume volume)
{
    private readonly FatGeometry _g = volume.Geometry;
    private readonly SortedDictionary<long, byte[]> _dirty = [];

    /// <summary>The first free clusters, and the number of all that are free.</summary>
    public (List<uint> Found, long Free) FindFree(long wanted)
    {
        var found = new List<uint>();
        long free = 0;
        for (uint c = 2; c < _g.Clusters + 2; c++)
        {
            if (volume.Next(c) != 0) continue;
            free++;
            if (found.Count < wanted) found.Add(c);
        }

        return (found, free);
    }

    /// <summary>Links clusters to a chain that ends after the last.</summary>
    public void Link(IReadOnlyList<uint> clusters)
    {
        for (var i = 0; i < clusters.Count; i++) Set(clusters[i], i + 1 < clusters.Count ? clusters[i + 1] : _g.EndOfChain | 0xF);
    }

    public void Set(uint cluster, uint value)
    {
        var bits = (int)_g.Kind * (long)cluster;
        var at = bits / 8;
        // Entries of 12 bits may lie across two sectors; a window of both makes them ordinary.
        var sector = at / _g.SectorSize;
        var last = (bits + (int)_g.Kind - 1) / 8 / _g.SectorSize;
        var window = new byte[(last - sector + 1) * _g.SectorSize];
        for (var s = sector; s <= last; s++) Sector(s).CopyTo(window, (s - sector) * _g.SectorSize);
        var entry = window.AsSpan((int)(at - (sector * _g.SectorSize)));
        if (_g.Kind == FatKind.Fat12) FatEntries.SetPair(entry, (int)(cluster & 1) * 4, value);
        else FatEntries.Set(entry, 0, _g.Kind, value);
        for (var s = sector; s <= last; s++) window.AsSpan((int)(s - sector) * _g.SectorSize, _g.SectorSize).CopyTo(Sector(s));
    }

    public void Flush()
    {
        foreach (var (sector, bytes) in _dirty)
        {
            for (var i = _g.FatCount - 1; i >= 0; i--)
            {
                var copy = (i + _g.ActiveFat) % _g.FatCount;
                stream.Position = _g.FatOffset(copy) + (sector * _g.SectorSize);
                stream.Write(bytes);
            }
        }

        _dirty.Clear();
        volume.Invalidate();
        stream.Flush();
    }

    private byte[] Sector(long sector)
    {
        if (_dirty.TryGetValue(sector, out var bytes)) return bytes;
        bytes = new byte[_g.SectorSize];
        volume.ReadAt(_g.FatOffset(_g.ActiveFat) + (sector * _g.SectorSize), bytes);
        return _dirty[sector] = bytes;
    }
}
