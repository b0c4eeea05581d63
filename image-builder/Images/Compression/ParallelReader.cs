using System.Runtime.ExceptionServices;

namespace OsBuild.Images.Compression;

/// <summary>Decodes pieces of a file (blocks, frames) for <see cref="ParallelReader"/>; each thread has its own.</summary>
internal abstract class PieceWorker : IDisposable
{
    /// <summary>Decodes one piece into <paramref name="output"/>.</summary>
    public abstract void Decode(int piece, ParallelReader.Output output);

    public virtual void Dispose()
    {
    }
}

/// <summary>Decodes independent pieces on several threads and gives their bytes in order. What is decoded ahead waits in segments, of
/// which there is a fixed number; only the piece that is being read may always go on, so that nothing can get stuck. A decoder whose
/// window holds what it decoded may lend it instead, and spares memory and copying.</summary>
internal sealed class ParallelReader : DecodingStream
{
    public const int SegmentSize = 1 << 18;

    private readonly object _gate = new();
    private readonly Dictionary<int, Piece> _active = [];
    private readonly Stack<byte[]> _free = new();
    private readonly List<Thread> _threads = [];
    private readonly int _budget;
    private int _pieces, _next, _current, _used;
    private bool _stopped;
    private ArraySegment<byte> _segment;
    private Part _part;

    /// <summary>Bytes on the way to the reader; lent ones belong to a worker.</summary>
    private readonly record struct Part(ArraySegment<byte> Bytes, Lender? Lender);

    /// <summary>Counts the bytes of one worker's window that were not read yet.</summary>
    private sealed class Lender
    {
        public int Unread { get; set; }
    }

    private sealed class Piece
    {
        public Queue<Part> Ready { get; } = new();

        public bool Ended { get; set; }

        public ExceptionDispatchInfo? Failure { get; set; }
    }

    /// <param name="pieces">How many pieces there are.</param>
    /// <param name="threads">How many are decoded at the same time.</param>
    /// <param name="segments">How many segments may wait.</param>
    /// <param name="makeWorker">Makes the decoder of a thread.</param>
    public ParallelReader(int pieces, int threads, int segments, Func<PieceWorker> makeWorker)
    {
        _pieces = pieces;
        _budget = segments;
        for (var i = 0; i < Math.Min(threads, pieces); i++)
        {
            var thread = new Thread(() => Work(makeWorker)) { IsBackground = true, Name = "decode" };
            _threads.Add(thread);
            thread.Start();
        }
    }

    private void Work(Func<PieceWorker> makeWorker)
    {
        using var worker = makeWorker();
        var lender = new Lender();
        while (true)
        {
            int number;
            var piece = new Piece();
            lock (_gate)
            {
                if (_stopped || _next == _pieces) return;
                number = _next++;
                _active[number] = piece;
            }

            ExceptionDispatchInfo? failure = null;
            try
            {
                var output = new Output(this, number, piece, lender);
                worker.Decode(number, output);
                output.Publish();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }

            lock (_gate)
            {
                piece.Failure = failure;
                piece.Ended = true;
                // Nothing behind a failure will ever be read.
                if (failure is not null) _pieces = _next;
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Takes the decoded bytes of one piece.</summary>
    internal sealed class Output
    {
        private readonly ParallelReader _reader;
        private readonly int _number;
        private readonly Piece _piece;
        private readonly Lender _lender;
        private byte[]? _segment;
        private int _filled;

        internal Output(ParallelReader reader, int number, object piece, object lender) => (_reader, _number, _piece, _lender) = (reader, number, (Piece)piece, (Lender)lender);

        /// <summary>Waits until no more than <paramref name="atMost"/> of the bytes that this worker has lent are unread.</summary>
        public void AwaitRead(int atMost)
        {
            lock (_reader._gate)
            {
                while (!_reader._stopped && _lender.Unread > atMost) Monitor.Wait(_reader._gate);
                if (_reader._stopped) throw new OperationCanceledException();
            }
        }

        /// <summary>Gives bytes to the reader without copying them: they must stay as they are until <see cref="AwaitRead"/> says they were read.</summary>
        public void Lend(ArraySegment<byte> bytes)
        {
            lock (_reader._gate)
            {
                _lender.Unread += bytes.Count;
                _piece.Ready.Enqueue(new Part(bytes, _lender));
                Monitor.PulseAll(_reader._gate);
            }
        }

        /// <summary>Copies bytes and gives them to the reader.</summary>
        public void Write(ReadOnlySpan<byte> bytes)
        {
            while (!bytes.IsEmpty)
            {
                _segment ??= _reader.TakeSegment(_number, _piece);
                var some = Math.Min(bytes.Length, SegmentSize - _filled);
                bytes[..some].CopyTo(_segment.AsSpan(_filled));
                _filled += some;
                bytes = bytes[some..];
                if (_filled == SegmentSize) Publish();
            }
        }

        /// <summary>Gives what is filled to the reader.</summary>
        internal void Publish()
        {
            if (_segment is null) return;
            lock (_reader._gate)
            {
                _piece.Ready.Enqueue(new Part(new ArraySegment<byte>(_segment, 0, _filled), null));
                Monitor.PulseAll(_reader._gate);
            }

            _segment = null;
            _filled = 0;
        }
    }

    private byte[] TakeSegment(int number, Piece piece)
    {
        lock (_gate)
        {
            while (!_stopped && _used >= _budget && !(number == _current && piece.Ready.Count < 2)) Monitor.Wait(_gate);
            if (_stopped) throw new OperationCanceledException();
            _used++;
            return _free.TryPop(out var segment) ? segment : new byte[SegmentSize];
        }
    }

    protected override int Decode(Span<byte> to)
    {
        if (_segment.Count == 0 && !NextSegment()) return 0;
        var some = Math.Min(to.Length, _segment.Count);
        _segment.AsSpan(0, some).CopyTo(to);
        _segment = _segment[some..];
        if (_segment.Count == 0) Release(_part);
        return some;
    }

    private void Release(Part part)
    {
        lock (_gate)
        {
            if (part.Lender is { } lender)
            {
                lender.Unread -= part.Bytes.Count;
            }
            else
            {
                _free.Push(part.Bytes.Array!);
                _used--;
            }

            Monitor.PulseAll(_gate);
        }
    }

    private bool NextSegment()
    {
        lock (_gate)
        {
            while (true)
            {
                ObjectDisposedException.ThrowIf(_stopped, this);
                if (!_active.TryGetValue(_current, out var piece))
                {
                    if (_current == _pieces) return false;
                    Monitor.Wait(_gate);
                }
                else if (piece.Ready.TryDequeue(out _part))
                {
                    _segment = _part.Bytes;
                    return true;
                }
                else if (piece.Ended)
                {
                    piece.Failure?.Throw();
                    _active.Remove(_current++);
                    Monitor.PulseAll(_gate);
                }
                else
                {
                    Monitor.Wait(_gate);
                }
            }
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            lock (_gate)
            {
                _stopped = true;
                Monitor.PulseAll(_gate);
            }

            foreach (var thread in _threads) thread.Join();
        }

        base.Dispose(disposing);
    }
}
