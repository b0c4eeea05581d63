using System.Buffers.Binary;

namespace OsBuild.Images.Copying;

/// <summary>Finds counterfeit media, whose capacity wraps around or drops what is written past the real end: tags at the powers of two and in
/// between are written from the end to the start, then all are read back. What lay past the image is put back.</summary>
public static class CapacityProbe
{
    private const int Tag = 4096;

    /// <summary>Probes. The first bytes of the medium, up to <paramref name="from"/>, are left alone; what lies between there and
    /// <paramref name="keepFrom"/> may be overwritten.</summary>
    /// <returns>The offset from which on nothing is kept, or null when all places keep what they are given.</returns>
    public static long? FirstLost(IMedium medium, long from, long keepFrom, ulong seed)
    {
        var places = Places(medium.Size, from);
        var kept = new byte[places.Count][];
        var buffer = AlignedBuffer.Allocate(Tag).Span;
        long? lost = null;
        for (var i = places.Count - 1; i >= 0; i--)
        {
            medium.Read(places[i], buffer);
            kept[i] = buffer.ToArray();
        }

        for (var i = places.Count - 1; i >= 0; i--)
        {
            Fill(buffer, places[i], seed);
            medium.Write(places[i], buffer);
        }

        medium.Flush();
        medium.DropCaches();
        var expected = new byte[Tag];
        for (var i = 0; i < places.Count; i++)
        {
            Fill(expected, places[i], seed);
            medium.Read(places[i], buffer);
            if (!buffer.SequenceEqual(expected)) lost ??= places[i];
        }

        for (var i = 0; i < places.Count; i++)
        {
            if (lost is not null || places[i] + Tag <= keepFrom) continue;
            kept[i].CopyTo(buffer);
            medium.Write(places[i], buffer);
        }

        return lost;
    }

    /// <summary>Offsets of the tags, rising: around every power of two above the head, and the very end.</summary>
    public static IReadOnlyList<long> Places(long size, long from)
    {
        SortedSet<long> places = [];
        for (var power = 1L << 20; power < size; power <<= 1)
        {
            places.Add(power);
            places.Add(power + (power >> 1));
        }

        places.Add((size / Tag * Tag) - Tag);
        places.RemoveWhere(p => p < from || p + Tag > size);
        return [.. places];
    }

    private static void Fill(Span<byte> tag, long place, ulong seed)
    {
        for (var i = 0; i < tag.Length; i += 8)
            BinaryPrimitives.WriteUInt64LittleEndian(tag[i..], (ulong)(place + i) * 0x9E3779B97F4A7C15 ^ seed);
    }
}
