namespace OsBuild.Images.Streams;

/// <summary>A window of a seekable stream, for example a partition of a disk. Does not own the stream below.</summary>
public sealed class SubStream(Stream below, long offset, long length) : Stream
{
    private long _position;

    /// <inheritdoc/>
    public override bool CanRead => below.CanRead;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => below.CanWrite;

    /// <inheritdoc/>
    public override long Length => length;

    /// <inheritdoc/>
    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    /// <inheritdoc/>
    public override void Flush() => below.Flush();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        var left = Math.Max(0, length - _position);
        if (left < buffer.Length) buffer = buffer[..(int)left];
        if (buffer.IsEmpty) return 0;
        below.Position = offset + _position;
        var got = below.Read(buffer);
        _position += got;
        return got;
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => length + offset,
    };

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException("A window has the length it was opened with.");

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    /// <exception cref="ImageException">The write would leave the window.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (_position + buffer.Length > length)
            throw new ImageException(ImageErrorKind.TooLarge, $"A write of {buffer.Length} bytes at {_position} leaves the {length} bytes that were planned.");
        below.Position = offset + _position;
        below.Write(buffer);
        _position += buffer.Length;
    }
}
