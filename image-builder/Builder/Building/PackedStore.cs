using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>An image that is compressed while it is made: pieces that were passed are hashed and encoded on other threads and go to a file in the
/// order in which they come; at the end all are put behind each other in their places. The image itself is never on a disk. A piece that is
/// written to after all is decoded again, and few pieces are open at a time, so that memory does not grow with the image. What is read of a
/// piece that is not open is looked at beside them: reading closes none.</summary>
internal sealed class PackedStore(Codec codec, int level, SafeFileHandle heap, long size) : ImageStore
{
    // An encoder that has nothing to do costs as much memory as one that has, and one writer does not keep more than this many busy.
    private static readonly int Encoders = Math.Min(Environment.ProcessorCount, 4);
    private static readonly int MostOpen = Encoders + 2;
    private const int MoveStep = 256 << 10;
    private readonly object _gate = new();
    private readonly PieceCodec _codec = Codecs.OpenPieces(codec, level);
    private readonly Dictionary<int, PackedPiece> _pieces = [];
    private readonly Queue<PackedPiece> _passed = new();
    private readonly Stack<byte[]> _free = new();
    private int _open, _working;
    private (PackedPiece? Piece, byte[] Raw) _looked = (null, []);
    private long _heapEnd, _uses;
    private Exception? _failure;

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
                piece.Fill(piece.Raw!, offset);
                bytes[..some].CopyTo(piece.Raw.AsSpan(offset));
                piece.Filled = Math.Max(piece.Filled, offset + some);
                piece.Writes++;
                (piece.At, piece.Encoded, piece.Digest) = (-1, null, null);
                if (_looked.Piece == piece) _looked.Piece = null;
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
                var have = 0;
                if (_pieces.TryGetValue(number, out var piece) && piece.Filled > offset)
                {
                    have = Math.Min(some, piece.Filled - offset);
                    if (piece is { Raw: null, Encoded: null }) ReadHeap(bytes[..have], piece.At + offset);
                    else Look(piece).AsSpan(offset, have).CopyTo(bytes);
                }

