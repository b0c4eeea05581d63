namespace OsBuild.Images.Compression;

/// <summary>Cuts what is written into pieces of one size, has them encoded on several threads and writes them out in order. The cuts depend on
/// the position alone, so the output does not depend on the threads or on how the writes came. Owns the codec.</summary>
internal sealed class PieceWriter : Stream
{
    private readonly Stream _target;
    private readonly PieceCodec _codec;
    private readonly int _threads;
    private readonly Queue<Task<EncodedPiece>> _running = new();
    private readonly Stack<byte[]> _free = new();
    private byte[] _piece;
    private Task<EncodedPiece>? _zeros;
    private int _filled;
    private bool _any, _ended;

    public PieceWriter(Stream target, PieceCodec codec, int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        (_target, _codec, _threads) = (target, codec, threads);
        _piece = new byte[codec.PieceSize];
        codec.Begin(target);
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(_ended, this);
        while (!buffer.IsEmpty)
        {
            if (_filled == _piece.Length) Submit();
            var some = Math.Min(buffer.Length, _piece.Length - _filled);
            buffer[..some].CopyTo(_piece.AsSpan(_filled));
            _filled += some;
            buffer = buffer[some..];
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    private void Submit()
    {
        var (piece, length) = (_piece, _filled);
        _filled = 0;
        _any = true;
        // The empty slots of an image are long: their pieces are encoded once.
        var zeros = length == piece.Length && !piece.AsSpan().ContainsAnyExcept((byte)0);
        if (zeros || _threads == 1)
        {
            _running.Enqueue(zeros ? _zeros ??= Task.FromResult(_codec.Encode(piece)) : Task.FromResult(_codec.Encode(piece.AsSpan(0, length))));
            if (_running.Count > (_threads == 1 ? 0 : _threads)) EmitOldest();
            return;
        }

        _running.Enqueue(Task.Run(() =>
        {
            var encoded = _codec.Encode(piece.AsSpan(0, length));
            lock (_free) _free.Push(piece);
            return encoded;
        }));
        // One piece more than threads: while the oldest is awaited and written out, none of them is idle.
        if (_running.Count > _threads) EmitOldest();
        lock (_free)
            if (_free.TryPop(out var used))
            {
                _piece = used;
                return;
            }

        _piece = new byte[_codec.PieceSize];
    }

    // After a failure nothing more is written: an output with a gap must not get a sound ending.
    private void EmitOldest()
    {
        try
        {
            var oldest = _running.Dequeue();
            var encoded = oldest.GetAwaiter().GetResult();
            _codec.Next(encoded);
            _target.Write(encoded.Bytes.Span);
            if (oldest != _zeros) _codec.Release(encoded);
        }
        catch
        {
            _ended = true;
            throw;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_ended)
        {
            _ended = true;
            // Nothing was written: one empty piece, so that the file is one of its format all the same.
            if (_filled > 0 || !_any) Submit();
            while (_running.Count > 0) EmitOldest();
            _codec.End(_target);
        }

        if (disposing) _codec.Dispose();
        base.Dispose(disposing);
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException("The encoded length is known only at the end.");

    public override long Position
    {
        get => throw new NotSupportedException("An encoder only goes forward.");
        set => throw new NotSupportedException("An encoder only goes forward.");
    }

    /// <summary>Does nothing: cutting a piece short here would make the output depend on it.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("An encoder cannot be read.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("An encoder only goes forward.");

    public override void SetLength(long value) => throw new NotSupportedException("An encoder only goes forward.");
}
