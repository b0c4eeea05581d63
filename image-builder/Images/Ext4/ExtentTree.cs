namespace OsBuild.Images.Ext4;

/// <summary>Collects the extents of a file and stores them: up to four in the inode, else as a tree of blocks.</summary>
internal sealed class ExtentTree(uint fileSystemSeed)
{
    private const int InInode = (InodeView.BlockSize - 12) / 12;
    private const int InBlock = (Ext4Layout.BlockSize - 12) / 12;

    private readonly List<Extent> _extents = [];

    /// <summary>Blocks of content.</summary>
    public long Blocks { get; private set; }

    public void Clear()
    {
        _extents.Clear();
        Blocks = 0;
    }

    /// <summary>Adds blocks behind those that came before.</summary>
    public void Add(long logical, BlockRun run)
    {
        Blocks += run.Count;
        while (run.Count > 0)
        {
            if (_extents is [.., var last] && last.Logical + last.Length == logical && last.Physical + last.Length == run.First && last.Length < Extent.MaxLength)
            {
                var more = (int)Math.Min(run.Count, Extent.MaxLength - last.Length);
                _extents[^1] = last with { RawLength = (ushort)(last.Length + more) };
                (logical, run) = (logical + more, new BlockRun(run.First + more, run.Count - more));
                continue;
            }

            var count = (int)Math.Min(run.Count, Extent.MaxLength);
            _extents.Add(new Extent((uint)logical, (ushort)count, run.First));
            (logical, run) = (logical + count, new BlockRun(run.First + count, run.Count - count));
        }
    }

    /// <summary>Stores the tree's root in the inode and its other nodes in new blocks.</summary>
    /// <returns>The number of new blocks.</returns>
    public int Store(uint number, InodeView inode, Func<long> takeBlock, BlockSink sink)
    {
        inode.Flags |= InodeFlags.Extents;
        var root = inode.Block;
        if (_extents.Count <= InInode)
        {
            WriteNode(root, _extents, InInode, 0);
            return 0;
        }

        var seed = Crc32C.InodeSeed(fileSystemSeed, number, inode.Generation);
        var block = new byte[Ext4Layout.BlockSize];
        var level = new List<ExtentIndex>();
        foreach (var part in _extents.Chunk(InBlock)) level.Add(Node(part, 0, part[0].Logical));
        var blocks = level.Count;
        ushort depth = 1;
        for (; level.Count > InInode; depth++)
        {
            var lower = level;
            level = [];
            foreach (var part in lower.Chunk(InBlock)) level.Add(Node(part, depth, part[0].Logical));
            blocks += level.Count;
        }

        WriteNode(root, level, InInode, depth);
        return blocks;

        ExtentIndex Node<T>(T[] records, ushort at, uint logical) where T : struct, IOnDisk<T>
        {
            WriteNode(block, records, InBlock, at);
            var sum = Crc32C.Add(seed, block.AsSpan(0, block.Length - sizeof(uint)));
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(block.Length - sizeof(uint)), sum);
            var place = takeBlock();
            sink.Write(place, block);
            return new ExtentIndex(logical, place, 0);
        }
    }

    private static void WriteNode<T>(Span<byte> to, IReadOnlyList<T> records, int most, ushort depth) where T : struct, IOnDisk<T>
    {
        to.Clear();
        new ExtentHeader(ExtentHeader.RightMagic, (ushort)records.Count, (ushort)most, depth, 0).Write(to);
        for (var i = 0; i < records.Count; i++) records[i].Write(to[(12 * (i + 1))..]);
    }
}
