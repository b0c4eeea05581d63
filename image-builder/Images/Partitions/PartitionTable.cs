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
public sealed record PartitionEntry(int Number, string Name, string Type, string Id, long Offset, long Size);

/// <summary>Partition tables: written from a plan, read from a disk, grown to a larger disk.</summary>
public sealed record PartitionTable
{
    /// <summary>The table's kind.</summary>
    public required TableKind Kind { get; init; }

    /// <summary>Sector size in bytes.</summary>
    public required int SectorSize { get; init; }

    /// <summary>The partitions in the order of their numbers.</summary>
    public required IReadOnlyList<PartitionEntry> Partitions { get; init; }

    /// <summary>The writes that put a plan's table onto a disk, in the order they must be made.</summary>
    public static IReadOnlyList<DiskWrite> Writes(DiskPlan plan) => throw new NotImplementedException();

    /// <summary>Reads the table of a disk; null when there is none. A torn primary GPT is read from its backup.</summary>
    /// <exception cref="ImageException">The table is corrupt.</exception>
    public static PartitionTable? Read(Stream disk, int sectorSize = 512) => throw new NotImplementedException();

    /// <summary>The writes that grow the last partition to the end of a disk of <paramref name="diskSize"/> bytes and move the backup
    /// GPT there; none when it already reaches the end. Safe to cut between any two: run again, it gives the rest.</summary>
    public static IReadOnlyList<DiskWrite> Grow(Stream disk, long diskSize, int sectorSize = 512) => throw new NotImplementedException();
}
