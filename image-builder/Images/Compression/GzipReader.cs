using System.Buffers.Binary;

namespace OsBuild.Images.Compression;

/// <summary>Reads gzip (RFC 1952): one member after the other, each with its CRC-32 and length checked, and nothing behind the last.</summary>
internal sealed class GzipReader(Stream compressed) : DecodingStream
{
    private const string Format = "gzip";
    private const byte HasHeaderCrc = 2, HasExtra = 4, HasName = 8, HasComment = 16, Reserved = 0xE0;

    private readonly InputBuffer _input = new(compressed);
    private Inflater? _inflater;
    private bool _inMember;
    private uint _crc, _length;

    protected override int Decode(Span<byte> to)
    {
        while (true)
        {
            if (!_inMember)
            {
                if (_inflater is not null && _input.AtEnd) return 0;
                ReadHeader();
            }

            var got = _inflater!.Read(to);
            if (got > 0)
            {
                _crc = Crc32Ieee.Append(_crc, to[..got]);
                _length += (uint)got;
                return got;
            }

            var trailer = _input.Take(8, Format);
            if (BinaryPrimitives.ReadUInt32LittleEndian(trailer) != _crc || BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]) != _length)
                throw Damage.Corrupt(Format, "its checksum does not match");
            _inMember = false;
        }
    }

    private void ReadHeader()
    {
        if (_input.Ensure(1) && _input.Bytes[_input.Start] != 0x1F || _input.Ensure(2) && _input.Bytes[_input.Start + 1] != 0x8B)
            throw _inflater is null ? Damage.Corrupt(Format, "it does not begin like gzip") : Damage.Trailing(Format);
        var header = _input.Take(10, Format);
        var crc = Crc32Ieee.Append(0, header);
        var flags = header[3];
        if (header[2] != 8 || (flags & Reserved) != 0) throw Damage.Corrupt(Format, "its header has unknown fields");
        if ((flags & HasExtra) != 0)
        {
            var size = _input.Take(2, Format);
            crc = Crc32Ieee.Append(crc, size);
            crc = Crc32Ieee.Append(crc, _input.Take(BinaryPrimitives.ReadUInt16LittleEndian(size), Format));
        }

        if ((flags & HasName) != 0) SkipText(ref crc);
        if ((flags & HasComment) != 0) SkipText(ref crc);
        if ((flags & HasHeaderCrc) != 0 && BinaryPrimitives.ReadUInt16LittleEndian(_input.Take(2, Format)) != (ushort)crc)
            throw Damage.Corrupt(Format, "its header's checksum does not match");
        (_inflater ??= new Inflater(_input, Format)).Reset();
        _inMember = true;
        _crc = _length = 0;
    }

    private void SkipText(ref uint crc)
    {
        byte last;
        do
        {
            var one = _input.Take(1, Format);
            crc = Crc32Ieee.Append(crc, one);
            last = one[0];
        }
        while (last != 0);
    }
}
