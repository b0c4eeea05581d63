using System.Security.Cryptography;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Passes reads through and hashes them on the way; owns the stream below.</summary>
internal sealed class HashingReader(Stream below) : Stream
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => below.Length;
    public override long Position { get => below.Position; set => throw new NotSupportedException(); }

    /// <summary>The digest of the whole stream; what was not read yet is read now.</summary>
    public byte[] Finish()
    {
        var buffer = new byte[1 << 17];
        while (Read(buffer) > 0)
        {
        }

        return _hash.GetHashAndReset();
    }

    public override int Read(Span<byte> buffer)
    {
        var got = below.Read(buffer);
        _hash.AppendData(buffer[..got]);
        return got;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    public override void Flush() => below.Flush();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _hash.Dispose();
            below.Dispose();
        }

        base.Dispose(disposing);
    }
}
