using System.Buffers.Binary;

namespace OsBuild.Images.Fat;

/// <summary>Changes files of an existing FAT file system in place, in whole sectors, so that a power cut at any time leaves the old
/// file or the new one, and every other file as it was. The order of a replacement:
/// <list type="number">
/// <item>FSInfo (a hint) is set to "unknown", so that it never lies;</item>
/// <item>the new content is written to free clusters, and missing directories to theirs;</item>
/// <item>the table links those clusters; nothing points to them yet, a cut here costs free space only;</item>
/// <item>one directory sector switches the entry to the new chain: this write is the change;</item>
/// <item>the table frees the old chain; a cut here again costs free space only;</item>
/// <item>FSInfo gets the right count.</item>
/// </list>
/// The stream is flushed between the steps; give one whose Flush reaches the medium where that matters.</summary>
public sealed class FatEditor
{
    private readonly Stream _stream;
    private readonly FatVolume _volume;
    private readonly FatGeometry _g;
    private readonly FatTableEditor _table;

    /// <summary>Opens the file system that starts at the stream's first byte.</summary>
    /// <exception cref="ImageException">It is not FAT, or damaged.</exception>
    public FatEditor(Stream volume)
    {
        _stream = volume;
        _volume = new FatVolume(volume);
        _g = _volume.Geometry;
        _table = new FatTableEditor(volume, _volume);
    }

    /// <summary>Writes a file, new or over an old one; missing directories are made. Writes nothing when the file has this content.</summary>
    /// <exception cref="ImageException">It does not fit beside the old file, or a name is impossible; nothing was changed.</exception>
    public void WriteFile(string path, ReadOnlySpan<byte> content, long modifiedAt)
    {
        var parts = FatNames.Split(path);
        var time = FatTime.Of(modifiedAt);
        var (directory, depth) = Descend(parts);
        var old = depth == parts.Length - 1 ? directory.Find(parts[^1]) : null;
        if (old is { Entry.IsDirectory: true }) throw new ImageException(ImageErrorKind.Unsupported, $"{path} is a directory; a file cannot take its place.");
        if (old is not null && HasContent(old, path, content)) return;

        var plan = PlanSpace(path, parts, depth, directory, old, content.Length);
        MarkFree(FsInfo.Unknown);
        var free = new Queue<uint>(plan.Clusters);
        List<uint> file = Take(free, _g.ClustersFor(content.Length));
        WriteClusters(file, content);
        _table.Link(file);
        _table.Flush();

        var entry = old?.Entry.With(file.FirstOrDefault(), (uint)content.Length, time);
        if (old is not null) Put(directory.OffsetOf(old.Slot), Bytes(entry!.Value with { Attributes = entry.Value.Attributes | FatAttributes.Archive }));
        else AddPath(parts, depth, directory, file.FirstOrDefault(), (uint)content.Length, time, free);
        _stream.Flush();
        var freed = old is null ? 0 : Free(old.Entry.FirstCluster, path);
        MarkFree((uint)(plan.FreeBefore - plan.Clusters.Count + freed));
    }

    /// <summary>Removes a file or an empty directory; no error when it is not there.</summary>
    /// <exception cref="ImageException">The directory is not empty.</exception>
    public void Delete(string path)
    {
        var parts = FatNames.Split(path);
        var (directory, depth) = Descend(parts);
        if (depth < parts.Length - 1 || directory.Find(parts[^1]) is not { } found) return;
        if (found.Entry.IsDirectory && _volume.ReadDirectory(found.Entry.FirstCluster, path).Entries().Any(e => !e.IsDot))
            throw new ImageException(ImageErrorKind.Unsupported, $"{path} is a directory that is not empty; remove its files first.");
        var (_, free) = _table.FindFree(0);
        MarkFree(FsInfo.Unknown);
        // The short entry goes first: pieces of a long name without it are no file.
        for (var slot = found.Slot; slot >= found.FirstSlot; slot--)
        {
            var bytes = directory.Slot(slot).ToArray();
            bytes[0] = DirectoryEntry.Deleted;
            Put(directory.OffsetOf(slot), bytes);
        }

        _stream.Flush();
        MarkFree((uint)(free + Free(found.Entry.FirstCluster, path)));
    }

