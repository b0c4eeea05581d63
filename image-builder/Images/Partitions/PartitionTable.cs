namespace OsBuild.Images.Partitions;

/// <summary>A piece of a disk to be written.</summary>
/// <param name="Offset">Offset in bytes.</param>
/// <param name="Bytes">What goes there.</param>
public readonly record struct DiskWrite(long Offset, ReadOnlyMemory<byte> Bytes);

/// <summary>A partition as a table on a disk names it.</summary>
/// <param name="Number">Number as the kernel counts it.</param>
/// <param name="Name">GPT name, or the empty string.</param>
/// <param name="Type">GPT type GUID, or <c>0x0c</c> for an MBR type.</param>
/// <param name="Id">PARTUUID as the kernel prints it.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Size">Length in bytes.</param>
public sealed record PartitionEntry(int Number, string Name, string Type, string Id, long Offset, long Size)
{
    /// <summary>GPT attribute bits; 0 on MBR.</summary>
    public ulong Attributes { get; init; }

    /// <summary>MBR boot flag.</summary>
    public bool Active { get; init; }
}

/// <summary>Partition tables: written from a plan, read from a disk, grown to a larger disk.</summary>
public sealed record PartitionTable
{
    /// <summary>The table's kind.</summary>
    public required TableKind Kind { get; init; }

    /// <summary>Sector size in bytes.</summary>
    public required int SectorSize { get; init; }

    /// <summary>Disk GUID, or the MBR's disk signature in eight hex digits.</summary>
    public string DiskId { get; init; } = "";

    /// <summary>The partitions in the order of their numbers; the extended partition itself is not one of them.</summary>
    public required IReadOnlyList<PartitionEntry> Partitions { get; init; }

    /// <summary>True when the primary GPT is damaged and its backup was read instead.</summary>
    public bool FromBackup { get; init; }

    /// <summary>The writes that put a plan's table onto a disk, in the order they must be made. Boot code (bytes 0 to 439 of a boot
    /// record) is never part of them.</summary>
    public static IReadOnlyList<DiskWrite> Writes(DiskPlan plan)
    {
        if (plan.Spec.Table == TableKind.Mbr)
            return [.. MbrTable.For(plan).Select(r => new DiskWrite(r.Offset + BootRecord.Offset, Bytes(r.Record)))];
        var sector = plan.Spec.SectorSize;
        var primary = GptTable.For(plan);
        var backup = primary.Twin(primary.Header.LastUsableLba + 1);
        return
        [
            .. backup.Bytes(sector).Concat(primary.Bytes(sector)).Select(w => new DiskWrite(w.Offset, w.Bytes)),
            new DiskWrite(BootRecord.Offset, Bytes(MbrTable.ProtectiveFor(plan))),
        ];

        static byte[] Bytes(BootRecord record)
        {
            var bytes = new byte[BootRecord.Size];
            record.Write(bytes);
            return bytes;
        }
    }

    /// <summary>Reads the table of a disk; null when there is none. A torn primary GPT is read from its backup.</summary>
    /// <param name="disk">A seekable stream of the disk.</param>
    /// <param name="sectorSize">512 or 4096.</param>
    /// <param name="diskSize">Size of the disk in bytes, for streams that do not know their length (block devices); 0 asks the stream.</param>
    /// <exception cref="ImageException">The table is corrupt.</exception>
    public static PartitionTable? Read(Stream disk, int sectorSize = 512, long diskSize = 0)
    {
        if (diskSize <= 0) diskSize = disk.Length;
        var mbr = MbrTable.Read(disk, sectorSize, diskSize);
        if (mbr is null) return null;
        if (!mbr.IsProtective) return FromMbr(mbr, sectorSize, diskSize);
        var gpt = GptTable.Find(disk, sectorSize, diskSize)
            ?? throw new ImageException(ImageErrorKind.Corrupt, $"The disk is marked as GPT, but neither its primary nor its backup table is sound with sectors of {sectorSize} bytes.");
        return FromGpt(gpt, mbr, sectorSize, diskSize);
    }

    /// <summary>The writes that grow the last partition to the end of a disk of <paramref name="diskSize"/> bytes and move the backup
    /// GPT there; none when it already reaches the end. Make them in order and flush each: whatever happens in between, the disk keeps
    /// a table that <see cref="Read"/> accepts, and running this again gives the rest.</summary>
    /// <exception cref="ImageException">The table is corrupt, missing, or larger than the disk.</exception>
    public static IReadOnlyList<DiskWrite> Grow(Stream disk, long diskSize, int sectorSize = 512)
    {
        var mbr = MbrTable.Read(disk, sectorSize, diskSize)
            ?? throw new ImageException(ImageErrorKind.Corrupt, "The disk has no partition table to grow.");
        if (!mbr.IsProtective) return TableGrowth.OfMbr(disk, mbr, diskSize, sectorSize);
        var gpt = GptTable.Find(disk, sectorSize, diskSize)
            ?? throw new ImageException(ImageErrorKind.Corrupt, "The GPT and its backup are both damaged; the partition cannot be grown.");
        return TableGrowth.OfGpt(disk, gpt, mbr, diskSize, sectorSize);
    }

    private static PartitionTable FromMbr(MbrTable mbr, int sectorSize, long diskSize)
    {
        var id = mbr.Record.DiskSignature.ToString("x8");
        var partitions = mbr.Partitions.Where(p => !p.Entry.IsExtended).OrderBy(p => p.Number).Select(p =>
            new PartitionEntry(p.Number, "", $"0x{p.Entry.Type:x2}", $"{id}-{p.Number:x2}", p.Start * sectorSize, p.Entry.Sectors * (long)sectorSize)
            {
                Active = p.Entry.Status == 0x80,
            }).ToList();
        foreach (var p in partitions) RefusePastEnd(p.Number, p.Offset + p.Size, diskSize);
        return new PartitionTable { Kind = TableKind.Mbr, SectorSize = sectorSize, DiskId = id, Partitions = partitions };
    }

    private static PartitionTable FromGpt(GptTable gpt, MbrTable mbr, int sectorSize, long diskSize)
    {
        var partitions = new List<PartitionEntry>();
        foreach (var (number, e) in gpt.Entries)
        {
            if (e.FirstLba > e.LastLba || e.FirstLba < 1 || e.LastLba > long.MaxValue / 8192)
                throw new ImageException(ImageErrorKind.Corrupt, $"Partition {number} goes from sector {e.FirstLba} to {e.LastLba}, which is no range.");
            var size = (long)(e.LastLba - e.FirstLba + 1) * sectorSize;
            RefusePastEnd(number, ((long)e.FirstLba * sectorSize) + size, diskSize);
            partitions.Add(new PartitionEntry(number, e.Name, e.Type.ToString(), e.Id.ToString(), (long)e.FirstLba * sectorSize, size) { Attributes = e.Attributes });
        }

        return new PartitionTable
        {
            Kind = mbr.HasOthers ? TableKind.Hybrid : TableKind.Gpt,
            SectorSize = sectorSize,
            DiskId = gpt.Header.DiskId.ToString(),
            Partitions = partitions,
            FromBackup = gpt.IsBackup,
        };
    }

    private static void RefusePastEnd(int number, long end, long diskSize)
    {
        if (end > diskSize)
            throw new ImageException(ImageErrorKind.Corrupt, $"Partition {number} ends at byte {end}, but the disk has only {diskSize}; is the image cut off?");
    }
}
