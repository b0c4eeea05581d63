namespace OsBuild.Images.Compression;

/// <summary>Cuts what is written into blocks of one size, has them encoded on several threads and writes them out in order. The cuts depend on
/// the position alone, so the output does not depend on the threads or on how the writes came.</summary>
/// <typeparam name="TEncoded">What a block becomes.</typeparam>
internal abstract class BlockWriter<TEncoded> : Stream
{
    private readonly Queue<Task<TEncoded>> _running = new();
    private readonly Stack<byte[]> _free = new();
    private readonly int _blockSize, _threads;
    private byte[] _block;
    private int _filled;
    private bool _ended;

    protected BlockWriter(Stream target, int blockSize, int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Target = target;
        _blockSize = blockSize;
        _threads = threads;
        _block = new byte[blockSize];
    }

    protected Stream Target { get; }

    /// <summary>Encodes one block; runs on many threads at once.</summary>
    protected abstract TEncoded Encode(ReadOnlyMemory<byte> block);

    /// <summary>Writes an encoded block; called in the order of the blocks.</summary>
    protected abstract void Emit(TEncoded encoded);

    /// <summary>Writes what comes behind the last block.</summary>
    protected abstract void End();

    public sealed override void Write(ReadOnlySpan<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(_ended, this);
        while (!buffer.IsEmpty)
        {
            if (_filled == _blockSize) Submit();
            var some = Math.Min(buffer.Length, _blockSize - _filled);
            buffer[..some].CopyTo(_block.AsSpan(_filled));
            _filled += some;
            buffer = buffer[some..];
        }
    }

    public sealed override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    private void Submit()
    {
        var (block, length) = (_block, _filled);
        _filled = 0;
        if (_threads == 1)
        {
            EmitOrFail(() => Encode(block.AsMemory(0, length)));
            return;
        }

        _running.Enqueue(Task.Run(() =>
        {
            var encoded = Encode(block.AsMemory(0, length));
            lock (_free) _free.Push(block);
            return encoded;
        }));
        // One block more than threads: while the oldest is awaited and written out, none of them is idle.
        if (_running.Count > _threads) EmitOldest();
        lock (_free)
            if (_free.TryPop(out var used))
            {
                _block = used;
                return;
            }

        _block = new byte[_blockSize];
    }

    private void EmitOldest() => EmitOrFail(() => _running.Dequeue().GetAwaiter().GetResult());

    // After a failure nothing more is written: an output with a gap must not get a sound ending.
    private void EmitOrFail(Func<TEncoded> encode)
    {
        try
        {
            Emit(encode());
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
            if (_filled > 0) Submit();
            while (_running.Count > 0) EmitOldest();
            End();
        }

        base.Dispose(disposing);
    }

    public sealed override bool CanRead => false;

    public sealed override bool CanSeek => false;

    public sealed override bool CanWrite => true;

    public sealed override long Length => throw new NotSupportedException("The encoded length is known only at the end.");

    public sealed override long Position
    {
        get => throw new NotSupportedException("An encoder only goes forward.");
        set => throw new NotSupportedException("An encoder only goes forward.");
    }

    /// <summary>Does nothing: cutting a block short here would make the output depend on it.</summary>
    public sealed override void Flush()
    {
    }

    public sealed override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("An encoder cannot be read.");

    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("An encoder only goes forward.");

    public sealed override void SetLength(long value) => throw new NotSupportedException("An encoder only goes forward.");
}
