namespace OsBuild.Images.Trees;

/// <summary>The bytes of an archive, read forward through one buffer; an early end is an error with the offset in it.</summary>
internal sealed class TarInput(Stream below)
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _from;
    private int _to;

    /// <summary>Bytes handed out so far.</summary>
    public long Offset { get; private set; }

    /// <summary>Reads some bytes; 0 only at the end.</summary>
    public int Read(Span<byte> to)
    {
        if (to.IsEmpty) return 0;
        if (_from == _to)
        {
            // A large read goes straight to its destination, when no more than what was asked for would be read.
            if (to.Length >= _buffer.Length)
            {
                var direct = below.Read(to);
                Offset += direct;
                return direct;
            }

            (_from, _to) = (0, below.Read(_buffer));
            if (_to == 0) return 0;
        }

        var got = Math.Min(to.Length, _to - _from);
        _buffer.AsSpan(_from, got).CopyTo(to);
        _from += got;
        Offset += got;
        return got;
    }

    /// <summary>Reads until the span is full or the archive ends.</summary>
    public int ReadFully(Span<byte> to)
    {
        var done = 0;
        while (done < to.Length && Read(to[done..]) is var got and > 0) done += got;
        return done;
    }

    /// <summary>Fills the span.</summary>
    /// <exception cref="ImageException">The archive ends before.</exception>
    public void ReadExactly(Span<byte> to)
    {
        if (ReadFully(to) < to.Length) throw Torn();
    }

    /// <summary>Passes over bytes.</summary>
    public void Skip(long count)
    {
        var buffered = (int)Math.Min(count, _to - _from);
        _from += buffered;
        Offset += buffered;
        count -= buffered;
        if (count > _buffer.Length && below.CanSeek)
        {
            if (below.Length - below.Position < count) throw Torn();
            below.Position += count;
            Offset += count;
            return;
        }

        while (count > 0)
        {
            (_from, _to) = (0, below.Read(_buffer));
            if (_to == 0) throw Torn();
            _from = (int)Math.Min(count, _to);
            Offset += _from;
            count -= _from;
        }
    }

    /// <summary>Reads what is left, so that a decoder below sees its own end and checks its sums.</summary>
    public void Drain()
    {
        _from = _to = 0;
        while (below.Read(_buffer) > 0)
        {
        }
    }

    public ImageException Torn() =>
        new(ImageErrorKind.Corrupt, $"The tar archive ends at byte {Offset}, before its end mark; it is torn, fetch or make it again.");
}
