using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>An image that is compressed while it is made: pieces that were passed are hashed and encoded on other threads and go to a file in the
/// order in which they come; at the end all are put behind each other in their places. The image itself is never on a disk. A piece that is
/// written to after all is decoded again, and few pieces are open at a time, so that memory does not grow with the image.</summary>
internal sealed class PackedStore(Codec codec, int level, SafeFileHandle heap, long size) : ImageStore
{
    // An encoder that has nothing to do costs as much memory as one that has, and one writer does not keep more than this many busy.
    private static readonly int Encoders = Math.Min(Environment.ProcessorCount, 4);
    private static readonly int MostOpen = Encoders + 2;
    private readonly object _gate = new();
    private readonly PieceCodec _codec = Codecs.OpenPieces(codec, level);
    private readonly Dictionary<int, Piece> _pieces = [];
    private readonly Queue<Piece> _passed = new();
    private readonly Stack<byte[]> _free = new();
    private int _open, _working;
    private long _heapEnd, _uses;
    private Exception? _failure;

    private sealed class Piece(int length)
    {
        /// <summary>Bytes of it that belong to the image.</summary>
        public int Length { get; } = length;

        /// <summary>Its bytes, while it is open.</summary>
        public byte[]? Raw { get; set; }

        /// <summary>Where it lies in the heap, encoded or as it is; -1 when it does not, or not as it is now.</summary>
        public long At { get; set; } = -1;

        /// <summary>Its parts in the heap, when it lies there encoded.</summary>
        public IReadOnlyList<(int Length, EncodedPiece Piece)>? Encoded { get; set; }

        public int Writes { get; set; }

        public long LastUse { get; set; }

        /// <summary>Waits for an encoder or is with one.</summary>
        public bool InWork { get; set; }

        public string? Digest { get; set; }
    }

    private int LengthOf(int piece) => (int)Math.Min(PieceSize, size - ((long)piece * PieceSize));

    public override void Write(ReadOnlySpan<byte> bytes, long at)
    {
        while (!bytes.IsEmpty)
        {
            var (number, offset) = ((int)(at / PieceSize), (int)(at % PieceSize));
            var some = Math.Min(bytes.Length, PieceSize - offset);
            lock (_gate)
            {
                var piece = Open(number);
                bytes[..some].CopyTo(piece.Raw.AsSpan(offset));
                piece.Writes++;
                (piece.At, piece.Encoded, piece.Digest) = (-1, null, null);
            }

            bytes = bytes[some..];
            at += some;
        }
    }

    public override void Read(Span<byte> bytes, long at)
    {
        while (!bytes.IsEmpty)
        {
            var (number, offset) = ((int)(at / PieceSize), (int)(at % PieceSize));
            var some = Math.Min(bytes.Length, PieceSize - offset);
            lock (_gate)
            {
                if (!_pieces.ContainsKey(number)) bytes[..some].Clear();
                else Open(number).Raw.AsSpan(offset, some).CopyTo(bytes);
            }

            bytes = bytes[some..];
            at += some;
        }
    }

    /// <summary>The piece with its bytes in memory. Others give way for it.</summary>
    private Piece Open(int number)
    {
        if (_failure is not null) throw new IOException(_failure.Message, _failure);
        if (!_pieces.TryGetValue(number, out var piece)) _pieces[number] = piece = new(LengthOf(number));
        piece.LastUse = ++_uses;
        if (piece.Raw is not null) return piece;
        while (_open >= MostOpen)
        {
            if (_working > 0) Monitor.Wait(_gate);
            else PutAside();
        }

        var raw = Room();
        _open++;
        if (piece.At < 0) Array.Clear(raw);
        else Fetch(piece, raw);
        piece.Raw = raw;
        return piece;
    }

    private byte[] Room() => _free.TryPop(out var used) ? used : GC.AllocateUninitializedArray<byte>(PieceSize);

