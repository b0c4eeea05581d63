namespace OsBuild.Images.Partitions;

/// <summary>The arithmetic behind <see cref="DiskPlan.For"/>: everything with a fixed place is put down first, then the other
/// partitions go, in table order, to the first aligned place that is free.</summary>
internal sealed class DiskLayout
{
    private const long MiB = 1L << 20;

    private readonly DiskSpec _spec;
    private readonly List<Taken> _taken = [];
    private readonly bool _hasGpt;
    private readonly int _firstLogical;

    public DiskLayout(DiskSpec spec)
    {
        _spec = spec;
        _hasGpt = spec.Table != TableKind.Mbr;
        _firstLogical = !_hasGpt && spec.Partitions.Count > 4 ? 3 : int.MaxValue;
    }

    /// <summary>A piece of the disk and who has it.</summary>
    /// <param name="Name">For messages.</param>
    /// <param name="Range">The bytes.</param>
    /// <param name="Inside">Partition that is allowed to cover it.</param>
    private readonly record struct Taken(string Name, ByteRange Range, string? Inside = null);

    /// <summary>Bytes a GPT takes at the end of the disk: the entries and the header.</summary>
    public static long BackupSize(int sectorSize) => GptTable.EntriesSize + sectorSize;

    public DiskPlan Plan()
    {
        DiskRules.Check(_spec);
        TakeFrontStructures();
        foreach (var r in _spec.Reserved) _taken.Add(new Taken(r.Name, r.Range, r.Inside));
        foreach (var b in _spec.Blobs.Where(b => b.Inside is null)) Take(BlobPlan.For(b));
        TakeFixedPartitions();
        RefuseOverlaps();

        var partitions = Place();
        var blobs = _spec.Blobs.Select(b => BlobPlan.For(b, b.Inside is null ? 0 : partitions.First(p => p.Spec.Name == b.Inside).Offset)).ToList();
        foreach (var b in blobs.Where(b => b.Spec.Inside is not null)) Take(b);
        RefuseOverlaps();
        RefuseLeavingTheirPartition(partitions);

        var extended = ExtendedOf(partitions);
        if (extended is { } e) RefuseInExtended(e);
        var size = DiskSize();
        if (!_hasGpt) RefuseBeyondMbr(partitions.Select(p => (p.Spec.Name, p.Range)));
        else if (_spec.Table == TableKind.Hybrid) RefuseBeyondMbr(partitions.Where(p => p.Spec.MbrType != 0).Select(p => (p.Spec.Name, p.Range)));
        return new DiskPlan { Spec = _spec, Partitions = partitions, Blobs = blobs, Extended = extended, Size = size };
    }

    private void TakeFrontStructures()
    {
        _taken.Add(new Taken("the MBR partition table", new ByteRange(BootRecord.Offset, BootRecord.Size)));
        if (!_hasGpt) return;
        _taken.Add(new Taken("the GPT header", new ByteRange(_spec.SectorSize, _spec.SectorSize)));
        _taken.Add(new Taken("the GPT entries", new ByteRange(_spec.GptEntriesLba * _spec.SectorSize, GptTable.EntriesSize)));
    }

    private void Take(BlobPlan blob)
    {
        foreach (var piece in blob.Pieces) _taken.Add(new Taken($"blob {blob.Spec.Name}", piece.Range, blob.Spec.Inside));
        var start = blob.Pieces.Count > 0 ? blob.Pieces[0].DiskOffset : 0;
        var end = blob.Pieces.Count > 0 ? blob.Pieces[^1].Range.End : 0;
        if (blob.Spec.Inside is null && start < _spec.FirstOffset && end > _spec.FirstOffset)
            throw Overlap($"Blob {blob.Spec.Name} ends at byte {end}, past byte {_spec.FirstOffset} where the first partition may start", "Use a smaller blob or a larger first offset");
    }

    private void TakeFixedPartitions()
    {
        for (var i = 0; i < _spec.Partitions.Count; i++)
        {
            var p = _spec.Partitions[i];
            if (p.Offset is not { } offset) continue;
            _taken.Add(new Taken($"partition {p.Name}", new ByteRange(offset, Rounded(p.Size))));
            if (i < _firstLogical) continue;
            if (offset < _spec.Alignment) throw Overlap($"Partition {p.Name} is a logical one and its boot record would stand before the disk", "Give it a larger offset");
            _taken.Add(new Taken($"the boot record of partition {p.Name}", new ByteRange(offset - _spec.Alignment, _spec.SectorSize)));
        }
    }

