namespace OsBuild.Images.Partitions;

/// <summary>A partition of an MBR disk and the place of its entry.</summary>
/// <param name="Number">1 to 4, or from 5 for logical ones.</param>
/// <param name="Entry">The entry as it stands there.</param>
/// <param name="Start">First sector, from the start of the disk.</param>
/// <param name="RecordLba">Sector of the boot record that holds the entry.</param>
/// <param name="Slot">0 to 3 in that record.</param>
internal sealed record MbrPartition(int Number, MbrEntry Entry, long Start, long RecordLba, int Slot)
{
    public long End => Start + Entry.Sectors;
}

/// <summary>A DOS partition table with its chain of extended boot records.</summary>
internal sealed record MbrTable(BootRecord Record, IReadOnlyList<MbrPartition> Partitions)
{
    /// <summary>Logical partitions we read or make; Linux has 256 numbers for all partitions of a disk.</summary>
    public const int MaxLogical = 124;

    public bool IsProtective => Record.Entries.Any(e => e.Type == MbrEntry.Protective);

    /// <summary>Entries other than the protective one.</summary>
    public bool HasOthers => Record.Entries.Any(e => e.Type != MbrEntry.Protective && !e.IsEmpty);

    /// <summary>Reads the table; null when sector 0 is none: no signature, boot flags that no table has, or a bare FAT volume.</summary>
    /// <exception cref="ImageException">The chain of extended boot records is broken.</exception>
    public static MbrTable? Read(Stream disk, int sectorSize, long diskSize)
    {
        if (DiskBytes.TryRead(disk, 0, sectorSize, diskSize) is not { } sector) return null;
        var record = BootRecord.Read(sector.AsSpan(BootRecord.Offset, BootRecord.Size));
        if (!record.IsSigned || record.Entries.Any(e => e.Status is not (0 or 0x80))) return null;
        if (record.Entries.All(e => e.IsEmpty) && sector[0] is 0xEB or 0xE9) return null;

        var partitions = new List<MbrPartition>();
        for (var slot = 0; slot < 4; slot++)
            if (!record.Entries[slot].IsEmpty) partitions.Add(new MbrPartition(slot + 1, record.Entries[slot], record.Entries[slot].StartLba, 0, slot));
        // Linux follows every extended entry in turn and counts on; so do we.
        foreach (var extended in partitions.Where(p => p.Entry.IsExtended).ToList()) ReadChain(disk, sectorSize, diskSize, extended, partitions);
        return new MbrTable(record, partitions);
    }

    private static void ReadChain(Stream disk, int sectorSize, long diskSize, MbrPartition extended, List<MbrPartition> partitions)
    {
        var lba = extended.Start;
        var seen = new HashSet<long>();
        while (true)
        {
            if (!seen.Add(lba) || seen.Count > MaxLogical) throw Corrupt("The chain of logical partitions runs in a circle or has more than " + MaxLogical + " links");
            var sector = DiskBytes.TryRead(disk, lba * sectorSize, sectorSize, diskSize)
                ?? throw Corrupt($"A boot record of the logical partitions should stand at sector {lba}, past the end of the disk; is the image cut off?");
            var record = BootRecord.Read(sector.AsSpan(BootRecord.Offset, BootRecord.Size));
            if (!record.IsSigned) throw Corrupt($"The boot record of the logical partitions at sector {lba} has no signature");
            var link = default(MbrEntry);
            for (var slot = 0; slot < 2; slot++)
            {
                var e = record.Entries[slot];
                if (e.IsExtended) link = link.IsEmpty ? e : link;
                else if (!e.IsEmpty) partitions.Add(new MbrPartition(NextLogical(partitions), e, lba + e.StartLba, lba, slot));
            }

            if (link.IsEmpty) return;
            lba = extended.Start + link.StartLba;
            if (lba >= extended.End) throw Corrupt($"A boot record of the logical partitions at sector {lba} lies outside the extended partition");
        }
    }

    private static int NextLogical(List<MbrPartition> partitions) => Math.Max(5, partitions.Max(p => p.Number) + 1);

    /// <summary>The table of a plan: every boot record with its sector, those that are pointed to first.</summary>
    public static IReadOnlyList<(long Offset, BootRecord Record)> For(DiskPlan plan)
    {
        var sector = plan.Spec.SectorSize;
        var signature = BitConverter.ToUInt32(plan.Spec.DiskId.ToByteArray());
        var primary = plan.Partitions.Where(p => p.Number < 5).Select(p => EntryOf(p, sector, 0)).ToList();
        if (plan.Extended is not { } extended) return [(0, BootRecord.For(signature, primary))];

        var logical = plan.Partitions.Where(p => p.Number >= 5).ToList();
        var extendedLba = extended.Offset / sector;
        primary.Add(MbrEntry.For(MbrEntry.ExtendedLba, extendedLba, extended.Length / sector));
        var records = new List<(long, BootRecord)>();
        for (var i = logical.Count - 1; i >= 0; i--)
        {
            var at = plan.BootRecordOf(logical[i]);
            List<MbrEntry> entries = [EntryOf(logical[i], sector, at / sector)];
            if (i + 1 < logical.Count)
            {
                var next = plan.BootRecordOf(logical[i + 1]);
                entries.Add(MbrEntry.For(MbrEntry.ExtendedChs, (next / sector) - extendedLba, (logical[i + 1].Range.End - next) / sector, origin: extendedLba));
            }

            records.Add((at, BootRecord.For(0, entries)));
        }

        return [.. records, (0, BootRecord.For(signature, primary))];
    }

    private static MbrEntry EntryOf(PartitionPlan p, int sector, long origin) =>
        MbrEntry.For(p.Spec.MbrType, (p.Offset / sector) - origin, p.Size / sector, p.Spec.Active, origin);

    /// <summary>The record in sector 0 of a GPT disk: one protective entry, or for a hybrid table up to three partitions and then a
    /// protective entry for the sectors before the first of them.</summary>
    public static BootRecord ProtectiveFor(DiskPlan plan)
    {
        var sector = plan.Spec.SectorSize;
        if (plan.Spec.Table == TableKind.Gpt)
            return BootRecord.For(0, [MbrEntry.For(MbrEntry.Protective, 1, Math.Min((plan.Size / sector) - 1, uint.MaxValue))]);
        var named = plan.Partitions.Where(p => p.Spec.MbrType != 0).ToList();
        var first = named.Min(p => p.Offset) / sector;
        return BootRecord.For(BitConverter.ToUInt32(plan.Spec.DiskId.ToByteArray()),
            [.. named.Select(p => EntryOf(p, sector, 0)), MbrEntry.For(MbrEntry.Protective, 1, first - 1)]);
    }

    private static ImageException Corrupt(string what) => new(ImageErrorKind.Corrupt, what + ".");
}
