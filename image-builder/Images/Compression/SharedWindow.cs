namespace OsBuild.Images.Compression;

/// <summary>A part of a seekable source that several threads read at once, each through a window of its own.</summary>
internal sealed class SharedWindow(Stream source) : Stream
{
    private long _at, _end;

    /// <summary>Moves the window.</summary>
    public void Show(long offset, long length) => (_at, _end) = (offset, offset + length);

    public override int Read(Span<byte> buffer)
    {
        if (_end - _at < buffer.Length) buffer = buffer[..(int)(_end - _at)];
        if (buffer.IsEmpty) return 0;
        lock (source)
        {
            source.Position = _at;
            var got = source.Read(buffer);
            _at += got;
            return got;
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException("A window is read front to back.");

    public override long Position
    {
        get => _at;
        set => throw new NotSupportedException("A window is read front to back.");
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("A window is read front to back.");

    public override void SetLength(long value) => throw new NotSupportedException("A window is only read.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A window is only read.");
}
