using OsBuild.Images.Streams;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>A content of which the first bytes were read already, whole again. Owns nothing.</summary>
internal sealed class BehindHead(byte[] head, Stream rest) : Stream, IHoles
{
    private int _given;

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => rest.Length;
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(Span<byte> buffer)
    {
        if (_given == head.Length) return rest.Read(buffer);
        var some = Math.Min(buffer.Length, head.Length - _given);
        head.AsSpan(_given, some).CopyTo(buffer);
        _given += some;
        return some;
    }

    public long SkipHole() => _given == head.Length && rest is IHoles holes ? holes.SkipHole() : 0;

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
