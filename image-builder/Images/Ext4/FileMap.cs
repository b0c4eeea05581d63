using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>A run of blocks of a file's content. Blocks that are allocated but unwritten read as zeros.</summary>
internal readonly record struct FileRun(long Logical, long Count, long Physical, bool Unwritten)
{
    public long End => Logical + Count;
}

/// <summary>Where the blocks of a file lie: from the extent tree, or from the block lists of ext2 and ext3.</summary>
internal sealed class FileMap
{
    private const int MostDepth = 5;

    private readonly Ext4Volume _volume;
    private readonly Ext4Inode _inode;
    private readonly uint _seed;

    private FileMap(Ext4Volume volume, Ext4Inode inode)
    {
        (_volume, _inode) = (volume, inode);
        _seed = inode.Seed(volume.Seed);
        var flags = inode.View.Flags;
        if ((flags & InodeFlags.InlineData) != 0) throw Unsupported("keeps its content inside its inode (inline_data)");
        if ((flags & InodeFlags.Encrypt) != 0) throw Unsupported("is encrypted");
        if ((flags & InodeFlags.Extents) != 0) ReadNode(inode.View.Block, -1, 0);
        else ReadBlockList();
    }

    /// <summary>Content in order, without the holes.</summary>
    public List<FileRun> Runs { get; } = [];

    /// <summary>Blocks that hold the map itself.</summary>
    public List<long> Nodes { get; } = [];

    /// <summary>Reads the map of an inode that has content in blocks.</summary>
    public static FileMap Of(Ext4Volume volume, Ext4Inode inode) => new(volume, inode);

    private void ReadNode(ReadOnlySpan<byte> node, int expectedDepth, long least)
    {
        var header = ExtentHeader.Read(node);
        if (header.Magic != ExtentHeader.RightMagic || header.Entries > header.Max || header.Max > (node.Length / 12) - 1) throw Broken("extent header");
        if (expectedDepth >= 0 ? header.Depth != expectedDepth || header.Entries == 0 : header.Depth > MostDepth) throw Broken("extent depth");
        if (header.Depth == 0)
        {
            for (var i = 1; i <= header.Entries; i++) AddExtent(Extent.Read(node[(12 * i)..]), least);
            return;
        }

        var children = new ExtentIndex[header.Entries];
        for (var i = 0; i < children.Length; i++) children[i] = ExtentIndex.Read(node[(12 * (i + 1))..]);
        for (var i = 0; i < children.Length; i++)
        {
            if (i > 0 && children[i].Logical <= children[i - 1].Logical) throw Broken("order of extents");
            Nodes.Add(children[i].Leaf);

            // A copy: lower nodes are read into the same cache.
            var child = _volume.Block(children[i].Leaf).ToArray();
            CheckSum(child);
            ReadNode(child, header.Depth - 1, children[i].Logical);
        }
    }

    private void CheckSum(byte[] node)
    {
        if (!_volume.HasSums) return;
        var at = 12 + (12 * ReadUInt16LittleEndian(node.AsSpan(4)));
        if (at + 4 > node.Length || Crc32C.Add(_seed, node.AsSpan(0, at)) != ReadUInt32LittleEndian(node.AsSpan(at))) throw Broken("checksum of extents");
    }

    private void AddExtent(Extent extent, long least)
    {
        if (extent.Length == 0 || extent.Logical < least || (Runs is [.., var last] && extent.Logical < last.End)) throw Broken("order of extents");
        _volume.CheckBlock(extent.Physical, extent.Length);
        Append(extent.Logical, extent.Length, extent.Physical, extent.Unwritten);
    }

    private void Append(long logical, long count, long physical, bool unwritten)
    {
        if (Runs is [.., var last] && last.End == logical && last.Physical + last.Count == physical && last.Unwritten == unwritten) Runs[^1] = last with { Count = last.Count + count };
        else Runs.Add(new FileRun(logical, count, physical, unwritten));
    }

    /// <summary>Twelve direct blocks, then one list, a list of lists and a list of those. Cut at the file's size.</summary>
    private void ReadBlockList()
    {
        var blocks = (_inode.Length + _volume.BlockSize - 1) / _volume.BlockSize;
        var pointers = _inode.View.Block;
        long budget = _volume.Super.Blocks;
        for (var i = 0; i < 12; i++) AddPointer(ReadUInt32LittleEndian(pointers[(4 * i)..]), i, 0, blocks, ref budget);
        long logical = 12;
        for (var depth = 1; depth <= 3; depth++)
        {
            AddPointer(ReadUInt32LittleEndian(pointers[(4 * (11 + depth))..]), logical, depth, blocks, ref budget);
            logical += Covered(depth);
        }
    }

    private long Covered(int depth)
    {
        long covered = 1;
        for (; depth > 0; depth--) covered *= _volume.BlockSize / 4;
        return covered;
    }

    private void AddPointer(uint block, long logical, int depth, long end, ref long budget)
    {
        if (block == 0 || logical >= end) return;
        _volume.CheckBlock(block);
        if (--budget < 0) throw Broken("list of blocks");
        if (depth == 0)
        {
            Append(logical, 1, block, false);
            return;
        }

        Nodes.Add(block);
        var list = _volume.Block(block).ToArray();
        var step = Covered(depth - 1);
        for (var i = 0; i < list.Length / 4; i++) AddPointer(ReadUInt32LittleEndian(list.AsSpan(4 * i)), logical + (i * step), depth - 1, end, ref budget);
    }

    private ImageException Broken(string what) => _volume.Corrupt($"has a wrong {what} in inode {_inode.Number}");

    private ImageException Unsupported(string what) =>
        new(ImageErrorKind.Unsupported, $"Inode {_inode.Number} of the ext4 file system {what}, which is not read here; copy the tree into a file system without that.");
}
