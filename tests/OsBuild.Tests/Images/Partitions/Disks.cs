using OsBuild.Images.Partitions;

namespace OsBuild.Tests.Images.Partitions;

/// <summary>Disks that many tests start from.</summary>
internal static class Disks
{
    public const long MiB = 1L << 20;
    public const long GiB = 1L << 30;

    public static readonly Guid DiskId = new("12345678-9abc-4def-8123-456789abcdef");
    public static readonly Guid Esp = new("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    public static readonly Guid Linux = new("0fc63daf-8483-4772-8e79-3d69d8477de4");

    public static PartitionSpec Part(string name, long size, byte mbr = 0x83, long? offset = null) => new()
    {
        Name = name,
        Size = size,
        Type = name == "boot" ? Esp : Linux,
        Id = new Guid(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name)).AsSpan(0, 16)),
        MbrType = mbr,
        Active = name == "boot",
        Offset = offset,
    };

    /// <summary>boot, root-a, root-b, state, data.</summary>
    public static DiskSpec Five(TableKind kind, int sectorSize = 512) => new()
    {
        Table = kind,
        DiskId = DiskId,
        SectorSize = sectorSize,
        Partitions =
        [
            Part("boot", 64 * MiB, 0x0c), Part("root-a", 100 * MiB, kind == TableKind.Hybrid ? (byte)0 : (byte)0x83), Part("root-b", 100 * MiB, kind == TableKind.Hybrid ? (byte)0 : (byte)0x83),
            Part("state", 16 * MiB, kind == TableKind.Hybrid ? (byte)0 : (byte)0x83), Part("data", 32 * MiB, kind == TableKind.Hybrid ? (byte)0 : (byte)0x83),
        ],
    };

    public static SparseStream Written(DiskPlan plan)
    {
        var disk = new SparseStream(plan.Size);
        foreach (var w in PartitionTable.Writes(plan)) disk.Apply(w.Offset, w.Bytes.Span);
        return disk;
    }
}
