namespace OsBuild.Images.Ext4;

/// <summary>All inodes in use, as they will lie on the medium. Numbers are given in order, so the unused ones are all at the end.</summary>
internal sealed class InodeTable(uint capacity)
{
    private const int InodesPerChunk = 1024;

    private readonly List<byte[]> _chunks = [];

    /// <summary>The highest number given; those below 11 are reserved and always count.</summary>
    public uint Last { get; private set; } = SpecialInode.LostAndFound - 1;

    public uint Take()
    {
        if (Last == capacity)
            throw new ImageException(ImageErrorKind.TooLarge, $"The tree has more files than the {capacity} inodes of its ext4 file system; use fewer bytes per inode or make it larger.");
        return ++Last;
    }

    public InodeView this[uint inode]
    {
        get
        {
            var index = (int)(inode - 1);
            while (_chunks.Count <= index / InodesPerChunk) _chunks.Add(new byte[InodesPerChunk * InodeView.Size]);
            return new InodeView(_chunks[index / InodesPerChunk].AsSpan(index % InodesPerChunk * InodeView.Size, InodeView.Size));
        }
    }

    /// <summary>A piece of the table that starts at an inode (the first of its block) and lies in memory in a row.</summary>
    public ReadOnlySpan<byte> Piece(uint first, uint most)
    {
        var index = (int)(first - 1);
        var count = Math.Min(InodesPerChunk - (index % InodesPerChunk), (int)most);
        _ = this[first];
        return _chunks[index / InodesPerChunk].AsSpan(index % InodesPerChunk * InodeView.Size, count * InodeView.Size);
    }
}
