using OsBuild.Images.Compression;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Reads the source and its metadata blocks; keeps the latest decoded ones.</summary>
internal sealed class MetadataReader(Stream source, SuperBlock super, BlockDecoder decoder)
{
    private const string Format = "squashfs";
    private const int Kept = 256;

    private readonly Dictionary<long, (byte[] Bytes, long Next)> _blocks = [];

    public SuperBlock Super => super;

    /// <summary>Reads bytes at a place that must lie inside of the file system.</summary>
    public byte[] ReadRaw(long at, int count)
    {
        if (at < 0 || at > (long)super.BytesUsed - count) throw Damage.Corrupt(Format, "something is said to lie behind its end");
        var bytes = new byte[count];
        lock (source)
        {
            source.Position = at;
            if (source.ReadAtLeast(bytes, count, throwOnEndOfStream: false) < count) throw Damage.Torn(Format);
        }

        return bytes;
    }

    /// <summary>A data block or fragment as its size field tells it.</summary>
    public int ReadBlock(long at, uint field, Span<byte> to)
    {
        var size = (int)(field & (SquashFsFormat.BlockStored - 1));
        if (size > super.BlockSize || (field & SquashFsFormat.BlockStored) != 0 && size > to.Length) throw Damage.Corrupt(Format, "a block is longer than it may be");
        var bytes = ReadRaw(at, size);
        if ((field & SquashFsFormat.BlockStored) == 0) return decoder.Decode(bytes, to);
        bytes.CopyTo(to);
        return size;
    }

    /// <summary>The decoded metadata block at a place, and where the next one begins.</summary>
    public (byte[] Bytes, long Next) Block(long at)
    {
        if (_blocks.TryGetValue(at, out var known)) return known;
        var header = ReadUInt16LittleEndian(ReadRaw(at, 2));
        var size = header & ~SquashFsFormat.MetadataStored;
        if (size is 0 or > SquashFsFormat.MetadataSize) throw Damage.Corrupt(Format, "a metadata block has an impossible size");
        var bytes = ReadRaw(at + 2, size);
        if ((header & SquashFsFormat.MetadataStored) == 0)
        {
            var room = new byte[SquashFsFormat.MetadataSize];
            bytes = room[..decoder.Decode(bytes, room)];
        }

        if (_blocks.Count >= Kept) _blocks.Clear();
        return _blocks[at] = (bytes, at + 2 + size);
    }

    /// <summary>A cursor into a table that begins at <paramref name="table"/>.</summary>
    public MetadataCursor At(ulong table, ulong block, int offset)
    {
        if (block > super.BytesUsed || table > super.BytesUsed) throw Damage.Corrupt(Format, "something is said to lie behind its end");
        return new MetadataCursor(this, (long)(table + block), offset);
    }

    /// <summary>The entry of a table that is found over a list of its blocks (ids, fragments, attributes).</summary>
    public MetadataCursor Entry(ulong list, long index, int size)
    {
        var position = index * size;
        var pointer = ReadUInt64LittleEndian(ReadRaw((long)list + position / SquashFsFormat.MetadataSize * 8, 8));
        return At(0, pointer, (int)(position % SquashFsFormat.MetadataSize));
    }
}

/// <summary>Reads on through the blocks of a table.</summary>
internal sealed class MetadataCursor(MetadataReader reader, long block, int offset)
{
    private long _block = block;
    private int _offset = offset;

    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var (decoded, next) = reader.Block(_block);
            if (_offset > decoded.Length) throw Damage.Corrupt("squashfs", "something is said to lie behind the end of its metadata block");
            var some = Math.Min(count - done, decoded.Length - _offset);
            decoded.AsSpan(_offset, some).CopyTo(bytes.AsSpan(done));
            done += some;
            _offset += some;
            if (_offset < decoded.Length || done == count) continue;
            _block = next;
            _offset = 0;
        }

        return bytes;
    }

    public ushort U16() => ReadUInt16LittleEndian(Bytes(2));

    public uint U32() => ReadUInt32LittleEndian(Bytes(4));

    public ulong U64() => ReadUInt64LittleEndian(Bytes(8));
}
