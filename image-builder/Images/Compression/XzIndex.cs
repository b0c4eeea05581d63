using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>Where a block lies in an .xz file, and what the index tells of it.</summary>
internal readonly record struct XzBlockPlace(long Offset, ulong Unpadded, ulong Unpacked, int Check)
{
    /// <summary>The block with its padding.</summary>
    public long Size => (long)Unpadded + XzFormat.Padding((long)Unpadded);
}

/// <summary>Finds the blocks of an .xz file from its end: footers, indexes and headers of all its streams, each verified.</summary>
internal static class XzIndex
{
    private const int LargestIndex = 16 << 20;

    /// <summary>The blocks in their order; null when the file is not sound or too unusual: reading it front to back tells why.</summary>
    public static List<XzBlockPlace>? TryRead(Stream source, long start)
    {
        var blocks = new List<XzBlockPlace>();
        for (var end = source.Length; end > start;)
        {
            if (end - start < XzFormat.HeaderSize + XzFormat.FooterSize) return null;
            var footer = ReadAt(source, end - XzFormat.FooterSize, XzFormat.FooterSize);
            if (footer.AsSpan(8) is [0, 0, 0, 0])
            {
                end -= 4;
                continue;
            }

            if (!TryReadStream(source, start, end, footer, blocks, out end)) return null;
        }

        blocks.Reverse();
        return blocks;
    }

    /// <summary>Reads the stream that ends at <paramref name="end"/>, its blocks from the last to the first.</summary>
    private static bool TryReadStream(Stream source, long start, long end, byte[] footer, List<XzBlockPlace> blocks, out long streamStart)
    {
        streamStart = 0;
        var indexSize = (BinaryPrimitives.ReadUInt32LittleEndian(footer.AsSpan(4)) + 1L) * 4;
        if (!footer.AsSpan(10).SequenceEqual(XzFormat.FooterMagic)
            || BinaryPrimitives.ReadUInt32LittleEndian(footer) != Crc32Ieee.Append(0, footer.AsSpan(4, 6))
            || indexSize > LargestIndex
            || indexSize > end - start - XzFormat.FooterSize) return false;
        var indexStart = end - XzFormat.FooterSize - indexSize;
        if (!TryReadIndex(ReadAt(source, indexStart, (int)indexSize), out var records)) return false;
        var at = indexStart;
        for (var i = records.Count - 1; i >= 0; i--)
        {
            var block = new XzBlockPlace(0, records[i].Unpadded, records[i].Unpacked, footer[9]);
            if (block.Unpadded is < 5 or > long.MaxValue / 2 || block.Size > at - start) return false;
            at -= block.Size;
            blocks.Add(block with { Offset = at });
        }

        streamStart = at - XzFormat.HeaderSize;
        if (streamStart < start) return false;
        var header = ReadAt(source, streamStart, XzFormat.HeaderSize);
        return header.AsSpan().StartsWith(XzFormat.HeaderMagic)
            && header[6] == 0
            && XzCheck.SizeOf(header[7]) >= 0
            && header.AsSpan(6, 2).SequenceEqual(footer.AsSpan(8, 2))
            && BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)) == Crc32Ieee.Append(0, header.AsSpan(6, 2));
    }

    private static bool TryReadIndex(byte[] index, out List<(ulong Unpadded, ulong Unpacked)> records)
    {
        records = [];
        var body = index.AsSpan(0, index.Length - 4);
        if (BinaryPrimitives.ReadUInt32LittleEndian(index.AsSpan(body.Length)) != Crc32Ieee.Append(0, body) || body[0] != 0) return false;
        var at = 1;
        if (!XzFormat.TryReadNumber(body, ref at, out var count) || count > (ulong)body.Length) return false;
        for (var i = 0ul; i < count; i++)
        {
            if (!XzFormat.TryReadNumber(body, ref at, out var unpadded) || !XzFormat.TryReadNumber(body, ref at, out var unpacked)) return false;
            records.Add((unpadded, unpacked));
        }

        return body.Length - at < 4 && !body[at..].ContainsAnyExcept((byte)0);
    }

    private static byte[] ReadAt(Stream source, long offset, int size)
    {
        var bytes = new byte[size];
        source.Position = offset;
        source.ReadExactly(bytes);
        return bytes;
    }
}
