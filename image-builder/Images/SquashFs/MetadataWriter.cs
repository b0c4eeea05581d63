using System.Buffers;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Collects a table of metadata in blocks of 8 KiB, compressed one by one.</summary>
internal sealed class MetadataWriter(BlockEncoder encoder)
{
    private readonly ArrayBufferWriter<byte> _encoded = new(SquashFsFormat.MetadataSize);
    private readonly byte[] _block = new byte[SquashFsFormat.MetadataSize];
    private readonly List<long> _starts = [];
    private int _filled;

    /// <summary>Bytes written so far, uncompressed.</summary>
    public long Length => _starts.Count * (long)SquashFsFormat.MetadataSize + _filled;

    /// <summary>Where the next byte goes: start of its block in the table, and offset inside of the block.</summary>
    public (uint Block, ushort Offset) Position => ((uint)_encoded.WrittenCount, (ushort)_filled);

    /// <summary>Where the block lies that holds an uncompressed position which was already written.</summary>
    public uint StartOf(long position)
    {
        var block = (int)(position / SquashFsFormat.MetadataSize);
        return (uint)(block < _starts.Count ? _starts[block] : _encoded.WrittenCount);
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var some = Math.Min(bytes.Length, _block.Length - _filled);
            bytes[..some].CopyTo(_block.AsSpan(_filled));
            _filled += some;
            bytes = bytes[some..];
            if (_filled == _block.Length) EndBlock();
        }
    }

    private void EndBlock()
    {
        var encoded = encoder.Encode(_block.AsSpan(0, _filled));
        Span<byte> header = stackalloc byte[2];
        WriteUInt16LittleEndian(header, (ushort)(encoded?.Length ?? _filled | SquashFsFormat.MetadataStored));
        _starts.Add(_encoded.WrittenCount);
        _encoded.Write(header);
        _encoded.Write(encoded ?? _block.AsSpan(0, _filled));
        _filled = 0;
    }

    /// <summary>Ends the table and writes it; gives the starts of its blocks in the target.</summary>
    public List<ulong> Finish(Stream target, long origin)
    {
        if (_filled > 0) EndBlock();
        var start = (ulong)(target.Position - origin);
        target.Write(_encoded.WrittenSpan);
        return [.. _starts.Select(s => start + (ulong)s)];
    }
}
