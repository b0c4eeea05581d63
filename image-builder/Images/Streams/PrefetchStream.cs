using System.Runtime.ExceptionServices;

namespace OsBuild.Images.Streams;

/// <summary>Reads a source on another thread into a ring of buffers, so that decoding and what is done with the bytes overlap.
/// An error of the source appears at its place, behind all bytes that came before it. Owns the source: disposing waits for a read
/// that is under way, then disposes it.</summary>
public sealed class PrefetchStream : Stream
{
    private readonly Stream _source;
    private readonly byte[][] _buffers;
    private readonly int[] _lengths;
    private readonly Thread _reader;
    private readonly object _gate = new();
    private ExceptionDispatchInfo? _failure;
    private bool _ended, _stopped;
    private long _produced, _consumed, _position;
    private int _at;

    /// <summary>Starts to read at once.</summary>
    /// <param name="source">What is read, front to back.</param>
    /// <param name="bufferSize">Bytes of each buffer.</param>
    /// <param name="buffers">How many buffers there are, at least two.</param>
    public PrefetchStream(Stream source, int bufferSize = 512 << 10, int buffers = 4)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bufferSize, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(buffers, 2);
        _source = source;
        _buffers = [.. Enumerable.Range(0, buffers).Select(_ => GC.AllocateUninitializedArray<byte>(bufferSize))];
        _lengths = new int[buffers];
        _reader = new Thread(ReadAhead) { IsBackground = true, Name = "prefetch" };
        _reader.Start();
    }

    private void ReadAhead()
    {
        try
        {
            while (true)
            {
                lock (_gate)
                {
                    while (_produced - _consumed == _buffers.Length && !_stopped) Monitor.Wait(_gate);
                    if (_stopped) return;
                }

                var slot = (int)(_produced % _buffers.Length);
                var length = Fill(_buffers[slot]);
                lock (_gate)
                {
                    _lengths[slot] = length;
                    if (length > 0) _produced++;
                    if (length < _buffers[slot].Length) _ended = true;
                    Monitor.PulseAll(_gate);
                    if (_ended) return;
                }
            }
        }
        catch (Exception e)
        {
            lock (_gate)
            {
                _failure = ExceptionDispatchInfo.Capture(e);
                _ended = true;
                Monitor.PulseAll(_gate);
            }
        }
    }

    // What was read before an error is still given to the reader: the buffer counts as full as it is, and the error comes next.
    private int Fill(byte[] buffer)
    {
        var length = 0;
        try
        {
            while (length < buffer.Length)
            {
                var got = _source.Read(buffer, length, buffer.Length - length);
                if (got == 0) break;
                length += got;
            }
        }
        catch (Exception e) when (length > 0)
        {
            lock (_gate) _failure = ExceptionDispatchInfo.Capture(e);
        }

        return length;
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty) return 0;
        ObjectDisposedException.ThrowIf(_stopped, this);
        int slot;
        lock (_gate)
        {
            while (_produced == _consumed && !_ended) Monitor.Wait(_gate);
            if (_produced == _consumed)
            {
                _failure?.Throw();
                return 0;
            }

            slot = (int)(_consumed % _buffers.Length);
        }

        var some = Math.Min(buffer.Length, _lengths[slot] - _at);
        _buffers[slot].AsSpan(_at, some).CopyTo(buffer);
        _at += some;
        _position += some;
        if (_at == _lengths[slot])
        {
            _at = 0;
            lock (_gate)
            {
                _consumed++;
                Monitor.PulseAll(_gate);
            }
        }

        return some;
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && !_stopped)
        {
            lock (_gate)
            {
                _stopped = true;
                Monitor.PulseAll(_gate);
            }

            _reader.Join();
            _source.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException("The length is known only at the end.");

    /// <summary>Bytes given so far.</summary>
    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException("What was read ahead cannot be read again.");
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("What was read ahead cannot be read again.");

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException("A source is only read.");

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A source is only read.");
}