    private List<PartitionPlan> Place()
    {
        var cursor = Math.Max(_spec.FirstOffset, _hasGpt ? (_spec.GptEntriesLba * _spec.SectorSize) + GptTable.EntriesSize : _spec.SectorSize);
        var plans = new List<PartitionPlan>();
        for (var i = 0; i < _spec.Partitions.Count; i++)
        {
            var p = _spec.Partitions[i];
            var logical = i >= _firstLogical;
            var size = Rounded(p.Size);
            var offset = p.Offset ?? FreePlace(p.Name, cursor, size, logical ? _spec.Alignment : 0);
            if (p.Offset is null)
            {
                _taken.Add(new Taken($"partition {p.Name}", new ByteRange(offset, size)));
                if (logical) _taken.Add(new Taken($"the boot record of partition {p.Name}", new ByteRange(offset - _spec.Alignment, _spec.SectorSize)));
            }

            if (logical && plans.Count > _firstLogical && offset < plans[^1].Offset)
                throw Overlap($"Logical partitions must follow each other on the disk, but {p.Name} lies before {plans[^1].Spec.Name}", "Change their order or offsets");
            plans.Add(new PartitionPlan(logical ? i + 2 : i + 1, p, offset, size));
            cursor = Math.Max(cursor, offset + size);
        }

        return plans;
    }

    /// <summary>The first aligned offset at or behind <paramref name="from"/> with <paramref name="lead"/> free bytes before it; what is
    /// to lie inside the partition is not in its way.</summary>
    private long FreePlace(string partition, long from, long size, long lead)
    {
        var start = AlignUp(from, _spec.Alignment) + lead;
        // Each turn moves behind one taken piece for good, so there are at most as many turns as pieces.
        while (true)
        {
            var wanted = new ByteRange(start - lead, size + lead);
            var hit = _taken.Where(t => t.Inside != partition && t.Range.Overlaps(wanted)).Select(t => t.Range.End).DefaultIfEmpty(-1).Max();
            if (hit < 0) return start;
            start = AlignUp(hit, _spec.Alignment) + lead;
        }
    }

    private void RefuseOverlaps()
    {
        for (var i = 0; i < _taken.Count; i++)
        for (var j = i + 1; j < _taken.Count; j++)
        {
            var (a, b) = (_taken[i], _taken[j]);
            if (!a.Range.Overlaps(b.Range) || $"partition {a.Inside}" == b.Name || $"partition {b.Inside}" == a.Name) continue;
            throw Overlap($"{Capital(a.Name)} (bytes {a.Range}) and {b.Name} (bytes {b.Range}) overlap", "Move or shrink one of them");
        }
    }

    private void RefuseLeavingTheirPartition(List<PartitionPlan> partitions)
    {
        foreach (var t in _taken.Where(t => t.Inside is not null))
            if (!partitions.First(p => p.Spec.Name == t.Inside).Range.Contains(t.Range))
                throw Overlap($"{Capital(t.Name)} (bytes {t.Range}) does not lie inside partition {t.Inside}", "Enlarge the partition or move it");
    }

    private ByteRange? ExtendedOf(List<PartitionPlan> partitions)
    {
        if (_firstLogical == int.MaxValue) return null;
        var start = partitions[_firstLogical].Offset - _spec.Alignment;
        return new ByteRange(start, partitions[^1].Range.End - start);
    }

    private void RefuseInExtended(ByteRange extended)
    {
        var logical = _spec.Partitions.Skip(_firstLogical).SelectMany(p => new[] { $"partition {p.Name}", $"the boot record of partition {p.Name}" }).ToHashSet();
        foreach (var t in _taken)
            if (t.Range.Overlaps(extended) && !logical.Contains(t.Name) && !logical.Contains($"partition {t.Inside}"))
                throw Overlap($"{Capital(t.Name)} (bytes {t.Range}) and the extended partition (bytes {extended}) overlap", "Move or shrink one of them");
    }

    private long DiskSize()
    {
        var end = Math.Max(_taken.Max(t => t.Range.End), _spec.MinimumSize - (_hasGpt ? BackupSize(_spec.SectorSize) : 0));
        return AlignUp(end + (_hasGpt ? BackupSize(_spec.SectorSize) : 0), MiB);
    }

    private void RefuseBeyondMbr(IEnumerable<(string Name, ByteRange Range)> partitions)
    {
        foreach (var (name, range) in partitions)
            if (range.End / _spec.SectorSize > uint.MaxValue)
                throw new ImageException(ImageErrorKind.TooLarge,
                    $"Partition {name} ends at byte {range.End}; an MBR cannot reach past {(long)uint.MaxValue * _spec.SectorSize}. Use a GPT or a smaller partition.");
    }

    private long Rounded(long size) => AlignUp(size, _spec.SectorSize);

    private static long AlignUp(long value, long unit) => checked((value + unit - 1) / unit * unit);

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static ImageException Overlap(string what, string next) => new(ImageErrorKind.TooLarge, $"{what}. {next}.");
}
