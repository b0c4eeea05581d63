namespace OsBuild.Images.Compression;

/// <summary>Decodes LZMA2: chunks that are stored or LZMA-coded, over one dictionary.</summary>
internal sealed class Lzma2Decoder(InputBuffer input, long dictionarySize, int windowSize, string format)
{
    private const int LongestChunk = 1 << 16;

    private readonly LzmaDecoder _lzma = new(dictionarySize, windowSize, format);
    private readonly byte[] _chunk = new byte[LongestChunk + LzmaDecoder.Slack];
    private bool _needsDictionary = true, _needsProperties = true, _needsState = true;
    private bool _stored;
    private int _left;

    public long DictionarySize => dictionarySize;

    /// <summary>True when the end marker was read.</summary>
    public bool Ended { get; private set; }

    /// <summary>Begins a new LZMA2 stream.</summary>
    public void Reset()
    {
        _needsDictionary = _needsProperties = _needsState = true;
        _left = 0;
        Ended = false;
    }

    /// <summary>Gives the next decoded bytes, straight from the window; empty at the end.</summary>
    public ArraySegment<byte> Read(int atMost)
    {
        while (_left == 0)
        {
            if (Ended) return ArraySegment<byte>.Empty;
            BeginChunk();
        }

        var some = Math.Min(_left, atMost);
        ArraySegment<byte> got;
        if (_stored)
        {
            if (input.AtEnd) throw Damage.Torn(format);
            some = Math.Min(some, input.End - input.Start);
            got = _lzma.Store(input.Bytes.AsSpan(input.Start, some));
            input.Start += got.Count;
        }
        else
        {
            got = _lzma.Decode(some);
        }

        _left -= got.Count;
        if (_left == 0 && !_stored) _lzma.EndChunk();
        return got;
    }

    private void BeginChunk()
    {
        var control = input.Take(1, format)[0];
        if (control == 0)
        {
            Ended = true;
            return;
        }

        if (control is > 2 and < 0x80) throw Damage.Corrupt(format, "an impossible chunk");
        _stored = control < 0x80;
        var resetsDictionary = _stored ? control == 1 : control >= 0xE0;
        if (resetsDictionary)
        {
            _lzma.ResetDictionary();
            _needsDictionary = false;
            // A new dictionary needs new properties before the next coded chunk.
            _needsProperties = true;
        }
        else if (_needsDictionary)
        {
            throw Damage.Corrupt(format, "a chunk without a dictionary");
        }

        var sizes = input.Take(_stored ? 2 : 4, format);
        _left = 1 + (sizes[0] << 8 | sizes[1]) + (_stored ? 0 : (control & 0x1F) << 16);
        if (_stored) return;
        var packed = 1 + (sizes[2] << 8 | sizes[3]);
        BeginCoded(control, packed);
    }

    private void BeginCoded(int control, int packed)
    {
        if (control >= 0xC0)
        {
            if (!_lzma.TrySetProperties(input.Take(1, format)[0])) throw Damage.Corrupt(format, "impossible LZMA properties");
            _needsProperties = _needsState = false;
        }
        else if (_needsProperties)
        {
            throw Damage.Corrupt(format, "a chunk without properties");
        }
        else if (control >= 0xA0)
        {
            _lzma.ResetState();
            _needsState = false;
        }
        else if (_needsState)
        {
            throw Damage.Corrupt(format, "a chunk without a state");
        }

        input.Take(_chunk.AsSpan(0, packed), format);
        _lzma.BeginChunk(_chunk, packed);
    }
}
