using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace OsBuild.Images.Ext4;

/// <summary>CRC-32C as ext4 uses it: no inversion at the end, and each kind of record continues from a seed of its own.</summary>
internal static class Crc32C
{
    public const uint Initial = uint.MaxValue;

    public static uint Add(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (var value in bytes) crc = BitOperations.Crc32C(crc, value);
        return crc;
    }

    public static uint Add(uint crc, uint value) =>
        BitOperations.Crc32C(crc, BitConverter.IsLittleEndian ? value : BinaryPrimitives.ReverseEndianness(value));

    /// <summary>Seed of everything in a file system, from its UUID.</summary>
    public static uint FileSystemSeed(Guid uuid)
    {
        Span<byte> bytes = stackalloc byte[16];
        uuid.TryWriteBytes(bytes, bigEndian: true, out _);
        return Add(Initial, bytes);
    }

    /// <summary>Seed of an inode and of the blocks that belong to it.</summary>
    public static uint InodeSeed(uint fileSystemSeed, uint inode, uint generation) => Add(Add(fileSystemSeed, inode), generation);

    /// <summary>Sum of a record in which the sum itself counts as zeros.</summary>
    public static uint AddWithout(uint crc, ReadOnlySpan<byte> bytes, int at, int length)
    {
        ReadOnlySpan<byte> zeros = stackalloc byte[8];
        crc = Add(crc, bytes[..at]);
        crc = Add(crc, zeros[..length]);
        return Add(crc, bytes[(at + length)..]);
    }
}
