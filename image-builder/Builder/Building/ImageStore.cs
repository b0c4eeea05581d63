using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace OsBuild.ImageBuilder.Building;

/// <summary>Where the bytes of an image are while it is made. One thread writes; reads may come from others.</summary>
internal abstract class ImageStore : IDisposable
{
    /// <summary>The image is hashed, and compressed, in pieces of this size, each as soon as nothing more is written to it.</summary>
    public const int PieceSize = 4 << 20;

    /// <summary>So much is read and hashed at a time: what was read is then still in the processor's cache.</summary>
    public const int HashStep = 256 << 10;

    public abstract void Write(ReadOnlySpan<byte> bytes, long at);

    /// <summary>Fills the span; what was never written is zeros.</summary>
    public abstract void Read(Span<byte> bytes, long at);

    /// <summary>Forgets everything.</summary>
    public abstract void Clear();

    /// <summary>Told that a piece is full and the writer has gone on: most likely it stays as it is.</summary>
    public abstract void Passed(int piece);

    /// <summary>The digest of a full piece, when it is known already and still true; else null.</summary>
    public abstract string? Early(int piece);

    /// <summary>SHA-256 of a run of bytes in lower-case hexadecimal.</summary>
    /// <param name="at">Its first byte.</param>
    /// <param name="end">The byte behind its last.</param>
    /// <param name="buffer">Room for <see cref="HashStep"/> bytes.</param>
    /// <param name="done">Told how far it is.</param>
    /// <param name="cancel">Ends it early.</param>
    public string Digest(long at, long end, byte[] buffer, Action<long>? done, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        while (at < end)
        {
            cancel.ThrowIfCancellationRequested();
            var some = (int)Math.Min(buffer.Length, end - at);
            Read(buffer.AsSpan(0, some), at);
            hash.AppendData(buffer, 0, some);
            at += some;
            done?.Invoke(at);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public abstract void Dispose();
}

/// <summary>A sparse file. Pieces that were passed are hashed on a thread of their own, beside the writing.</summary>
internal sealed class FileStore : ImageStore
{
    private readonly SafeFileHandle _file;
    private readonly long _size;
    private readonly int[] _writes;
    private readonly BlockingCollection<int> _waiting = [];
    private readonly ConcurrentDictionary<int, (int Writes, string Digest)> _early = new();
    private readonly Thread _hasher;
    private readonly Lock _hashing = new();

    public FileStore(SafeFileHandle file, long size)
    {
        (_file, _size) = (file, size);
        RandomAccess.SetLength(file, size);
        _writes = new int[(int)(size / PieceSize) + 1];
        _hasher = new Thread(HashWaiting) { IsBackground = true, Name = "hash" };
        _hasher.Start();
    }

    public override void Write(ReadOnlySpan<byte> bytes, long at)
    {
        var (first, last) = ((int)(at / PieceSize), (int)((at + bytes.Length - 1) / PieceSize));
        // Odd while a write is under way: what was read meanwhile does not count.
        for (var piece = first; piece <= last; piece++) Interlocked.Increment(ref _writes[piece]);
        RandomAccess.Write(_file, bytes, at);
        for (var piece = first; piece <= last; piece++) Interlocked.Increment(ref _writes[piece]);
    }

    public override void Read(Span<byte> bytes, long at)
    {
        while (!bytes.IsEmpty)
        {
            var got = RandomAccess.Read(_file, bytes, at);
            if (got == 0) throw new EndOfStreamException("The image became shorter while it was made; another program changed it.");
            bytes = bytes[got..];
            at += got;
        }
    }

    public override void Clear()
    {
        for (var piece = 0; piece < _writes.Length; piece++) Interlocked.Add(ref _writes[piece], 2);
        lock (_hashing)
        {
            RandomAccess.SetLength(_file, 0);
            RandomAccess.SetLength(_file, _size);
        }
    }

    public override void Passed(int piece) => _waiting.Add(piece);

    public override string? Early(int piece)
    {
        _waiting.CompleteAdding();
        _hasher.Join();
        return _early.TryGetValue(piece, out var early) && early.Writes == Volatile.Read(ref _writes[piece]) ? early.Digest : null;
    }

    private void HashWaiting()
    {
        var buffer = new byte[HashStep];
        foreach (var piece in _waiting.GetConsumingEnumerable())
        {
            var writes = Volatile.Read(ref _writes[piece]);
            if ((writes & 1) != 0) continue;
            lock (_hashing) _early[piece] = (writes, Digest((long)piece * PieceSize, (piece + 1L) * PieceSize, buffer, null, CancellationToken.None));
        }
    }

    public override void Dispose()
    {
        _waiting.CompleteAdding();
        _hasher.Join();
        _waiting.Dispose();
    }
}