    /// <summary>Goes down as far as the path exists.</summary>
    /// <returns>The last directory that is there, and how many parts led to it.</returns>
    private (FatDirectory Directory, int Depth) Descend(string[] parts)
    {
        var at = _volume.ReadDirectory(0, "");
        for (var i = 0; i < parts.Length - 1; i++)
        {
            var path = string.Join('/', parts[..(i + 1)]);
            if (at.Find(parts[i]) is not { } next) return (at, i);
            if (!next.Entry.IsDirectory) throw new ImageException(ImageErrorKind.Unsupported, $"{path} is a file; it cannot hold {parts[i + 1]}.");
            if (next.Entry.FirstCluster == 0) throw new ImageException(ImageErrorKind.Corrupt, $"Directory {path} has no clusters; check the file system first.");
            at = _volume.ReadDirectory(next.Entry.FirstCluster, path);
        }

        return (at, parts.Length - 1);
    }

    private bool HasContent(FatEntry old, string path, ReadOnlySpan<byte> content)
    {
        if (old.Entry.FileSize != content.Length) return false;
        using var stream = new FatFileStream(_stream, _volume, old, path);
        var found = new byte[content.Length];
        stream.ReadExactly(found);
        return content.SequenceEqual(found);
    }

    /// <summary>Finds all clusters that the change needs before anything is written.</summary>
    private (List<uint> Clusters, long FreeBefore) PlanSpace(string path, string[] parts, int depth, FatDirectory directory, FatEntry? old, long size)
    {
        var need = _g.ClustersFor(size);
        if (old is null)
        {
            need += GrowthOf(directory, SlotsOf(parts[depth], directory));
            // Below, every directory is new: it starts with two entries and one more.
            for (var i = depth + 1; i < parts.Length; i++)
                need += _g.ClustersFor((2L + SlotsOf(parts[i], null)) * DirectoryEntry.Size);
        }

        var (clusters, free) = _table.FindFree(need);
        if (clusters.Count < need)
            throw new ImageException(ImageErrorKind.TooLarge,
                $"{path} does not fit: it needs {need * _g.ClusterSize} free bytes beside the old file, short by {(need - free) * _g.ClusterSize}. Delete something first.");
        return (clusters, free);
    }

    private static int SlotsOf(string name, FatDirectory? directory)
    {
        var taken = ShortNames(directory);
        return FatNames.SlotCount(name, FatNames.ShortNameOf(name, taken.Contains).NeedsLong);
    }

    private static HashSet<string> ShortNames(FatDirectory? directory) => directory is null ? [] : [.. directory.Entries().Select(e => e.Entry.ShortName!)];

    /// <summary>Clusters a directory must grow by to take that many slots in a row.</summary>
    private long GrowthOf(FatDirectory directory, int slots)
    {
        var start = FindSlots(directory, slots);
        var missing = start + slots - directory.SlotCount;
        if (missing <= 0) return 0;
        if (directory.FirstCluster == 0)
            throw new ImageException(ImageErrorKind.TooLarge, $"The root directory is full: it has room for {_g.RootEntries} short entries. Put the file into a folder.");
        return _g.ClustersFor((long)missing * DirectoryEntry.Size);
    }

    /// <summary>The first slot of enough free ones in a row; the row may reach past the end.</summary>
    private static int FindSlots(FatDirectory directory, int slots)
    {
        var (start, end) = (0, directory.End);
        for (var i = 0; i < end; i++)
        {
            if (!directory.IsFree(i)) start = i + 1;
            else if (i - start + 1 == slots) return start;
        }

        return start;
    }

    /// <summary>Makes the missing directories from the bottom up, so that the first one to be reachable is complete.</summary>
    private void AddPath(string[] parts, int depth, FatDirectory directory, uint cluster, uint size, FatTime time, Queue<uint> free)
    {
        var attributes = FatAttributes.Archive;
        var chains = parts[(depth + 1)..].Select(name => Take(free, _g.ClustersFor((2L + SlotsOf(name, null)) * DirectoryEntry.Size))).ToList();
        for (var i = parts.Length - 1; i > depth; i--)
        {
            var chain = chains[i - depth - 1];
            var parent = i - 1 > depth ? chains[i - depth - 2][0] : directory.FirstCluster == _g.RootCluster ? 0 : directory.FirstCluster;
            WriteDirectory(chain, parent, parts[i], DirectoryEntry.For("", attributes, cluster, size, time), time);
            (attributes, cluster, size) = (FatAttributes.Directory, chain[0], 0);
        }

        _table.Flush();
        AddEntry(directory, parts[depth], DirectoryEntry.For("", attributes, cluster, size, time), free);
    }

    private void WriteDirectory(List<uint> chain, uint parent, string name, DirectoryEntry entry, FatTime time)
    {
        var (shortName, needsLong) = FatNames.ShortNameOf(name, _ => false);
        var bytes = new byte[chain.Count * _g.ClusterSize];
        DirectoryEntry.For(".".PadRight(11), FatAttributes.Directory, chain[0], 0, time).Write(bytes);
        DirectoryEntry.For("..".PadRight(11), FatAttributes.Directory, parent, 0, time).Write(bytes.AsSpan(DirectoryEntry.Size));
        FatNames.Slots(name, needsLong, entry with { ShortName = shortName }).CopyTo(bytes, 2 * DirectoryEntry.Size);
        WriteClusters(chain, bytes);
        _table.Link(chain);
    }

