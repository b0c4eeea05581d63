namespace OsBuild.Images.Fat;

/// <summary>The content of a file, read through its chain.</summary>
internal sealed class FatFileStream : Stream
{
    private readonly Stream _source;
    private readonly FatGeometry _g;
    private readonly List<ClusterRun> _runs;
    private readonly List<long> _starts = [];
    private readonly long _length;
    private long _position;

    public FatFileStream(Stream source, FatVolume volume, FatEntry entry, string path)
    {
        _source = source;
        _g = volume.Geometry;
        _length = entry.Entry.FileSize;
        var clusters = _g.ClustersFor(_length);
        _runs = volume.Chain(entry.Entry.FirstCluster, path, clusters);
        long at = 0;
        foreach (var run in _runs)
        {
            _starts.Add(at);
            at += (long)run.Count * _g.ClusterSize;
        }

        if (at < _length)
            throw new ImageException(ImageErrorKind.Corrupt, $"{path} should have {_length} bytes, but its chain of clusters ends after {at}.");
    }

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => _length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (_position >= _length || buffer.IsEmpty) return 0;
        var index = _starts.BinarySearch(_position);
        if (index < 0) index = ~index - 1;
        var into = _position - _starts[index];
        var left = Math.Min(((long)_runs[index].Count * _g.ClusterSize) - into, _length - _position);
        if (buffer.Length > left) buffer = buffer[..(int)left];
        _source.Position = _g.ClusterOffset(_runs[index].First) + into;
        var got = _source.Read(buffer);
        if (got == 0) throw new ImageException(ImageErrorKind.Corrupt, "The volume ends inside a file; the image is cut off.");
        _position += got;
        return got;
    }

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => _length + offset,
    };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
