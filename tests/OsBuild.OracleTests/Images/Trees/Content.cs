using OsBuild.Images.Streams;

namespace OsBuild.OracleTests.Images.Trees;

/// <summary>What is in a file: pieces of bytes with zeros between them.</summary>
internal sealed record Content(long Size, params (long Offset, byte[] Bytes)[] Pieces)
{
    /// <summary>As a stream that can neither seek nor give everything at once, as those of archives.</summary>
    public Stream Open(bool tellsHoles) => tellsHoles ? new HoleyContent(this) : new PlainContent(this);

    private class PlainContent(Content content) : Stream
    {
        protected long At { get; set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => At; set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            if (buffer.Length > 100_000) buffer = buffer[..99_999];
            var got = (int)Math.Min(buffer.Length, content.Size - At);
            buffer = buffer[..got];
            buffer.Clear();
            foreach (var (offset, bytes) in content.Pieces)
            {
                var from = Math.Max(offset, At);
                var to = Math.Min(offset + bytes.Length, At + got);
                if (from < to) bytes.AsSpan((int)(from - offset), (int)(to - from)).CopyTo(buffer[(int)(from - At)..]);
            }

            At += got;
            return got;
        }

        protected long Hole()
        {
            var next = content.Size;
            foreach (var (offset, bytes) in content.Pieces)
                if (offset + bytes.Length > At) next = Math.Min(next, offset);
            return Math.Max(0, next - At);
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    private sealed class HoleyContent(Content content) : PlainContent(content), IHoles
    {
        public long SkipHole()
        {
            var hole = Hole();
            At += hole;
            return hole;
        }
    }
}
