namespace OsBuild.Images.Partitions;

/// <summary>Grows the last partition of a disk. Both methods work out the whole table as it should be and give those of its pieces
/// that the disk does not hold yet; that is what makes them safe to repeat after a cut.</summary>
internal static class TableGrowth
{
    /// <summary>New ends are rounded down to this, so that the file system inside ends on a whole block of any size.</summary>
    private const long EndAlignment = 1L << 20;

    /// <summary>2 TiB, also on disks with sectors of 4096 bytes: there an MBR could name 16 TiB, but libblkid 2.38 counts in 32 bits of
    /// 512 bytes and then sees another size than the kernel.</summary>
    private const long MbrLimit = uint.MaxValue * 512L;

    /// <summary>The order keeps one sound copy at all times: the copy that was read stays whole until the other one is complete.</summary>
    public static IReadOnlyList<DiskWrite> OfGpt(Stream disk, GptTable gpt, MbrTable mbr, long diskSize, int sectorSize)
    {
        var entriesSectors = gpt.EntriesSectors(sectorSize);
        var backupLba = (diskSize / sectorSize) - 1;
        var backupEntries = backupLba - entriesSectors;
        var (number, last) = gpt.Entries.Where(e => e.Entry.LastLba >= e.Entry.FirstLba).MaxBy(e => e.Entry.LastLba);
        if (number == 0) throw new ImageException(ImageErrorKind.Corrupt, "The GPT names no partition that could grow.");
        if (last.LastLba >= (ulong)backupEntries)
            throw new ImageException(ImageErrorKind.TooLarge,
                $"Partition {number} ends at sector {last.LastLba}, but a disk of {diskSize} bytes has room for partitions only up to sector {backupEntries - 1}.");

        var end = (ulong)(backupEntries * sectorSize / EndAlignment * EndAlignment / sectorSize);
        var grown = end > last.LastLba + 1 ? last with { LastLba = end - 1 } : last;
        var entries = gpt.EntryBytes.ToArray();
        grown.Write(entries.AsSpan((number - 1) * (int)gpt.Header.EntrySize, GptEntry.Size));
        var primary = new GptTable(gpt.Header with
        {
            MyLba = 1,
            AlternateLba = (ulong)backupLba,
            LastUsableLba = (ulong)backupEntries - 1,
            EntriesLba = PrimaryEntriesLba(gpt, entriesSectors),
            EntriesCrc = Crc32.Of(entries),
        }, entries, IsBackup: false);
        var backup = primary.Twin((ulong)backupEntries);
        var order = gpt.IsBackup ? primary.Bytes(sectorSize).Concat(backup.Bytes(sectorSize)) : backup.Bytes(sectorSize).Concat(primary.Bytes(sectorSize));
        return
        [
            .. order.SelectMany(w => DiskBytes.IfDifferent(disk, w.Offset, w.Bytes, diskSize)),
            .. RecordWrite(disk, 0, ProtectiveFor(mbr.Record, grown, diskSize / sectorSize), sectorSize, diskSize),
        ];
    }

    /// <summary>Where the primary entries stand. A backup header does not say; but they end where the usable sectors start, both in
    /// the tables we make and in those of sgdisk and genimage.</summary>
    private static ulong PrimaryEntriesLba(GptTable gpt, long entriesSectors) =>
        gpt.IsBackup ? Math.Max(2, gpt.Header.FirstUsableLba - (ulong)entriesSectors) : gpt.Header.EntriesLba;

    private static BootRecord ProtectiveFor(BootRecord record, GptEntry grown, long diskSectors)
    {
        var pure = record.Entries.Count(e => !e.IsEmpty) == 1;
        for (var i = 0; i < 4; i++)
        {
            var e = record.Entries[i];
            if (e.Type == MbrEntry.Protective && pure)
                record = record.With(i, MbrEntry.For(MbrEntry.Protective, 1, Math.Min(diskSectors - 1, uint.MaxValue)));
            else if (e.Type != MbrEntry.Protective && !e.IsEmpty && e.StartLba == grown.FirstLba)
                record = record.With(i, MbrEntry.For(e.Type, e.StartLba, Math.Min((long)(grown.LastLba - grown.FirstLba + 1), uint.MaxValue - e.StartLba), e.Status == 0x80));
        }

        return record;
    }

