using OsBuild.Images.Partitions;

namespace OsBuild.ImageBuilder.Boards;

/// <summary>From a board to the disk that <see cref="DiskPlan"/> lays out. Pure.</summary>
internal static class BoardDisk
{
    /// <summary>The board's disk; <paramref name="id"/> gives the unique id of a partition by name.</summary>
    public static DiskSpec Spec(Board board, Guid diskId, Func<string, Guid> id) => new()
    {
        Table = board.Table.Kind,
        DiskId = diskId,
        SectorSize = board.Table.SectorSize,
        Alignment = board.Table.Alignment,
        FirstOffset = board.Table.FirstOffset,
        GptEntriesLba = board.Table.EntriesLba,
        Partitions =
        [
            .. board.Partitions.Select(p => new PartitionSpec
            {
                Name = p.Name,
                Size = p.Size,
                Type = p.GptType,
                Id = p.Id ?? id(p.Name),
                Attributes = p.Active && board.Table.Kind != TableKind.Mbr ? LegacyBoot : 0,
                MbrType = p.MbrType,
                Active = p.Active,
                Offset = p.Offset,
            }),
        ],
    };

    /// <summary>UEFI 2.10 table 5.8, bit 2: legacy BIOS bootable. U-Boot's distro boot takes it as "look here".</summary>
    private const ulong LegacyBoot = 1UL << 2;
}
