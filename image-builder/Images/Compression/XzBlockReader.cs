namespace OsBuild.Images.Compression;

/// <summary>Decodes one block (§3) from where the input stands.</summary>
internal sealed class XzBlockReader : IDisposable
{
    private readonly InputBuffer _input;
    private readonly XzBlockHeader _header;
    private readonly Lzma2Decoder _decoder;
    private readonly XzCheck _check;
    private readonly long _start;
    private long _unpacked;

    /// <summary>Reads the block header.</summary>
    /// <param name="input">Stands at the block.</param>
    /// <param name="check">The stream's check.</param>
    /// <param name="window">Bytes that stay where they are until as many more were decoded, when more than the dictionary.</param>
    /// <param name="used">The decoder of an earlier block of the same input, taken over when its dictionary is large enough.</param>
    public XzBlockReader(InputBuffer input, int check, int window = 0, Lzma2Decoder? used = null)
    {
        _input = input;
        var start = input.Taken;
        if (!input.Ensure(1)) throw Damage.Torn(XzFormat.Name);
        _header = XzBlockHeader.Read(input.Take((input.Available[0] + 1) * 4, XzFormat.Name));
        _start = start + _header.Size;
        _check = new XzCheck(check);
        _decoder = used is not null && used.DictionarySize >= DictionaryFor(_header) ? used : new Lzma2Decoder(input, DictionaryFor(_header), window, XzFormat.Name);
        _decoder.Reset();
    }

    // A block that tells its size needs no larger dictionary.
    private static long DictionaryFor(XzBlockHeader header) =>
        (long)Math.Min((ulong)header.DictionarySize, Math.Max(header.Unpacked ?? ulong.MaxValue, 4096));

    public Lzma2Decoder Decoder => _decoder;

    /// <summary>Size of the block without its padding, and of its content, once it was read whole: what the index must repeat.</summary>
    public (ulong Unpadded, ulong Unpacked) Sizes { get; private set; }

    /// <summary>Gives the next decoded bytes; empty at the end, when check and sizes were right.</summary>
    public ArraySegment<byte> Read(int atMost)
    {
        var got = _decoder.Read(atMost);
        if (got.Count == 0)
        {
            Finish();
            return got;
        }

        _check.Append(got);
        _unpacked += got.Count;
        return got;
    }

    private void Finish()
    {
        var packed = (ulong)(_input.Taken - _start);
        if (_header.Packed is { } p && p != packed || _header.Unpacked is { } u && u != (ulong)_unpacked)
            throw Damage.Corrupt(XzFormat.Name, "a block has another size than it tells");
        if (_input.Take(XzFormat.Padding((long)packed), XzFormat.Name).ContainsAnyExcept((byte)0))
            throw Damage.Corrupt(XzFormat.Name, "a block's padding is not empty");
        Span<byte> check = stackalloc byte[_check.Size];
        _check.Finish(check);
        if (!_input.Take(_check.Size, XzFormat.Name).SequenceEqual(check)) throw Damage.Corrupt(XzFormat.Name, "a block's checksum does not match");
        Sizes = ((ulong)_header.Size + packed + (ulong)_check.Size, (ulong)_unpacked);
    }

    public void Dispose() => _check.Dispose();
}
