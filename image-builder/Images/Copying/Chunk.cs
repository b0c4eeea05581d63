using System.Collections.Concurrent;

namespace OsBuild.Images.Copying;

/// <summary>One piece of the image in memory, shared by all targets until each has let go of it.</summary>
internal sealed class Chunk(ChunkPool pool, Memory<byte> memory)
{
    private int _holders;

    public long Offset { get; private set; }

    /// <summary>Bytes used, padded to whole sectors.</summary>
    public int Length { get; private set; }

    public List<Extent> Extents { get; } = [];

    public Memory<byte> Memory => memory;

    public void Hold(long offset, int length, int holders)
    {
        Offset = offset;
        Length = length;
        _holders = holders;
    }

    public ReadOnlySpan<byte> Bytes(Extent extent) => memory.Span.Slice((int)(extent.Offset - Offset), extent.Length);

    public void LetGo()
    {
        if (Interlocked.Decrement(ref _holders) == 0) pool.Return(this);
    }
}

/// <summary>A fixed number of chunks: what bounds the memory of a copy.</summary>
internal sealed class ChunkPool : IDisposable
{
    private readonly BlockingCollection<Chunk> _free = [];
    private readonly int _size;
    private int _count;

    public ChunkPool(int chunks, int size)
    {
        _size = size;
        for (var i = 0; i < chunks; i++) AddOne();
    }

    /// <summary>How many there are.</summary>
    public int Count => Volatile.Read(ref _count);

    public Chunk Take(CancellationToken stop) => _free.Take(stop);

    /// <summary>Makes up for a chunk that a dead medium will never give back.</summary>
    public void AddOne()
    {
        Interlocked.Increment(ref _count);
        Return(new Chunk(this, AlignedBuffer.Allocate(_size)));
    }

    public void Return(Chunk chunk)
    {
        chunk.Extents.Clear();
        _free.Add(chunk);
    }

    public void Dispose() => _free.Dispose();
}
