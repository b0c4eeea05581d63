using System.Runtime.ExceptionServices;

namespace OsBuild.Images.Compression;

/// <summary>The read-only, forward-only side that all decoders share. An error stays: who reads on after it gets it again, never an end.</summary>
internal abstract class DecodingStream : Stream
{
    private ExceptionDispatchInfo? _failure;
    private long _position;

    /// <summary>Gives the next decoded bytes, at least one; 0 only when the input was sound to its last byte.</summary>
    protected abstract int Decode(Span<byte> to);

    public sealed override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        _failure?.Throw();
        try
        {
            var got = Decode(buffer);
            _position += got;
            return got;
        }
        catch (Exception e)
        {
            _failure = ExceptionDispatchInfo.Capture(e);
            throw;
        }
    }

    public sealed override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public sealed override int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return Read(one) == 0 ? -1 : one[0];
    }

    public sealed override bool CanRead => true;

    public sealed override bool CanSeek => false;

    public sealed override bool CanWrite => false;

    public sealed override long Length => throw new NotSupportedException("The decoded length is known only at the end.");

    /// <summary>Bytes decoded so far.</summary>
    public sealed override long Position
    {
        get => _position;
        set => throw new NotSupportedException("A decoder only goes forward.");
    }

    public sealed override void Flush()
    {
    }

    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("A decoder only goes forward.");

    public sealed override void SetLength(long value) => throw new NotSupportedException("A decoder cannot be written.");

    public sealed override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A decoder cannot be written.");
}
