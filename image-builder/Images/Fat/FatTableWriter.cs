using System.Buffers.Binary;
using OsBuild.Images.Streams;

namespace OsBuild.Images.Fat;

/// <summary>Clusters that follow each other.</summary>
/// <param name="First">First cluster.</param>
/// <param name="Count">How many.</param>
/// <param name="Continues">Cluster where the chain goes on, or 0 when it ends here.</param>
internal readonly record struct ClusterRun(uint First, uint Count, uint Continues = 0)
{
    public uint End => First + Count;
}

/// <summary>Writes the tables of a new file system from its runs, piece by piece, so that memory does not grow with the volume.</summary>
internal sealed class FatTableWriter(Stream target, FatGeometry g)
{
    /// <summary>A whole number of entries of any width, and of sectors.</summary>
    private const int ChunkSize = 3 * 65536;

    private readonly byte[] _chunk = new byte[ChunkSize];
    private readonly int _perChunk = ChunkSize * 8 / (int)g.Kind;

    /// <summary>Writes all copies; the runs must be in ascending order and leave no cluster out.</summary>
    public void Write(IReadOnlyList<ClusterRun> runs)
    {
        // Entry 0 repeats the media byte, entry 1 says that the volume is clean (all bits set).
        Put(0, g.EndOfChain);
        Put(1, g.EndOfChain | 0xF);
        uint next = 2;
        foreach (var run in runs)
        {
            for (var c = run.First; c < run.End; c++, next++)
                Put(c, c + 1 < run.End ? c + 1 : run.Continues != 0 ? run.Continues : g.EndOfChain | 0xF);
        }

        if (next % _perChunk != 0) Flush(next / (uint)_perChunk);
    }

    private void Put(uint entry, uint value)
    {
        FatEntries.Set(_chunk, (int)(entry % _perChunk), g.Kind, value);
        if ((entry + 1) % _perChunk == 0) Flush(entry / (uint)_perChunk);
    }

    private void Flush(uint index)
    {
        var offset = (long)index * ChunkSize;
        var length = (int)Math.Min(ChunkSize, (g.FatSectors * g.SectorSize) - offset);
        for (var copy = 0; copy < g.FatCount; copy++) target.WriteSparse(g.FatOffset(copy) + offset, _chunk.AsSpan(0, length));
        Array.Clear(_chunk);
    }
}

/// <summary>Packed table entries of 12, 16 or 32 bits.</summary>
internal static class FatEntries
{
    public static uint Get(ReadOnlySpan<byte> table, int index, FatKind kind) => kind switch
    {
        FatKind.Fat12 => (uint)((table[index * 3 / 2] | (table[(index * 3 / 2) + 1] << 8)) >> ((index & 1) * 4)) & 0xFFF,
        FatKind.Fat16 => BinaryPrimitives.ReadUInt16LittleEndian(table[(index * 2)..]),
        // The upper four bits are reserved and belong to nobody.
        _ => BinaryPrimitives.ReadUInt32LittleEndian(table[(index * 4)..]) & 0x0FFFFFFF,
    };

    public static void Set(Span<byte> table, int index, FatKind kind, uint value)
    {
        switch (kind)
        {
            case FatKind.Fat12:
                SetPair(table[(index * 3 / 2)..], (index & 1) * 4, value);
                break;
            case FatKind.Fat16:
                BinaryPrimitives.WriteUInt16LittleEndian(table[(index * 2)..], (ushort)value);
                break;
            default:
                var old = BinaryPrimitives.ReadUInt32LittleEndian(table[(index * 4)..]);
                BinaryPrimitives.WriteUInt32LittleEndian(table[(index * 4)..], (old & 0xF0000000) | value);
                break;
        }
    }

    /// <summary>Sets twelve bits of two bytes.</summary>
    /// <param name="pair">The two bytes.</param>
    /// <param name="shift">0 for an even entry, 4 for an odd one.</param>
    /// <param name="value">The entry.</param>
    public static void SetPair(Span<byte> pair, int shift, uint value)
    {
        var both = ((pair[0] | (pair[1] << 8)) & ~(0xFFF << shift)) | ((int)value << shift);
        (pair[0], pair[1]) = ((byte)both, (byte)(both >> 8));
    }
}
