namespace OsBuild.Images.Compression;

/// <summary>Reads bzip2: stream after stream, with the checksum of every block and every stream verified.</summary>
internal sealed class Bzip2Reader(Stream compressed) : DecodingStream
{
    private const string Format = "bzip2";
    private const ulong BlockMagic = 0x314159265359, EndMagic = 0x177245385090;

    private readonly InputBuffer _input = new(compressed);
    private Bzip2Block? _block;
    private bool _inStream, _any;
    private uint _streamCrc;

    protected override int Decode(Span<byte> to)
    {
        while (true)
        {
            if (_block is { IsOpen: true } block)
            {
                var got = block.Read(to);
                if (got > 0) return got;
                _streamCrc = (_streamCrc << 1 | _streamCrc >> 31) ^ block.Crc;
            }

            if (!_inStream)
            {
                if (_any && _input.AtEnd) return 0;
                BeginStream();
            }

            BeginBlock();
        }
    }

    private void BeginStream()
    {
        for (var i = 0; i < 3; i++)
            if (_input.Ensure(i + 1) && _input.Available[i] != "BZh"u8[i])
                throw _any ? Damage.Trailing(Format) : Damage.Corrupt(Format, "it does not begin like bzip2");
        var level = _input.Take(4, Format)[3] - '0';
        if (level is < 1 or > 9) throw Damage.Corrupt(Format, "its header tells an impossible block size");
        if (_block is null || _block.Capacity < level * 100_000) _block = new Bzip2Block(_input, level * 100_000);
        _block.Limit = level * 100_000;
        _block.Bits.Reset();
        _inStream = true;
        _any = true;
        _streamCrc = 0;
    }

    private void BeginBlock()
    {
        var bits = _block!.Bits;
        var magic = (ulong)bits.Take(24) << 24 | bits.Take(24);
        if (magic == BlockMagic)
        {
            _block.Begin();
            return;
        }

        if (magic != EndMagic) throw Damage.Corrupt(Format, "a block does not begin where it should");
        if ((bits.Take(16) << 16 | bits.Take(16)) != _streamCrc) throw Damage.Corrupt(Format, "its checksum does not match");
        _inStream = false;
    }
}
