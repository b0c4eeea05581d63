using System.Buffers.Binary;

namespace OsBuild.Flasher.Drives;

/// <summary>The ids of a disk's partitions (PARTUUID), in the order of their numbers, for finding the one a boot loader names.
/// Deliberately forgiving: a torn table gives fewer ids, never a failure.</summary>
internal static class PartitionIds
{
    /// <summary>Bytes of the disk that <see cref="Of"/> wants to see.</summary>
    public const int Window = 64 << 10;

    /// <summary>Number and id of each partition in an MBR (four primary ones) or a GPT.</summary>
    public static IEnumerable<(int Number, string Id)> Of(byte[] head, int sectorSize)
    {
        if (head.Length >= sectorSize + 92 && head.AsSpan(sectorSize, 8).SequenceEqual("EFI PART"u8)) return OfGpt(head, sectorSize);
        return head.Length >= 512 && head[510] == 0x55 && head[511] == 0xaa ? OfMbr(head) : [];
    }

    private static IEnumerable<(int Number, string Id)> OfMbr(byte[] head)
    {
        var disk = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(440));
        for (var i = 0; i < 4; i++)
            if (head[446 + (16 * i) + 4] != 0) yield return (i + 1, $"{disk:x8}-{i + 1:x2}");
    }

    private static IEnumerable<(int Number, string Id)> OfGpt(byte[] head, int sectorSize)
    {
        var entries = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(sectorSize + 72)) * sectorSize;
        var count = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(sectorSize + 80));
        var size = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(sectorSize + 84));
        if (size < 128) yield break;
        for (uint i = 0; i < Math.Min(count, 1024); i++)
        {
            var at = entries + (i * size);
            if (at < 0 || at + 32 > head.Length) yield break;
            var entry = head.AsSpan((int)at, 32);
            if (entry[..16].IndexOfAnyExcept((byte)0) >= 0) yield return ((int)i + 1, new Guid(entry[16..32]).ToString());
        }
    }
}