                bytes[have..some].Clear();
            }

            bytes = bytes[some..];
            at += some;
        }
    }

    /// <summary>The piece with its bytes in memory. Others give way for it.</summary>
    private PackedPiece Open(int number)
    {
        if (_failure is not null) throw new IOException(_failure.Message, _failure);
        if (!_pieces.TryGetValue(number, out var piece)) _pieces[number] = piece = new(LengthOf(number));
        piece.LastUse = ++_uses;
        if (piece.Raw is not null) return piece;
        while (_open >= MostOpen)
        {
            // One that was left before it was full would keep an encoder from its work.
            if (_pieces.Values.Where(p => p is { Raw: not null, InWork: false }).MinBy(p => p.LastUse) is { } left) PutAside(left);
            else Monitor.Wait(_gate);
        }

        var raw = Room();
        _open++;
        if (piece.At >= 0) Fetch(piece, raw);
        piece.Raw = raw;
        return piece;
    }

    /// <summary>What was written of a piece that is open or encoded, to read.</summary>
    private byte[] Look(PackedPiece piece)
    {
        if (_failure is not null) throw new IOException(_failure.Message, _failure);
        if (piece.Raw is not null) return piece.Raw;
        if (_looked.Piece == piece) return _looked.Raw;
        _looked = (null, _looked.Raw.Length == 0 ? Room() : _looked.Raw);
        Fetch(piece, _looked.Raw);
        _looked.Piece = piece;
        return _looked.Raw;
    }

    private byte[] Room() => _free.TryPop(out var used) ? used : GC.AllocateUninitializedArray<byte>(PieceSize);

    private void Fetch(PackedPiece piece, byte[] raw)
    {
        if (piece.Encoded is { } encoded) Decode(encoded, piece.At, raw.AsSpan(0, piece.Filled));
        else ReadHeap(raw.AsSpan(0, piece.Filled), piece.At);
    }

    /// <summary>Lets a piece go as it is: it is not full, so it will be written to again.</summary>
    private void PutAside(PackedPiece piece)
    {
        if (piece.At < 0)
        {
            piece.At = Reserve(piece.Filled);
            RandomAccess.Write(heap, piece.Raw.AsSpan(0, piece.Filled), piece.At);
        }

        Close(piece);
    }

    private void Close(PackedPiece piece)
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
            PackedPiece? piece;
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

    private void Pack(PackedPiece piece)
    {
        int writes;
        byte[] raw;
        lock (_gate)
        {
            (writes, raw) = (piece.Writes, piece.Raw!);
            piece.Fill(raw, piece.Length);
        }

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
        // With the head and the end of any format, so that it need not grow.
        var file = new MemoryStream(encoded.Sum(e => e.Length) + (64 << 10));
        using (var whole = Codecs.OpenPieces(codec, level))
        {
            whole.Begin(file);
            foreach (var (length, part) in encoded)
            {
                whole.Next(part);
                file.SetLength(file.Position + length);
                ReadHeap(file.GetBuffer().AsSpan((int)file.Position, length), at);
                at += length;
                file.Position += length;
            }

            whole.End(file);
        }

        file.Position = 0;
        using var decoded = Codecs.OpenRead(file, codec);
        decoded.ReadExactly(raw);
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
    public void WriteTo(FileStream target, Progress progress, CancellationToken cancel)
    {
        lock (_gate)
        {
            while (_working > 0) Monitor.Wait(_gate);
            if (_failure is not null) throw new IOException(_failure.Message, _failure);
        }

        var step = progress.Begin("compress", size);
        PackRest(cancel);
        _codec.Begin(target);
        var places = Place(target.Position, out var end);
        long done = 0;
        InParallel(places, Move, cancel);
        void Move(Placed place)
        {
            Put(target.SafeFileHandle, place);
            lock (step) step.At(done += place.Length);
        }

        target.Position = end;
        _codec.End(target);
        target.Flush();
        step.End();
    }

    /// <summary>Where a piece goes in the file: its bytes, or where they lie in the heap.</summary>
    private readonly record struct Placed(long To, int Length, long From, ReadOnlyMemory<byte> Bytes);

    private List<Placed> Place(long to, out long end)
    {
        var places = new List<Placed>();
        IReadOnlyList<EncodedPiece>? zeros = null;
        for (var number = 0; (long)number * PieceSize < size; number++)
        {
            if (_pieces.TryGetValue(number, out var piece))
            {
                var encoded = piece.Encoded!;
                foreach (var (_, part) in encoded) _codec.Next(part);
                places.Add(new(to, encoded.Sum(e => e.Length), piece.At, default));
                to += places[^1].Length;
                continue;
            }

            foreach (var part in LengthOf(number) < PieceSize ? Encode(new byte[LengthOf(number)]) : zeros ??= Encode(new byte[PieceSize]))
            {
                _codec.Next(part);
                places.Add(new(to, part.Bytes.Length, -1, part.Bytes));
                to += part.Bytes.Length;
            }
        }

        end = to;
        return places;
    }

    private void Put(SafeFileHandle target, Placed place)
    {
        if (place.From < 0)
        {
            RandomAccess.Write(target, place.Bytes.Span, place.To);
            return;
        }

        var bytes = ArrayPool<byte>.Shared.Rent(MoveStep);
        for (var done = 0; done < place.Length;)
        {
            var some = bytes.AsSpan(0, Math.Min(MoveStep, place.Length - done));
            ReadHeap(some, place.From + done);
            RandomAccess.Write(target, some, place.To + done);
            done += some.Length;
        }

        ArrayPool<byte>.Shared.Return(bytes);
    }

    /// <summary>Encodes what never was full: pieces that are open, and those put aside.</summary>
    private void PackRest(CancellationToken cancel)
    {
        var rest = _pieces.Values.Where(p => p.Encoded is null).OrderBy(p => p.Raw is null).ToList();
        InParallel(rest, PackLate, cancel);
    }

    private static void InParallel<T>(IReadOnlyCollection<T> all, Action<T> act, CancellationToken cancel)
    {
        try
        {
            Parallel.ForEach(all, new ParallelOptions { CancellationToken = cancel, MaxDegreeOfParallelism = Encoders }, act);
        }
        catch (AggregateException e)
        {
            throw new IOException(e.InnerExceptions[0].Message, e);
        }
    }

    private void PackLate(PackedPiece piece)
    {
        var raw = piece.Raw;
        if (raw is null)
        {
            lock (_gate) raw = Room();
            Fetch(piece, raw);
        }

        piece.Fill(raw, piece.Length);
        (piece.At, piece.Encoded) = Keep(Encode(raw.AsSpan(0, piece.Length)));
        lock (_gate)
        {
            if (piece.Raw is not null) Close(piece);
            else _free.Push(raw);
        }
    }

    public override void Clear()
    {
        lock (_gate)
        {
            while (_working > 0) Monitor.Wait(_gate);
            foreach (var piece in _pieces.Values.Where(p => p.Raw is not null)) Close(piece);
            _pieces.Clear();
            _looked.Piece = null;
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