    private void AddEntry(FatDirectory directory, string name, DirectoryEntry entry, Queue<uint> free)
    {
        var (shortName, needsLong) = FatNames.ShortNameOf(name, ShortNames(directory).Contains);
        var slots = FatNames.Slots(name, needsLong, entry with { ShortName = shortName });
        var count = slots.Length / DirectoryEntry.Size;
        var growth = GrowthOf(directory, count);
        var oldEnd = directory.End;
        if (growth > 0) directory = Grow(directory, Take(free, growth));
        var start = FindSlots(directory, count);
        // Behind the end of a directory there may be rubbish; the slot that becomes the new end must say so before the old end goes.
        var end = start + count;
        if (end > oldEnd && end < directory.SlotCount && directory.Slot(end)[0] != 0) Put(directory.OffsetOf(end), new byte[DirectoryEntry.Size]);
        // The short entry comes last: until it is there, the pieces of its long name are no file. Sector by sector, in that order.
        for (var i = 0; i < count;)
        {
            var offset = directory.OffsetOf(start + i);
            var run = 1;
            while (i + run < count && (offset / _g.SectorSize) == (directory.OffsetOf(start + i + run) / _g.SectorSize)) run++;
            Put(offset, slots.AsSpan(i * DirectoryEntry.Size, run * DirectoryEntry.Size));
            i += run;
        }
    }

    /// <summary>Adds zeroed clusters to a directory; one table entry makes them part of it.</summary>
    private FatDirectory Grow(FatDirectory directory, List<uint> more)
    {
        WriteClusters(more, new byte[more.Count * _g.ClusterSize]);
        _table.Link(more);
        _table.Flush();
        _table.Set(directory.Runs[^1].End - 1, more[0]);
        _table.Flush();
        return _volume.ReadDirectory(directory.FirstCluster, "");
    }

    private static List<uint> Take(Queue<uint> free, long count)
    {
        var taken = new List<uint>();
        for (; count > 0; count--) taken.Add(free.Dequeue());
        return taken;
    }

    private void WriteClusters(List<uint> clusters, ReadOnlySpan<byte> content)
    {
        var padded = new byte[_g.ClusterSize];
        for (var i = 0; i < clusters.Count; i++)
        {
            var piece = content[(i * _g.ClusterSize)..Math.Min(content.Length, (i + 1) * _g.ClusterSize)];
            piece.CopyTo(padded);
            padded.AsSpan(piece.Length).Clear();
            _stream.Position = _g.ClusterOffset(clusters[i]);
            _stream.Write(padded);
        }

        _stream.Flush();
    }

    /// <summary>Frees a chain and gives the number of its clusters.</summary>
    private long Free(uint first, string path)
    {
        long count = 0;
        foreach (var run in _volume.Chain(first, path, _g.Clusters))
        {
            for (var c = run.First; c < run.End; c++) _table.Set(c, 0);
            count += run.Count;
        }

        _table.Flush();
        return count;
    }

    private void MarkFree(uint count)
    {
        if (_g.FsInfoSector == 0) return;
        var sector = new byte[_g.SectorSize];
        var offset = (long)_g.FsInfoSector * _g.SectorSize;
        _volume.ReadAt(offset, sector);
        var info = FsInfo.Read(sector.AsSpan(FsInfo.Offset, FsInfo.Size));
        if (BinaryPrimitives.ReadUInt32LittleEndian(sector) != FsInfo.LeadSignature || info.Signature != FsInfo.GoodSignature) return;
        (info with { FreeClusters = count }).Write(sector.AsSpan(FsInfo.Offset, FsInfo.Size));
        _stream.Position = offset;
        _stream.Write(sector);
        _stream.Flush();
    }

    private static byte[] Bytes(DirectoryEntry entry)
    {
        var bytes = new byte[DirectoryEntry.Size];
        entry.Write(bytes);
        return bytes;
    }

    /// <summary>Changes a part of one sector, and writes that sector whole.</summary>
    private void Put(long offset, ReadOnlySpan<byte> bytes)
    {
        var sector = new byte[_g.SectorSize];
        var start = offset / _g.SectorSize * _g.SectorSize;
        _volume.ReadAt(start, sector);
        bytes.CopyTo(sector.AsSpan((int)(offset - start)));
        _stream.Position = start;
        _stream.Write(sector);
    }
}
