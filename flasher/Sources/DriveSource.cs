using OsBuild.Flasher.Drives;
using OsBuild.Flasher.Writing;
using OsBuild.Images.Copying;

namespace OsBuild.Flasher.Sources;

/// <summary>Another drive as the image: for cloning.</summary>
internal static class DriveSource
{
    /// <exception cref="RefusedException">It is not there, empty, or changes while it is read.</exception>
    public static CopySource Open(string drive, SystemFacts facts)
    {
        var disk = Targets.Resolve(drive, facts) ?? throw new RefusedException($"There is no drive {drive}; flasher list shows those that are there.");
        if (disk.Size == 0) throw new RefusedException($"There is no medium in {disk.Device}; nothing was written.");
        var verdict = Judge.Verdict(disk with { ReadOnly = false }, facts);
        if (!verdict.Ok || verdict.Unmount.Count > 0)
            throw new RefusedException($"{disk.Device} is in use and would change while it is copied ({string.Join("; ", verdict.Why().Concat(verdict.Unmount.Select(m => $"mounted at {m}")))}). Unmount it first.");
        return new CopySource { Name = disk.Device, Length = disk.Size, Open = () => new MediumStream(Targets.OpenForReading(disk.Device, facts)) };
    }
}

/// <summary>Reads a medium from its first byte to its last.</summary>
internal sealed class MediumStream(IMedium medium) : Stream
{
    private const int Piece = 1 << 20;
    private readonly Memory<byte> _buffer = AlignedBuffer.Allocate(Piece);
    private long _position;
    private int _at, _filled;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => medium.Size;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        if (_at == _filled)
        {
            _at = 0;
            _filled = (int)Math.Min(Piece, medium.Size - _position);
            if (_filled == 0) return 0;
            medium.Read(_position, _buffer.Span[.._filled]);
        }

        var some = Math.Min(buffer.Length, _filled - _at);
        _buffer.Span.Slice(_at, some).CopyTo(buffer);
        _at += some;
        _position += some;
        return some;
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) medium.Dispose();
        base.Dispose(disposing);
    }
}
