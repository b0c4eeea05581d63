using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>From a board to the disk that <see cref="DiskPlan"/> lays out. Pure.</summary>
internal static class BoardDisk
{
    /// <summary>UEFI 2.10 table 5.8, bit 2: legacy BIOS bootable. U-Boot's distro boot takes it as "look here".</summary>
    private const ulong LegacyBoot = 1UL << 2;

    /// <summary>The board's disk: partitions, and the places its U-Boot's environment needs. <paramref name="id"/> gives the unique id of a
    /// partition by name; <paramref name="firmware"/> are the blobs of the board that were found, with the sizes of their files.</summary>
    public static DiskSpec Spec(Board board, Guid diskId, Func<string, Guid> id, IEnumerable<(Blob Blob, string Name, long FileSize)>? firmware = null) => new()
    {
        Table = board.Table.Kind,
        DiskId = diskId,
        SectorSize = board.Table.SectorSize,
        Alignment = board.Table.Alignment,
        FirstOffset = board.Table.FirstOffset,
        GptEntriesLba = board.Table.EntriesLba,
        Partitions = [.. board.Partitions.Select(p => Partition(board, p, id))],
        Blobs = [.. (firmware ?? []).Where(f => f.Blob.Place is not BlobPlace.InBootFile).Select(f => Blob(f.Blob, f.Name, f.FileSize))],
        Reserved = [.. (board.Boot.Environment?.Ranges ?? []).Select(r => new ReservedSpec("U-Boot's environment", r, Holder(board, r)))],
    };

    private static PartitionSpec Partition(Board board, BoardPartition p, Func<string, Guid> id) => new()
    {
        Name = p.Name,
        Size = p.Size,
        Type = p.GptType,
        Id = p.Id ?? id(p.Name),
        Attributes = p.Active && board.Table.Kind != TableKind.Mbr ? LegacyBoot : 0,
        MbrType = p.MbrType,
        Active = p.Active,
        Offset = p.Offset,
    };

    private static BlobSpec Blob(Blob blob, string name, long size) => blob.Place switch
    {
        BlobPlace.AtOffset at => new()
        {
            Name = name,
            Offset = at.Offset,
            FileSize = size,
            Skip = at.Skip,
            Length = at.Length,
            Preserve = at.Preserve,
            MaxSize = blob.MaxSize,
        },
        BlobPlace.InPartition p => new() { Name = name, Offset = 0, FileSize = size, MaxSize = blob.MaxSize, Inside = p.Partition },
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    /// <summary>The reserved partition at a fixed place that a range lies in, or null.</summary>
    private static string? Holder(Board board, ByteRange range) =>
        board.Partitions.FirstOrDefault(p => p is { Role: PartitionRole.Reserved, Offset: { } o } && new ByteRange(o, p.Size).Contains(range))?.Name;
}
