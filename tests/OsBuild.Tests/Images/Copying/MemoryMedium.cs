using OsBuild.Images.Copying;

namespace OsBuild.Tests.Images.Copying;

/// <summary>A card in memory that checks what direct I/O would and fails as it is told.</summary>
internal sealed class MemoryMedium(int size, int sectorSize = 512, byte fill = 0xd1) : IMedium
{
    public byte[] Bytes { get; } = Enumerable.Repeat(fill, size).ToArray();

    /// <summary>Called before each write; may throw.</summary>
    public Action<long, int>? OnWrite { get; init; }

    public Action<long, int>? OnRead { get; init; }

    /// <summary>Changes what is kept of a write.</summary>
    public Func<long, byte[], byte[]>? Keep { get; init; }

    public Action? OnFlush { get; init; }

    public bool Discards { get; init; }

    public List<(long Offset, int Length)> Writes { get; } = [];

    public long BytesRead;

    public string Name => "card";

    public long Size => Bytes.Length;

    public int SectorSize => sectorSize;

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        CheckAligned(offset, bytes.Length);
        OnWrite?.Invoke(offset, bytes.Length);
        var kept = bytes.ToArray();
        if (Keep is not null) kept = Keep(offset, kept);
        lock (Writes)
        {
            kept.CopyTo(Bytes, offset);
            Writes.Add((offset, bytes.Length));
        }
    }

    public void Read(long offset, Span<byte> into)
    {
        CheckAligned(offset, into.Length);
        OnRead?.Invoke(offset, into.Length);
        lock (Writes) Bytes.AsSpan((int)offset, into.Length).CopyTo(into);
        Interlocked.Add(ref BytesRead, into.Length);
    }

    public void Flush() => OnFlush?.Invoke();

    public void DropCaches()
    {
    }

    public bool TryDiscard(long offset, long length)
    {
        if (Discards) Bytes.AsSpan((int)offset, (int)length).Clear();
        return Discards;
    }

    public void Dispose()
    {
    }

    private void CheckAligned(long offset, int length)
    {
        if (offset % sectorSize != 0 || length % sectorSize != 0 || length == 0) throw new InvalidOperationException($"not whole sectors: {offset}+{length}");
        if (offset < 0 || offset + length > Bytes.Length) throw new InvalidOperationException($"outside the card: {offset}+{length}");
    }
}
