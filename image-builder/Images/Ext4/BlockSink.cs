namespace OsBuild.Images.Ext4;

/// <summary>Gathers blocks that lie one behind the other into large writes.</summary>
internal sealed class BlockSink(Stream target)
{
    private const int Capacity = 1 << 20;
    private const int LeastSpace = 64 << 10;
    private const int BlockSize = Ext4Layout.BlockSize;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(Capacity);
    private int _from;
    private int _to;
    private long _block;

    /// <summary>Where new content goes: whole blocks, 64 KiB at least. Good until the next call.</summary>
    public Memory<byte> Space(out int at)
    {
        if (_from == _to || Capacity - _to < LeastSpace)
        {
            Flush();
            (_from, _to) = (0, 0);
        }

        at = _to;
        return _buffer.AsMemory(_to);
    }

    /// <summary>Gives whole blocks, which lie in the buffer since <see cref="Space"/>, their place on the target.</summary>
    public void Append(long block, int at, int length)
    {
        if (_from == _to || block != _block + ((_to - _from) / BlockSize))
        {
            Flush();
            (_from, _to, _block) = (at, at + length, block);
            return;
        }

        if (at != _to) _buffer.AsSpan(at, length).CopyTo(_buffer.AsSpan(_to));
        _to += length;
    }

    /// <summary>Writes one block, filled up with zeros.</summary>
    public void Write(long block, ReadOnlySpan<byte> content)
    {
        var space = Space(out var at).Span[..BlockSize];
        content.CopyTo(space);
        space[content.Length..].Clear();
        Append(block, at, BlockSize);
    }

    /// <summary>Writes bytes at once, after what was gathered.</summary>
    public void WriteAt(long offset, ReadOnlySpan<byte> content)
    {
        Flush();
        target.Position = offset;
        target.Write(content);
    }

    public void Flush()
    {
        if (_from == _to) return;
        target.Position = _block * BlockSize;
        target.Write(_buffer, _from, _to - _from);
        _from = _to;
    }
}
