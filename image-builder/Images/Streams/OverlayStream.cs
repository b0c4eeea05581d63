using OsBuild.Images.Copying;

namespace OsBuild.Images.Streams;

/// <summary>Takes writes beside a stream that stays as it is, and tells them: for editing an image while it is on its way elsewhere.
/// Does not own the stream below.</summary>
/// <param name="below">A stream that can be read anywhere.</param>
/// <param name="length">Its length in bytes.</param>
public sealed class OverlayStream(Stream below, long length) : Stream
{
    private const int Sector = 512;

    private readonly SortedDictionary<long, byte[]> _written = [];

    /// <summary>Everything written, in order, pieces that touch joined.</summary>
    public IReadOnlyList<ImageEdit> Edits
    {
        get
        {
            List<ImageEdit> edits = [];
            foreach (var run in Runs()) edits.Add(new ImageEdit(run[0] * Sector, run.SelectMany(s => _written[s]).ToArray()));
            return edits;
        }
    }

    private IEnumerable<List<long>> Runs()
    {
        List<long> run = [];
        foreach (var sector in _written.Keys)
        {
            if (run.Count > 0 && sector != run[^1] + 1)
            {
                yield return run;
                run = [];
            }

            run.Add(sector);
        }

        if (run.Count > 0) yield return run;
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => length;

    /// <inheritdoc/>
    public override long Position { get; set; }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        var some = (int)Math.Min(buffer.Length, Math.Min(length - Position, Sector - (Position % Sector)));
        if (some <= 0) return 0;
        var from = (int)(Position % Sector);
        if (_written.TryGetValue(Position / Sector, out var sector)) sector.AsSpan(from, some).CopyTo(buffer);
        else some = ReadBelow(buffer[..some]);
        Position += some;
        return some;
    }

    private int ReadBelow(Span<byte> buffer)
    {
        below.Position = Position;
        return below.Read(buffer);
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (Position + buffer.Length > length) throw new EndOfStreamException("A write past the end of the image.");
        while (!buffer.IsEmpty)
        {
            var (number, from) = (Position / Sector, (int)(Position % Sector));
            if (!_written.TryGetValue(number, out var sector))
            {
                sector = new byte[Sector];
                below.Position = number * Sector;
                below.ReadAtLeast(sector, Sector, throwOnEndOfStream: false);
                _written[number] = sector;
            }

            var some = Math.Min(buffer.Length, Sector - from);
            buffer[..some].CopyTo(sector.AsSpan(from));
            buffer = buffer[some..];
            Position += some;
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => Position + offset,
        _ => length + offset,
    };

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException("An image keeps its length.");
}
