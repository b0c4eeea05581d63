using Microsoft.Win32.SafeHandles;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The image while it is made: a sparse file that knows which of its blocks were written. Small writes that follow each other
/// are gathered; nothing is ever written that nobody asked for.</summary>
internal sealed class ImageFile : Stream
{
    public const int BlockSize = 4096;
    private const int BufferSize = 1 << 20;

    private readonly SafeFileHandle _file;
    private readonly ulong[] _written;
    private readonly byte[] _buffer = new byte[BufferSize];
    private long _bufferAt;
    private int _buffered;
    private long _position;

    public ImageFile(SafeFileHandle file, long size)
    {
        _file = file;
        Length = size;
        RandomAccess.SetLength(file, size);
        _written = new ulong[(size / BlockSize / 64) + 1];
    }

    public override bool CanRead => true;
    public override bool CanSeek => true;
    public override bool CanWrite => true;
    public override long Length { get; }
    public override long Position { get => _position; set => _position = value; }

    /// <summary>Bytes handed to the operating system.</summary>
    public long BytesWritten { get; private set; }

    public SafeFileHandle Handle => _file;

    public override void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        if (_position + bytes.Length > Length) throw new InvalidOperationException($"A write of {bytes.Length} bytes at {_position} leaves the image of {Length} bytes.");
        Mark(_position, bytes.Length);
        if (_buffered > 0 && (_position != _bufferAt + _buffered || _buffered + bytes.Length > BufferSize)) Flush();
        if (bytes.Length >= BufferSize / 2)
        {
            Flush();
            RandomAccess.Write(_file, bytes, _position);
            BytesWritten += bytes.Length;
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
        var got = RandomAccess.Read(_file, bytes[..(int)Math.Min(bytes.Length, Length - _position)], _position);
        _position += got;
        return got;
    }

    public override void Flush()
    {
        if (_buffered == 0) return;
        RandomAccess.Write(_file, _buffer.AsSpan(0, _buffered), _bufferAt);
        BytesWritten += _buffered;
        _buffered = 0;
    }

    /// <summary>Blocks whose content matters although nobody wrote it: they must be zeros on the medium too.</summary>
    public void Mark(long offset, long length)
    {
        if (length == 0) return;
        for (var block = offset / BlockSize; block <= (offset + length - 1) / BlockSize; block++) _written[block >> 6] |= 1UL << (int)(block & 63);
    }

    /// <summary>The runs of blocks that matter, first and last block of each.</summary>
    public IEnumerable<(long First, long Last)> Runs()
    {
        var blocks = (Length + BlockSize - 1) / BlockSize;
        long first = -1;
        for (long block = 0; block < blocks; block++)
        {
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
        if (disposing && !_file.IsClosed) Flush();
        base.Dispose(disposing);
    }
}
