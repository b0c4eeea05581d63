namespace OsBuild.Images.Cpio;

/// <summary>The content of one entry of a stream that cannot go back.</summary>
internal sealed class EntryStream(Stream below, long length) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (buffer.Length > length - _position) buffer = buffer[..(int)(length - _position)];
        if (buffer.IsEmpty) return 0;
        var got = below.Read(buffer);
        if (got == 0) throw new ImageException(ImageErrorKind.Corrupt, "The cpio archive is damaged: it ends inside a file.");
        _position += got;
        return got;
    }

    /// <summary>Reads what nobody wanted, so that the next entry can follow.</summary>
    public void Drain()
    {
        var buffer = new byte[64 * 1024];
        while (Read(buffer) > 0)
        {
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
