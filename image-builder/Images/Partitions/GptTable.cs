using System.Numerics;

namespace OsBuild.Images.Partitions;

/// <summary>One copy of a GUID partition table: its header and the bytes of its entries.</summary>
internal sealed record GptTable(GptHeader Header, byte[] EntryBytes, bool IsBackup)
{
    /// <summary>Entries of the tables we make: the least that UEFI allows.</summary>
    public const int EntryCount = 128;

    /// <summary>Bytes of the entries of the tables we make.</summary>
    public const int EntriesSize = EntryCount * 128;

    /// <summary>The largest entry array we read; the largest seen in the wild is 16 KiB.</summary>
    private const long MaxEntriesSize = 1 << 20;

    public IEnumerable<(int Number, GptEntry Entry)> Entries
    {
        get
        {
            for (var i = 0; i < Header.EntryCount; i++)
            {
                var entry = GptEntry.Read(EntryBytes.AsSpan((int)(i * Header.EntrySize), GptEntry.Size));
                if (!entry.IsEmpty) yield return (i + 1, entry);
            }
        }
    }

    public long EntriesSectors(int sectorSize) => (EntryBytes.Length + sectorSize - 1) / sectorSize;

    /// <summary>The copy that counts: the primary one, or the backup when the primary is damaged; null when both are.</summary>
    public static GptTable? Find(Stream disk, int sectorSize, long diskSize)
    {
        if (At(disk, 1, sectorSize, diskSize) is { } primary) return primary;
        if (At(disk, (diskSize / sectorSize) - 1, sectorSize, diskSize) is { } atEnd) return atEnd;
        // The disk may be larger than the image that was written to it; then only the primary header knows where the backup is.
        return HeaderAt(disk, 1, sectorSize, diskSize) is { } header && header.AlternateLba < long.MaxValue / 8192
            ? At(disk, (long)header.AlternateLba, sectorSize, diskSize)
            : null;
    }

    /// <summary>A sound copy whose header stands at the given sector, or null.</summary>
    private static GptTable? At(Stream disk, long lba, int sectorSize, long diskSize)
    {
        if (HeaderAt(disk, lba, sectorSize, diskSize) is not { } h) return null;
        if (h.EntrySize < GptEntry.Size || !BitOperations.IsPow2(h.EntrySize) || h.EntryCount == 0) return null;
        var size = (long)h.EntryCount * h.EntrySize;
        if (size > MaxEntriesSize || h.EntriesLba > (ulong)(diskSize / sectorSize) || h.FirstUsableLba > h.LastUsableLba) return null;
        var entries = DiskBytes.TryRead(disk, (long)h.EntriesLba * sectorSize, (int)size, diskSize);
        return entries is not null && Crc32.Of(entries) == h.EntriesCrc ? new GptTable(h, entries, lba != 1) : null;
    }

    /// <summary>A header with a good checksum at the given sector, or null; says nothing about its entries.</summary>
    private static GptHeader? HeaderAt(Stream disk, long lba, int sectorSize, long diskSize)
    {
        var sector = lba < 1 ? null : DiskBytes.TryRead(disk, lba * sectorSize, sectorSize, diskSize);
        if (sector is null) return null;
        var h = GptHeader.Read(sector);
        if (h.Signature != GptHeader.GoodSignature || h.HeaderSize < GptHeader.Size || h.HeaderSize > sectorSize || h.MyLba != (ulong)lba) return null;
        sector.AsSpan(0x10, 4).Clear();
        return Crc32.Of(sector.AsSpan(0, (int)h.HeaderSize)) == h.HeaderCrc ? h : null;
    }

    /// <summary>The table of a plan, as its primary copy.</summary>
    public static GptTable For(DiskPlan plan)
    {
        var sector = plan.Spec.SectorSize;
        var entries = new byte[EntriesSize];
        foreach (var p in plan.Partitions)
            new GptEntry
            {
                Type = p.Spec.Type,
                Id = p.Spec.Id,
                FirstLba = (ulong)(p.Offset / sector),
                LastLba = (ulong)((p.Offset + p.Size) / sector) - 1,
                Attributes = p.Spec.Attributes,
                RawName = p.Spec.Name,
            }.Write(entries.AsSpan((p.Number - 1) * GptEntry.Size, GptEntry.Size));
        var entriesSectors = EntriesSize / sector;
        var header = new GptHeader
        {
            Signature = GptHeader.GoodSignature,
            Revision = GptHeader.Revision1,
            HeaderSize = (uint)GptHeader.Size,
            MyLba = 1,
            AlternateLba = (ulong)(plan.Size / sector) - 1,
            FirstUsableLba = (ulong)(plan.Spec.GptEntriesLba + entriesSectors),
            LastUsableLba = (ulong)((plan.Size / sector) - 2 - entriesSectors),
            DiskId = plan.Spec.DiskId,
            EntriesLba = (ulong)plan.Spec.GptEntriesLba,
            EntryCount = EntryCount,
            EntrySize = (uint)GptEntry.Size,
            EntriesCrc = Crc32.Of(entries),
        };
        return new GptTable(header, entries, IsBackup: false);
    }

    /// <summary>The same table as the other copy, whose header stands at <see cref="GptHeader.AlternateLba"/>.</summary>
    /// <param name="entriesLba">Where that copy's entries stand.</param>
    public GptTable Twin(ulong entriesLba) => this with
    {
        Header = Header with { MyLba = Header.AlternateLba, AlternateLba = Header.MyLba, EntriesLba = entriesLba },
        IsBackup = !IsBackup,
    };

    /// <summary>Entries first, then the header that vouches for them: until the header is there, the other copy counts.</summary>
    public IReadOnlyList<(long Offset, byte[] Bytes)> Bytes(int sectorSize)
    {
        var entries = new byte[EntriesSectors(sectorSize) * sectorSize];
        EntryBytes.CopyTo(entries, 0);
        return [((long)Header.EntriesLba * sectorSize, entries), ((long)Header.MyLba * sectorSize, Header.ToSector(sectorSize))];
    }
}
