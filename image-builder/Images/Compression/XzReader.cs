using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>Reads .xz from front to back: streams with their padding, blocks with their checks, and the index compared with what was read.</summary>
internal sealed class XzReader(Stream compressed) : DecodingStream
{
    private readonly InputBuffer _input = new(compressed);
    private readonly List<(ulong Unpadded, ulong Unpacked)> _blocks = [];
    private readonly byte[] _flags = new byte[2];
    private XzBlockReader? _block;
    private Lzma2Decoder? _decoder;
    private bool _inStream, _any;

    protected override int Decode(Span<byte> to)
    {
        while (true)
        {
            if (!_inStream && !BeginStream()) return 0;
            if (_block is null && !BeginBlock())
            {
                EndStream();
                continue;
            }

            var got = _block!.Read(to.Length);
            got.AsSpan().CopyTo(to);
            if (got.Count > 0) return got.Count;
            _blocks.Add(_block.Sizes);
            _block.Dispose();
            _block = null;
        }
    }

    private bool BeginStream()
    {
        if (_any)
        {
            // Stream padding (§2.2): zeros in fours.
            while (_input.Ensure(4) && _input.Available[..4] is [0, 0, 0, 0]) _input.Start += 4;
            if (_input.AtEnd) return false;
        }

        for (var i = 0; i < XzFormat.HeaderMagic.Length; i++)
            if (_input.Ensure(i + 1) && _input.Available[i] != XzFormat.HeaderMagic[i])
                throw _any ? Damage.Trailing(XzFormat.Name) : Damage.Corrupt(XzFormat.Name, "it does not begin like xz");
        var header = _input.Take(XzFormat.HeaderSize, XzFormat.Name);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != Crc32Ieee.Append(0, header.Slice(6, 2))) throw Bad("its header's checksum does not match");
        if (header[6] != 0 || header[7] > 15) throw Damage.Unsupported(XzFormat.Name, "stream flags of a later version");
        if (XzCheck.SizeOf(header[7]) < 0) throw Damage.Unsupported(XzFormat.Name, $"the integrity check {header[7]}");
        header.Slice(6, 2).CopyTo(_flags);
        _blocks.Clear();
        return _inStream = _any = true;
    }

    private static ImageException Bad(string what) => Damage.Corrupt(XzFormat.Name, what);

    /// <summary>Begins the next block; false where the index begins.</summary>
    private bool BeginBlock()
    {
        if (!_input.Ensure(1)) throw Damage.Torn(XzFormat.Name);
        if (_input.Available[0] == 0) return false;
        _block = new XzBlockReader(_input, _flags[1], used: _decoder);
        _decoder = _block.Decoder;
        return true;
    }

    private void EndStream()
    {
        var start = _input.Taken;
        uint crc = 0;
        TakeIndexBytes(1, ref crc);
        if (IndexNumber(ref crc) != (ulong)_blocks.Count) throw Bad("the index tells another number of blocks");
        foreach (var (unpadded, unpacked) in _blocks)
            if (IndexNumber(ref crc) != unpadded || IndexNumber(ref crc) != unpacked)
                throw Bad("the index tells other sizes than the blocks have");
        var padding = XzFormat.Padding(_input.Taken - start);
        if (TakeIndexBytes(padding, ref crc).ContainsAnyExcept((byte)0)) throw Bad("the index's padding is not empty");
        if (BinaryPrimitives.ReadUInt32LittleEndian(_input.Take(4, XzFormat.Name)) != crc) throw Bad("the index's checksum does not match");
        var size = _input.Taken - start;
        var footer = _input.Take(XzFormat.FooterSize, XzFormat.Name);
        if (!footer[10..].SequenceEqual(XzFormat.FooterMagic)) throw Bad("it does not end like xz");
        if (BinaryPrimitives.ReadUInt32LittleEndian(footer) != Crc32Ieee.Append(0, footer[4..10])) throw Bad("its footer's checksum does not match");
        if ((BinaryPrimitives.ReadUInt32LittleEndian(footer[4..]) + 1L) * 4 != size) throw Bad("its footer tells another size of the index");
        if (!footer[8..10].SequenceEqual(_flags)) throw Bad("its footer does not agree with its header");
        _inStream = false;
    }

    private ReadOnlySpan<byte> TakeIndexBytes(int count, ref uint crc)
    {
        var bytes = _input.Take(count, XzFormat.Name);
        crc = Crc32Ieee.Append(crc, bytes);
        return bytes;
    }

    private ulong IndexNumber(ref uint crc)
    {
        _input.Ensure(9);
        var at = 0;
        var available = _input.Available;
        if (!XzFormat.TryReadNumber(available[..Math.Min(9, available.Length)], ref at, out var value))
            throw available.Length < 9 ? Damage.Torn(XzFormat.Name) : Bad("a number in the index is impossible");
        TakeIndexBytes(at, ref crc);
        return value;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _block?.Dispose();
        base.Dispose(disposing);
    }
}