    /// <summary>A logical partition needs its container grown before it, and the link to its boot record names its size too.</summary>
    public static IReadOnlyList<DiskWrite> OfMbr(Stream disk, MbrTable mbr, long diskSize, int sectorSize)
    {
        var last = mbr.Partitions.Where(p => !p.Entry.IsExtended).MaxBy(p => p.End)
            ?? throw new ImageException(ImageErrorKind.Corrupt, "The partition table names no partition that could grow.");
        if (mbr.Partitions.Max(p => p.End) > diskSize / sectorSize)
            throw new ImageException(ImageErrorKind.TooLarge, $"The partitions end at sector {mbr.Partitions.Max(p => p.End)}, past the end of a disk of {diskSize} bytes.");
        var newEnd = Math.Min(diskSize, MbrLimit) / EndAlignment * EndAlignment / sectorSize;
        newEnd = Math.Max(newEnd, last.End);
        if (last.Number < 5) return [.. RecordWrite(disk, 0, mbr.Record.With(last.Slot, To(last, newEnd)), sectorSize, diskSize)];

        var extended = mbr.Partitions.First(p => p.Entry.IsExtended && p.Start <= last.RecordLba && last.RecordLba < p.End);
        List<DiskWrite> writes = [.. RecordWrite(disk, 0, mbr.Record.With(extended.Slot, To(extended, Math.Max(newEnd, extended.End))), sectorSize, diskSize)];
        foreach (var lba in mbr.Partitions.Where(p => p.Number >= 5).Select(p => p.RecordLba).Append(extended.Start).Distinct())
            if (lba != last.RecordLba) writes.AddRange(LinkWrite(disk, lba, extended.Start, last, newEnd, sectorSize, diskSize));
        writes.AddRange(RecordWrite(disk, last.RecordLba, RecordAt(disk, last.RecordLba, sectorSize, diskSize).With(last.Slot, To(last, newEnd)), sectorSize, diskSize));
        return writes;
    }

    /// <summary>The write of a boot record that links to the grown partition's own one.</summary>
    private static IEnumerable<DiskWrite> LinkWrite(Stream disk, long lba, long extendedLba, MbrPartition last, long newEnd, int sectorSize, long diskSize)
    {
        var record = RecordAt(disk, lba, sectorSize, diskSize);
        for (var slot = 0; slot < 2; slot++)
        {
            var e = record.Entries[slot];
            if (e.IsExtended && extendedLba + e.StartLba == last.RecordLba)
                record = record.With(slot, MbrEntry.For(e.Type, e.StartLba, newEnd - last.RecordLba, origin: extendedLba));
        }

        return RecordWrite(disk, lba, record, sectorSize, diskSize);
    }

    private static MbrEntry To(MbrPartition p, long end) => MbrEntry.For(p.Entry.Type, p.Entry.StartLba, end - p.Start, p.Entry.Status == 0x80, p.Start - p.Entry.StartLba);

    private static BootRecord RecordAt(Stream disk, long lba, int sectorSize, long diskSize) =>
        BootRecord.Read(DiskBytes.TryRead(disk, lba * sectorSize, sectorSize, diskSize).AsSpan(BootRecord.Offset, BootRecord.Size));

    /// <summary>A whole sector, because a sector is what a disk writes or does not write; its boot code stays as it is.</summary>
    private static IEnumerable<DiskWrite> RecordWrite(Stream disk, long lba, BootRecord record, int sectorSize, long diskSize)
    {
        var sector = DiskBytes.TryRead(disk, lba * sectorSize, sectorSize, diskSize)!;
        record.Write(sector.AsSpan(BootRecord.Offset, BootRecord.Size));
        return DiskBytes.IfDifferent(disk, lba * sectorSize, sector, diskSize);
    }
}
