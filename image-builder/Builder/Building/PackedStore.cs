using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OsBuild.Images.Compression;

namespace OsBuild.ImageBuilder.Building;

/// <summary>An image that is compressed while it is made: pieces that were passed are hashed and encoded on other threads and go to a file in the
/// order in which they come; at the end all are put behind each other in their places. The image itself is never on a disk. A piece that is
/// written to after all is decoded again, and few pieces are open at a time, so that memory does not grow with the image.</summary>
internal sealed class PackedStore(Codec codec, int level, SafeFileHandle heap, long size) : ImageStore
{
    private const int MostOpen = 5;
    private readonly object _gate = new();
    private readonly PieceCodec _codec = Codecs.OpenPieces(codec, level);
    private readonly Dictionary<int, Piece> _pieces = [];
    private readonly Stack<byte[]> _free = new();
    private int _open, _working;
    private long _heapEnd, _uses;
    private Exception? _failure;

    private sealed class Piece
    {
        /// <summary>Its bytes, while it is open.</summary>
        public byte[]? Raw { get; set; }

        /// <summary>Where it lies in the heap while it is not open: encoded, or as it is.</summary>
        public long At { get; set; } = -1;

        public IReadOnlyList<(int Length, EncodedPiece Piece)>? Encoded { get; set; }

        public int Writes { get; set; }

        public long LastUse { get; set; }

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
                piece.Digest = null;
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
        if (!_pieces.TryGetValue(number, out var piece)) _pieces[number] = piece = new();
        piece.LastUse = ++_uses;
        if (piece.Raw is not null) return piece;
        while (_open >= MostOpen)
        {
            if (_working > 0) Monitor.Wait(_gate);
            else PutAside();
        }

        var raw = _free.TryPop(out var used) ? used : GC.AllocateUninitializedArray<byte>(PieceSize);
        _open++;
        if (piece.At < 0) Array.Clear(raw);
        else if (piece.Encoded is { } encoded) Decode(encoded, piece.At, raw);
        else ReadHeap(raw, piece.At);
        (piece.Raw, piece.At, piece.Encoded) = (raw, -1, null);
        return piece;
    }

    /// <summary>Lets the piece go that was not used for longest, as it is: it is not full, so it will be written to again.</summary>
    private void PutAside()
    {
        var piece = _pieces.Values.Where(p => p.Raw is not null).MinBy(p => p.LastUse)!;
        piece.At = _heapEnd;
        RandomAccess.Write(heap, piece.Raw, _heapEnd);
        _heapEnd += PieceSize;
        Close(piece);
    }

    private void Close(Piece piece)
    {
        _free.Push(piece.Raw!);
        piece.Raw = null;
        _open--;
    }

    public override void Passed(int piece)
    {
        lock (_gate)
        {
            if (!_pieces.TryGetValue(piece, out var found) || found.Raw is null || found.InWork) return;
            found.InWork = true;
            _working++;
            var (writes, raw) = (found.Writes, found.Raw);
            Task.Run(() => Pack(found, writes, raw, LengthOf(piece)));
        }
    }

    private void Pack(Piece piece, int writes, byte[] raw, int length)
    {
        try
        {
            var digest = Convert.ToHexStringLower(SHA256.HashData(raw.AsSpan(0, length)));
            var encoded = Encode(raw.AsSpan(0, length));
            lock (_gate)
            {
                // Written to meanwhile: it is full, but not yet what it will be.
                if (piece.Writes != writes) return;
                piece.Digest = digest;
                PutEncoded(piece, encoded);
                Close(piece);
            }
        }
        catch (Exception e)
        {
            lock (_gate) _failure ??= e;
        }
        finally
        {
            lock (_gate)
            {
                piece.InWork = false;
                _working--;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private List<EncodedPiece> Encode(ReadOnlySpan<byte> raw)
    {
        var encoded = new List<EncodedPiece>();
        for (var at = 0; at < raw.Length; at += _codec.PieceSize) encoded.Add(_codec.Encode(raw[at..Math.Min(raw.Length, at + _codec.PieceSize)]));
        return encoded;
    }

    private void PutEncoded(Piece piece, IReadOnlyList<EncodedPiece> encoded)
    {
        piece.At = _heapEnd;
        foreach (var part in encoded)
        {
            RandomAccess.Write(heap, part.Bytes.Span, _heapEnd);
            _heapEnd += part.Bytes.Length;
            _codec.Release(part);
        }

        // The bytes are in the heap now; what the end of the file needs of them stays.
        piece.Encoded = [.. encoded.Select(e => (e.Bytes.Length, e with { Bytes = default }))];
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

        var count = (int)((size + PieceSize - 1) / PieceSize);
        var step = progress.Begin("compress", size);
        // What is open is encoded on all cores; there are few of them.
        Parallel.ForEach(_pieces.Values.Where(p => p.Raw is not null).ToList(), new ParallelOptions { CancellationToken = cancel, MaxDegreeOfParallelism = Environment.ProcessorCount }, piece =>
        {
            var number = _pieces.First(p => p.Value == piece).Key;
            var encoded = Encode(piece.Raw.AsSpan(0, LengthOf(number)));
            lock (_gate) PutEncoded(piece, encoded);
        });
        List<EncodedPiece>? zeros = null;
        _codec.Begin(target);
        for (var number = 0; number < count; number++)
        {
            cancel.ThrowIfCancellationRequested();
            if (!_pieces.TryGetValue(number, out var piece)) Emit(target, LengthOf(number) < PieceSize ? Encode(new byte[LengthOf(number)]) : zeros ??= Encode(new byte[PieceSize]));
            else if (piece.Encoded is { } encoded) Copy(target, encoded, piece.At);
            else Emit(target, Encode(PutAsideBytes(piece, number)));
            step.At((number + 1L) * PieceSize);
        }

        _codec.End(target);
        step.End();
    }

    private byte[] PutAsideBytes(Piece piece, int number)
    {
        var raw = new byte[PieceSize];
        ReadHeap(raw, piece.At);
        return raw[..LengthOf(number)];
    }

    private void Emit(Stream target, List<EncodedPiece> encoded)
    {
        foreach (var part in encoded)
        {
            _codec.Next(part);
            target.Write(part.Bytes.Span);
        }
    }

    private void Copy(Stream target, IReadOnlyList<(int Length, EncodedPiece Piece)> encoded, long at)
    {
        foreach (var (length, part) in encoded)
        {
            _codec.Next(part);
            var bytes = ArrayPool<byte>.Shared.Rent(length);
            ReadHeap(bytes.AsSpan(0, length), at);
            target.Write(bytes, 0, length);
            ArrayPool<byte>.Shared.Return(bytes);
            at += length;
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
