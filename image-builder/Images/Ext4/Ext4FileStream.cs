using OsBuild.Images.Streams;

namespace OsBuild.Images.Ext4;

/// <summary>The content of a file, read from its runs of blocks; what no run covers is zeros.</summary>
internal sealed class Ext4FileStream(Ext4Volume volume, List<FileRun> runs, long length) : Stream, IHoles
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        var done = 0;
        while (done < buffer.Length && _position < length)
        {
            var piece = (int)Math.Min(buffer.Length - done, Math.Min(length - _position, Here(out var offset)));
            if (offset < 0) buffer.Slice(done, piece).Clear();
            else volume.ReadAt(offset, buffer.Slice(done, piece));
            done += piece;
            _position += piece;
        }

        return done;
    }

    public long SkipHole()
    {
        long skipped = 0;
        while (_position < length)
        {
            var piece = Math.Min(length - _position, Here(out var offset));
            if (offset >= 0) break;
            skipped += piece;
            _position += piece;
        }

        return skipped;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => length + offset,
    };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>How many bytes from here on are of one sort, and where they lie: -1 for zeros.</summary>
    private long Here(out long offset)
    {
        var logical = _position / volume.BlockSize;
        int low = 0, high = runs.Count;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (runs[middle].End <= logical) low = middle + 1;
            else high = middle;
        }

        offset = -1;
        if (low == runs.Count) return length - _position;
        var run = runs[low];
        if (logical < run.Logical) return (run.Logical * volume.BlockSize) - _position;
        if (!run.Unwritten) offset = (run.Physical * volume.BlockSize) + _position - (run.Logical * volume.BlockSize);
        return (run.End * volume.BlockSize) - _position;
    }
}
