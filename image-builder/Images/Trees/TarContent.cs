using OsBuild.Images.Streams;

namespace OsBuild.Images.Trees;

/// <summary>A run of bytes of a sparse file that the archive holds; the rest is zeros.</summary>
internal readonly record struct TarSegment(long Offset, long Length);

/// <summary>The content of one archive entry. One instance serves all entries of an archive in turn.</summary>
internal sealed class TarContent(TarInput input) : Stream, IHoles
{
    private IReadOnlyList<TarSegment> _segments = [];
    private int _segment;
    private long _size;
    private long _position;

    /// <summary>Bytes of this entry that are still in the archive, padding to 512 not counted.</summary>
    public long Packed { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => _size;

    public override long Position { get => _position; set => throw new NotSupportedException(); }

    /// <summary>Starts an entry whose bytes all are in the archive.</summary>
    public void StartPlain(long size) => Start(size, size, size == 0 ? [] : [new TarSegment(0, size)]);

    /// <summary>Starts an entry with holes.</summary>
    public void Start(long size, long packed, IReadOnlyList<TarSegment> segments) =>
        (_size, Packed, _segments, _segment, _position) = (size, packed, segments, 0, 0);

    public override int Read(Span<byte> buffer)
    {
        if (_position >= _size || buffer.IsEmpty) return 0;
        var hole = HoleHere();
        if (hole > 0)
        {
            var zeros = (int)Math.Min(hole, buffer.Length);
            buffer[..zeros].Clear();
            _position += zeros;
            return zeros;
        }

        var left = _segments[_segment].Offset + _segments[_segment].Length - _position;
        var got = input.Read(buffer[..(int)Math.Min(left, buffer.Length)]);
        if (got == 0) throw input.Torn();
        Packed -= got;
        _position += got;
        if (got == left) _segment++;
        return got;
    }

    public long SkipHole()
    {
        var hole = HoleHere();
        _position += hole;
        return hole;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private long HoleHere()
    {
        while (_segment < _segments.Count && _segments[_segment].Length == 0) _segment++;
        return Math.Max(0, (_segment < _segments.Count ? _segments[_segment].Offset : _size) - _position);
    }
}
