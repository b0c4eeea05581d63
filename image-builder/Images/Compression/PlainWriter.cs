namespace OsBuild.Images.Compression;

/// <summary>Passes bytes on as they are; disposing it leaves the target open, as all encoders do.</summary>
internal sealed class PlainWriter(Stream target) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException("An encoder only goes forward.");

    public override long Position
    {
        get => throw new NotSupportedException("An encoder only goes forward.");
        set => throw new NotSupportedException("An encoder only goes forward.");
    }

    public override void Flush() => target.Flush();

    public override void Write(ReadOnlySpan<byte> buffer) => target.Write(buffer);

    public override void Write(byte[] buffer, int offset, int count) => target.Write(buffer, offset, count);

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("An encoder cannot be read.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("An encoder only goes forward.");

    public override void SetLength(long value) => throw new NotSupportedException("An encoder only goes forward.");
}
