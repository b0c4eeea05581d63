using System.Security.Cryptography;
using OsBuild.Images;

namespace OsBuild.Flasher.Sources;

/// <summary>Checks the SHA-256 of what passes through when it ends: for sources that cannot be read twice.</summary>
internal sealed class DigestStream(Stream below, byte[] expected, string name) : Stream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private bool _ended;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var got = below.Read(buffer);
        if (got > 0)
        {
            _hash.AppendData(buffer[..got]);
        }
        else if (buffer.Length > 0 && !_ended)
        {
            _ended = true;
            if (!_hash.GetHashAndReset().AsSpan().SequenceEqual(expected))
                throw new ImageException(ImageErrorKind.Corrupt, $"The SHA-256 of {name} is not the expected {Convert.ToHexStringLower(expected)}: it is damaged or another file.");
        }

        return got;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            below.Dispose();
            _hash.Dispose();
        }

        base.Dispose(disposing);
    }
}