    private void Fetch(Piece piece, byte[] raw)
    {
        if (piece.Encoded is { } encoded) Decode(encoded, piece.At, raw);
        else ReadHeap(raw, piece.At);
    }

    /// <summary>Lets the piece go that was not used for longest, as it is: it is not full, so it will be written to again.</summary>
    private void PutAside()
    {
        var piece = _pieces.Values.Where(p => p.Raw is not null).MinBy(p => p.LastUse)!;
        if (piece.At < 0)
        {
            piece.At = Reserve(PieceSize);
            RandomAccess.Write(heap, piece.Raw, piece.At);
        }

        Close(piece);
    }

    private void Close(Piece piece)
    {
        _free.Push(piece.Raw!);
        piece.Raw = null;
        _open--;
    }

    private long Reserve(long length) => (_heapEnd += length) - length;

    public override void Passed(int piece)
    {
        lock (_gate)
        {
            if (!_pieces.TryGetValue(piece, out var found) || found.Raw is null || found.InWork || found.At >= 0) return;
            found.InWork = true;
            _passed.Enqueue(found);
            if (_working == Encoders) return;
            _working++;
            Task.Run(PackPassed);
        }
    }

    private void PackPassed()
    {
        while (true)
        {
            Piece? piece;
            lock (_gate)
            {
                if (!_passed.TryDequeue(out piece))
                {
                    _working--;
                    Monitor.PulseAll(_gate);
                    return;
                }
            }

            try
            {
                Pack(piece);
            }
            catch (Exception e)
            {
                lock (_gate) _failure ??= e;
            }

            lock (_gate)
            {
                piece.InWork = false;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void Pack(Piece piece)
    {
        int writes;
        byte[] raw;
        lock (_gate) (writes, raw) = (piece.Writes, piece.Raw!);
        var digest = Convert.ToHexStringLower(SHA256.HashData(raw.AsSpan(0, piece.Length)));
        var (at, encoded) = Keep(Encode(raw.AsSpan(0, piece.Length)));
        lock (_gate)
        {
            // Written to meanwhile: it is full, but not yet what it will be.
            if (piece.Writes != writes) return;
            (piece.At, piece.Encoded, piece.Digest) = (at, encoded, digest);
            Close(piece);
        }
    }

    private List<EncodedPiece> Encode(ReadOnlySpan<byte> raw)
    {
        var encoded = new List<EncodedPiece>();
        for (var at = 0; at < raw.Length; at += _codec.PieceSize) encoded.Add(_codec.Encode(raw[at..Math.Min(raw.Length, at + _codec.PieceSize)]));
        return encoded;
    }

    /// <summary>Puts the parts of a piece into the heap; what the end of the file needs of them stays.</summary>
    private (long At, IReadOnlyList<(int Length, EncodedPiece Piece)> Encoded) Keep(List<EncodedPiece> encoded)
    {
        long at;
        lock (_gate) at = Reserve(encoded.Sum(e => (long)e.Bytes.Length));
        var to = at;
        foreach (var part in encoded)
        {
            RandomAccess.Write(heap, part.Bytes.Span, to);
            to += part.Bytes.Length;
            _codec.Release(part);
        }

        return (at, [.. encoded.Select(e => (e.Bytes.Length, e with { Bytes = default }))]);
    }

    private void ReadHeap(Span<byte> bytes, long at)
    {
        while (!bytes.IsEmpty)
        {
            var got = RandomAccess.Read(heap, bytes, at);
            if (got == 0) throw new EndOfStreamException("A temporary file became shorter; another program changed it.");
            bytes = bytes[got..];
            at += got;
        }
    }

    // Pieces alone are no file of their format: they are read as one that has nothing else.
    private void Decode(IReadOnlyList<(int Length, EncodedPiece Piece)> encoded, long at, Span<byte> raw)
    {
        var file = new MemoryStream();
        using (var whole = Codecs.OpenPieces(codec, level))
        {
            whole.Begin(file);
            foreach (var (length, part) in encoded)
            {
                var bytes = new byte[length];
                ReadHeap(bytes, at);
                at += length;
                whole.Next(part);
                file.Write(bytes);
            }

            whole.End(file);
        }

        file.Position = 0;
        using var decoded = Codecs.OpenRead(file, codec);
        raw[decoded.ReadAtLeast(raw, raw.Length, throwOnEndOfStream: false)..].Clear();
    }

    public override string? Early(int piece)
    {
        lock (_gate)
        {
            while (_working > 0) Monitor.Wait(_gate);
            return _pieces.TryGetValue(piece, out var found) ? found.Digest : null;
        }
    }

    /// <summary>Writes the compressed image. Nothing may be written to it any more.</summary>
    public void WriteTo(Stream target, Progress progress, CancellationToken cancel)
    {
        lock (_gate)
        {
            while (_working > 0) Monitor.Wait(_gate);
            if (_failure is not null) throw new IOException(_failure.Message, _failure);
        }

        var step = progress.Begin("compress", size);
        PackRest(cancel);
        var count = (int)((size + PieceSize - 1) / PieceSize);
        List<EncodedPiece>? zeros = null;
        var buffer = new byte[1 << 20];
        _codec.Begin(target);
        for (var number = 0; number < count; number++)
        {
            cancel.ThrowIfCancellationRequested();
            if (_pieces.TryGetValue(number, out var piece)) Copy(target, piece.Encoded!, piece.At, buffer);
            else Emit(target, LengthOf(number) < PieceSize ? Encode(new byte[LengthOf(number)]) : zeros ??= Encode(new byte[PieceSize]));
            step.At((number + 1L) * PieceSize);
        }

        _codec.End(target);
        step.End();
    }

    /// <summary>Encodes what never was full: pieces that are open, and those put aside.</summary>
    private void PackRest(CancellationToken cancel)
    {
        var rest = _pieces.Values.Where(p => p.Encoded is null).OrderBy(p => p.Raw is null).ToList();
        try
        {
            Parallel.ForEach(rest, new ParallelOptions { CancellationToken = cancel, MaxDegreeOfParallelism = Encoders }, PackLate);
        }
        catch (AggregateException e)
        {
            throw new IOException(e.InnerExceptions[0].Message, e);
        }
    }

    private void PackLate(Piece piece)
    {
        var raw = piece.Raw;
        if (raw is null)
        {
            lock (_gate) raw = Room();
            Fetch(piece, raw);
        }

        (piece.At, piece.Encoded) = Keep(Encode(raw.AsSpan(0, piece.Length)));
        lock (_gate)
        {
            if (piece.Raw is not null) Close(piece);
            else _free.Push(raw);
        }
    }

    private void Emit(Stream target, List<EncodedPiece> encoded)
    {
        foreach (var part in encoded)
        {
            _codec.Next(part);
            target.Write(part.Bytes.Span);
        }
    }

    private void Copy(Stream target, IReadOnlyList<(int Length, EncodedPiece Piece)> encoded, long at, byte[] buffer)
    {
        foreach (var (_, part) in encoded) _codec.Next(part);
        for (long left = encoded.Sum(e => (long)e.Length); left > 0;)
        {
            var some = buffer.AsSpan(0, (int)Math.Min(buffer.Length, left));
            ReadHeap(some, at);
            target.Write(some);
            at += some.Length;
            left -= some.Length;
        }
    }

    public override void Clear()
    {
        lock (_gate)
        {
            while (_working > 0) Monitor.Wait(_gate);
            foreach (var piece in _pieces.Values.Where(p => p.Raw is not null)) Close(piece);
            _pieces.Clear();
            _heapEnd = 0;
        }
    }

    public override void Dispose()
    {
        lock (_gate)
            while (_working > 0) Monitor.Wait(_gate);
        _codec.Dispose();
    }
}
