namespace OsBuild.Images.Partitions;

/// <summary>The kinds of partition tables.</summary>
public enum TableKind
{
    /// <summary>GUID partition table with a protective MBR (UEFI 2.10 §5).</summary>
    Gpt,

    /// <summary>DOS table; partitions past the third go into an extended partition when there are more than four.</summary>
    Mbr,

    /// <summary>GPT with an MBR that also names up to three partitions (those with an <see cref="PartitionSpec.MbrType"/>), for
    /// firmware that reads only the MBR.</summary>
    Hybrid,
}

/// <summary>A partition to be made, before its place is known.</summary>
public sealed record PartitionSpec
{
    /// <summary>GPT name (at most 36 UTF-16 units); information only on MBR. No two partitions may share one.</summary>
    public required string Name { get; init; }

    /// <summary>Size in bytes; rounded up to whole sectors.</summary>
    public required long Size { get; init; }

    /// <summary>GPT type.</summary>
    public Guid Type { get; init; }

    /// <summary>GPT unique id (PARTUUID).</summary>
    public Guid Id { get; init; }

    /// <summary>GPT attribute bits (UEFI 2.10 table 5.8).</summary>
    public ulong Attributes { get; init; }

    /// <summary>MBR type byte.</summary>
    public byte MbrType { get; init; }

    /// <summary>MBR active flag.</summary>
    public bool Active { get; init; }

    /// <summary>Fixed offset in bytes from the start of the disk, or null for the next free place.</summary>
    public long? Offset { get; init; }
}

/// <summary>A disk to be laid out.</summary>
public sealed record DiskSpec
{
    /// <summary>The table's kind.</summary>
    public required TableKind Table { get; init; }

    /// <summary>Disk GUID (GPT); the first four bytes are the MBR's disk signature.</summary>
    public required Guid DiskId { get; init; }

    /// <summary>Sector size in bytes: 512 or 4096.</summary>
    public int SectorSize { get; init; } = 512;

    /// <summary>Alignment of partitions in bytes.</summary>
    public long Alignment { get; init; } = 4L << 20;

    /// <summary>No partition without a fixed offset starts before this one, in bytes.</summary>
    public long FirstOffset { get; init; }

    /// <summary>First sector of the GPT entry array; 2 unless a boot ROM needs that place.</summary>
    public long GptEntriesLba { get; init; } = 2;

    /// <summary>The disk is at least this large, in bytes.</summary>
    public long MinimumSize { get; init; }

    /// <summary>The partitions in table order.</summary>
    public required IReadOnlyList<PartitionSpec> Partitions { get; init; }

    /// <summary>Files that stand outside every file system, for example firmware that a boot ROM reads.</summary>
    public IReadOnlyList<BlobSpec> Blobs { get; init; } = [];

    /// <summary>Places that must stay free, for example a U-Boot environment.</summary>
    public IReadOnlyList<ReservedSpec> Reserved { get; init; } = [];
}

/// <summary>A partition in its place.</summary>
/// <param name="Number">Number as the kernel counts it: from 1; logical MBR partitions from 5.</param>
/// <param name="Spec">What was asked for.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Size">Length in bytes.</param>
public sealed record PartitionPlan(int Number, PartitionSpec Spec, long Offset, long Size)
{
    /// <summary>The bytes the partition covers.</summary>
    public ByteRange Range => new(Offset, Size);
}

/// <summary>A whole disk: the table and every partition with its place. Pure data.</summary>
public sealed record DiskPlan
{
    /// <summary>What was asked for.</summary>
    public required DiskSpec Spec { get; init; }

    /// <summary>The partitions in table order.</summary>
    public required IReadOnlyList<PartitionPlan> Partitions { get; init; }

    /// <summary>Where every blob goes, in the order of the spec.</summary>
    public IReadOnlyList<BlobPlan> Blobs { get; init; } = [];

    /// <summary>The extended partition of an MBR disk with more than four partitions.</summary>
    public ByteRange? Extended { get; init; }

    /// <summary>Size of the disk in bytes, backup table included.</summary>
    public required long Size { get; init; }

    /// <summary>Lays out a disk: aligned, in order, nothing overlapping, as small as the content allows (rounded up to 1 MiB).</summary>
    /// <exception cref="ImageException">Two things would overlap or the table cannot hold them; the message names both.</exception>
    public static DiskPlan For(DiskSpec spec) => new DiskLayout(spec).Plan();

    /// <summary>Where the boot record of a logical partition stands: one alignment unit before the partition.</summary>
    internal long BootRecordOf(PartitionPlan logical) => logical.Offset - Spec.Alignment;
}
