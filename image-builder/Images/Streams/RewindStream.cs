namespace OsBuild.Images.Streams;

/// <summary>Reads anywhere in a stream that only goes forward, such as a decoder: what was asked for is kept, what was passed over is not.
/// Made for readers that look at little and mostly go forward; going back to something not kept starts from the front again.</summary>
public sealed class RewindStream(Func<Stream> open) : Stream
{
    private const int Block = 4096;

    private readonly Dictionary<long, byte[]> _kept = [];
    private readonly byte[] _passing = new byte[64 << 10];
    private Stream? _stream;
    private long _at;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException("The length is known only at the end.");

    /// <inheritdoc/>
    public override long Position { get; set; }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        var block = BlockAt(Position / Block);
        var from = (int)(Position % Block);
        var got = Math.Max(0, Math.Min(buffer.Length, block.Length - from));
        block.AsSpan(Math.Min(from, block.Length), got).CopyTo(buffer);
        Position += got;
        return got;
    }

    private byte[] BlockAt(long number)
    {
        if (_kept.TryGetValue(number, out var block)) return block;
        if (_stream is null || number * Block < _at)
        {
            _stream?.Dispose();
            (_stream, _at) = (open(), 0);
        }

        while (_at < number * Block)
        {
            var got = _stream.Read(_passing.AsSpan(0, (int)Math.Min(_passing.Length, (number * Block) - _at)));
            if (got == 0) return [];
            _at += got;
        }

        block = new byte[Block];
        var filled = _stream.ReadAtLeast(block, Block, throwOnEndOfStream: false);
        _at += filled;
        return _kept[number] = filled == Block ? block : block[..filled];
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => Position + offset,
        _ => throw new NotSupportedException("The length is known only at the end."),
    };

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException("A source is only read.");

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A source is only read.");

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _stream?.Dispose();
        base.Dispose(disposing);
    }
}
