using OsBuild.Images.Compression;

namespace OsBuild.Images.SquashFs;

/// <summary>The content of a file, decoded block by block; the latest block is kept.</summary>
internal sealed class SquashFsFile : Stream
{
    private readonly MetadataReader _metadata;
    private readonly Inode _file;
    private readonly int _blockSize;
    private readonly List<long> _starts = [];
    private readonly byte[] _block;
    private long _decoded = -1, _position;

    public SquashFsFile(MetadataReader metadata, Inode file)
    {
        _metadata = metadata;
        _file = file;
        _blockSize = (int)metadata.Super.BlockSize;
        _block = new byte[_blockSize];
        var start = file.Start;
        foreach (var block in file.Blocks)
        {
            _starts.Add(start);
            start += block & (SquashFsFormat.BlockStored - 1);
        }
    }

    public override int Read(Span<byte> buffer)
    {
        if (_position >= _file.Size || buffer.IsEmpty) return 0;
        var index = _position / _blockSize;
        var length = (int)Math.Min(_blockSize, _file.Size - index * _blockSize);
        if (_decoded != index)
        {
            _decoded = -1;
            Decode((int)index, length);
            _decoded = index;
        }

        var offset = (int)(_position % _blockSize);
        var some = Math.Min(buffer.Length, length - offset);
        _block.AsSpan(offset, some).CopyTo(buffer);
        _position += some;
        return some;
    }

    private void Decode(int index, int length)
    {
        if (index >= _file.Blocks.Count)
        {
            DecodeFragment(length);
        }
        else if ((_file.Blocks[index] & (SquashFsFormat.BlockStored - 1)) == 0)
        {
            Array.Clear(_block);
        }
        else if (_metadata.ReadBlock(_starts[index], _file.Blocks[index], _block) != length)
        {
            throw Damage.Corrupt("squashfs", "a block has another length than its file");
        }
    }

    private void DecodeFragment(int length)
    {
        if (_file.Fragment >= _metadata.Super.Fragments) throw Damage.Corrupt("squashfs", "a file's end is not in the table of fragments");
        var entry = _metadata.Entry(_metadata.Super.FragmentTable, _file.Fragment, SquashFsFormat.FragmentEntrySize);
        var (start, field) = (entry.U64(), entry.U32());
        var fragment = new byte[_blockSize];
        var decoded = _metadata.ReadBlock((long)Math.Min(start, long.MaxValue), field, fragment);
        if (_file.FragmentOffset > decoded - length) throw Damage.Corrupt("squashfs", "a file's end lies outside of its fragment");
        fragment.AsSpan((int)_file.FragmentOffset, length).CopyTo(_block);
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => _file.Size;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => _position + offset,
        _ => _file.Size + offset,
    };

    public override void SetLength(long value) => throw new NotSupportedException("A squashfs is only read.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A squashfs is only read.");
}
