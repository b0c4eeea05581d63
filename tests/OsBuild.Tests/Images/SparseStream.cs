namespace OsBuild.Tests.Images;

/// <summary>A disk in memory that may be terabytes long; only written pages take space. Counts what is written.</summary>
internal sealed class SparseStream(long length) : Stream
{
    private const int PageSize = 4096;

    private readonly Dictionary<long, byte[]> _pages = [];
    private long _length = length;

    /// <summary>Every write since the start, in order.</summary>
    public List<(long Offset, byte[] Bytes)> Log { get; } = [];

    public bool Logs { get; set; }

    /// <summary>Called before every write; throw to play a failing medium.</summary>
    public Action<long, int>? OnWrite { get; set; }

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => true;

    public override long Length => _length;

    public override long Position { get; set; }

    /// <summary>Bytes of pages that were written.</summary>
    public long Allocated => _pages.Count * (long)PageSize;

    public SparseStream Clone()
    {
        var copy = new SparseStream(_length);
        foreach (var (index, page) in _pages) copy._pages[index] = [.. page];
        return copy;
    }

    public void Apply(long offset, ReadOnlySpan<byte> bytes)
    {
        Position = offset;
        Write(bytes);
    }

    public byte[] ReadAt(long offset, int count)
    {
        var bytes = new byte[count];
        Position = offset;
        this.ReadExactly(bytes);
        return bytes;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        var count = (int)Math.Clamp(_length - Position, 0, buffer.Length);
        for (var done = 0; done < count;)
        {
            var (page, into) = (Position / PageSize, (int)(Position % PageSize));
            var n = Math.Min(PageSize - into, count - done);
            if (_pages.TryGetValue(page, out var bytes)) bytes.AsSpan(into, n).CopyTo(buffer[done..]);
            else buffer.Slice(done, n).Clear();
            done += n;
            Position += n;
        }

        return count;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        OnWrite?.Invoke(Position, buffer.Length);
        if (Logs) Log.Add((Position, buffer.ToArray()));
        if (Position + buffer.Length > _length) throw new IOException("The disk is full.");
        while (!buffer.IsEmpty)
        {
            var (page, into) = (Position / PageSize, (int)(Position % PageSize));
            var n = Math.Min(PageSize - into, buffer.Length);
            if (!_pages.TryGetValue(page, out var bytes)) _pages[page] = bytes = new byte[PageSize];
            buffer[..n].CopyTo(bytes.AsSpan(into));
            buffer = buffer[n..];
            Position += n;
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => Position + offset,
        _ => _length + offset,
    };

    /// <summary>Longer or shorter, as a copy to another disk would be.</summary>
    public override void SetLength(long value) => _length = value;
}
