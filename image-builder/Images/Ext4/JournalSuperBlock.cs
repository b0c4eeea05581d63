using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>The first block of a journal (journal_superblock_t of jbd2, big-endian). Kernels add their features at the first mount.</summary>
internal static class JournalSuperBlock
{
    private const uint Magic = 0xC03B3998;
    private const uint SecondVersion = 4;

    /// <summary>A journal with nothing to replay: its start is 0. What an older journal left on the same blocks of a card must never
    /// look like a part of this one, so its UUID, from which its sums start, and its first transaction come from the file system's UUID.</summary>
    public static byte[] Empty(uint blocks, Guid uuid)
    {
        var bytes = new byte[1024];
        WriteUInt32BigEndian(bytes, Magic);
        WriteUInt32BigEndian(bytes.AsSpan(0x04), SecondVersion);
        WriteUInt32BigEndian(bytes.AsSpan(0x0C), Ext4Layout.BlockSize);
        WriteUInt32BigEndian(bytes.AsSpan(0x10), blocks);
        WriteUInt32BigEndian(bytes.AsSpan(0x14), 1); // s_first: the block behind this one
        WriteUInt32BigEndian(bytes.AsSpan(0x18), 1 + (Crc32C.FileSystemSeed(uuid) >> 2)); // s_sequence: the first transaction to come
        uuid.TryWriteBytes(bytes.AsSpan(0x30), bigEndian: true, out _);
        WriteUInt32BigEndian(bytes.AsSpan(0x40), 1); // s_nr_users
        return bytes;
    }
}
