namespace OsBuild.ImageBuilder.Building;

/// <summary>The image while it is made: a sparse stream that knows which of its blocks were written. Small writes that follow each other
/// are gathered; nothing is ever written that nobody asked for.</summary>
internal sealed class ImageFile : Stream
{
    public const int BlockSize = 4096;

    private const int BufferSize = 1 << 20;
    private const int BlocksPerPiece = ImageStore.PieceSize / BlockSize;

    private readonly ImageStore _store;
    private readonly ulong[] _written;
    private readonly byte[] _buffer = new byte[BufferSize];
    private long _bufferAt;
    private int _buffered;
    private int _piece;
    private long _position;

    /// <param name="store">Takes the bytes; not owned.</param>
    /// <param name="size">Size of the image.</param>
    public ImageFile(ImageStore store, long size)
    {
        _store = store;
        Length = size;
        _written = new ulong[(size / BlockSize / 64) + 1];
    }

    public override bool CanRead => true;
    public override bool CanSeek => true;
    public override bool CanWrite => true;
    public override long Length { get; }
    public override long Position { get => _position; set => _position = value; }

    /// <summary>Bytes handed to the operating system.</summary>
    public long BytesWritten { get; private set; }

    public ImageStore Store => _store;

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        if (_position + bytes.Length > Length) throw new InvalidOperationException($"A write of {bytes.Length} bytes at {_position} leaves the image of {Length} bytes.");
        Mark(_position, bytes.Length);
        if (_buffered > 0 && (_position != _bufferAt + _buffered || _buffered + bytes.Length > BufferSize)) Flush();
        if (bytes.Length >= BufferSize / 2)
        {
            Flush();
            Put(bytes, _position);
        }
        else
        {
            if (_buffered == 0) _bufferAt = _position;
            bytes.CopyTo(_buffer.AsSpan(_buffered));
            _buffered += bytes.Length;
        }

        _position += bytes.Length;
    }

    public override int Read(Span<byte> bytes)
    {
        Flush();
        var some = (int)Math.Min(bytes.Length, Length - _position);
        _store.Read(bytes[..some], _position);
        _position += some;
        return some;
    }

    public override void Flush()
    {
        if (_buffered == 0) return;
        Put(_buffer.AsSpan(0, _buffered), _bufferAt);
        _buffered = 0;
    }

    private void Put(ReadOnlySpan<byte> bytes, long at)
    {
        BytesWritten += bytes.Length;
        while (!bytes.IsEmpty)
        {
            // Told before the next piece is begun: the store may have to let one go for it.
            var (piece, offset) = ((int)(at / ImageStore.PieceSize), (int)(at % ImageStore.PieceSize));
            if (piece != _piece) Pass(_piece);
            _piece = piece;
            var some = Math.Min(bytes.Length, ImageStore.PieceSize - offset);
            _store.Write(bytes[..some], at);
            bytes = bytes[some..];
            at += some;
        }
    }

    private void Pass(int piece)
    {
        if (IsFull(piece)) _store.Passed(piece);
    }

    /// <summary>True when every block of a piece was written.</summary>
    private bool IsFull(int piece) => (piece + 1L) * ImageStore.PieceSize <= Length && _written.AsSpan(piece * BlocksPerPiece / 64, BlocksPerPiece / 64).IndexOfAnyExcept(ulong.MaxValue) < 0;

    /// <summary>Blocks whose content matters although nobody wrote it: they must be zeros on the medium too.</summary>
    public void Mark(long offset, long length)
    {
        if (length == 0) return;
        for (var block = offset / BlockSize; block <= (offset + length - 1) / BlockSize; block++) _written[block >> 6] |= 1UL << (int)(block & 63);
    }

    /// <summary>Starts anew: nothing is written.</summary>
    public void Clear()
    {
        _buffered = 0;
        Array.Clear(_written);
        _store.Clear();
    }

    /// <summary>The runs of blocks that matter, first and last block of each, none longer than a piece and none across the border of two.</summary>
    public IEnumerable<(long First, long Last)> Runs()
    {
        var blocks = (Length + BlockSize - 1) / BlockSize;
        long first = -1;
        for (long block = 0; block < blocks; block++)
        {
            if (first >= 0 && block % BlocksPerPiece == 0)
            {
                yield return (first, block - 1);
                first = -1;
            }

            // Empty slots are long: take 64 blocks at a step.
            if ((block & 63) == 0 && first < 0)
            {
                while (block < blocks && _written[block >> 6] == 0) block += 64;
                if (block >= blocks) break;
            }

            var set = (_written[block >> 6] >> (int)(block & 63) & 1) != 0;
            if (set && first < 0) first = block;
            if (set || first < 0) continue;
            yield return (first, block - 1);
            first = -1;
        }

        if (first >= 0) yield return (first, blocks - 1);
    }

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => Position + offset,
        _ => Length + offset,
    };

    public override void SetLength(long value) => throw new NotSupportedException("The image has the size that was planned.");

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    protected override void Dispose(bool disposing)
    {
        if (disposing) Flush();
        base.Dispose(disposing);
    }
}
