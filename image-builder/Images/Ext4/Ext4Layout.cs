namespace OsBuild.Images.Ext4;

/// <summary>What an ext4 file system is to be. Everything that could differ between two runs is an argument.</summary>
public sealed record Ext4Options
{
    /// <summary>Size in bytes; a multiple of 4096, at least 2 MiB.</summary>
    public required long Size { get; init; }

    /// <summary>Volume label, at most 16 bytes of UTF-8.</summary>
    public string Label { get; init; } = "";

    /// <summary>File-system UUID.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>Seed of directory hashes.</summary>
    public required Guid HashSeed { get; init; }

    /// <summary>Creation time, seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Size of the journal in bytes; 0 for none, else 4 MiB to 256 MiB. Growing does not change it, so choose it for the final disk.</summary>
    public long JournalSize { get; init; }

    /// <summary>Bytes per inode, 4096 to 1 MiB; growing keeps the density. File systems below 16 MiB get fewer, so that the table
    /// takes at most an eighth of them.</summary>
    public int BytesPerInode { get; init; } = 16384;

    /// <summary>True when blocks that are never written will read as zeros on the final medium too, so that kernels need not clear
    /// unused inode tables. False is safe on a card that held something else before and is written from a block map.</summary>
    public bool UnwrittenIsZero { get; init; }

    /// <summary>Keeps the seed of all checksums beside the UUID (metadata_csum_seed), so that a new UUID changes the superblock only.
    /// Kernels before 4.4 refuse that feature; false makes a file system they take.</summary>
    public bool KeepsChecksumSeed { get; init; } = true;
}

/// <summary>Where everything lies in an ext4 file system of a given size. Pure.
/// <para>Blocks of 4 KiB; 16 groups share the space behind the first one's superblock for their bitmaps and inode tables (flex_bg);
/// copies of superblock and descriptors lie in groups 1 and the powers of 3, 5 and 7 (sparse_super). The kernel grows this form
/// while it is mounted (EXT4_IOC_RESIZE_FS), which it refuses for sparse_super2.</para></summary>
public sealed record Ext4Layout
{
    /// <summary>Size of a block in bytes.</summary>
    public const int BlockSize = 4096;

    internal const int BlocksPerGroup = BlockSize * 8;
    internal const int LogGroupsPerFlex = 4;
    internal const int InodesPerBlock = BlockSize / InodeView.Size;
    private const int GroupsPerFlex = 1 << LogGroupsPerFlex;
    private const long Largest = 8L << 40;

    private Ext4Layout(Ext4Options options) => Options = options;

    /// <summary>What was asked for.</summary>
    public Ext4Options Options { get; }

    /// <summary>Blocks of the file system; a last group too small for its own tables is left out.</summary>
    public long Blocks { get; private init; }

    /// <summary>Number of block groups.</summary>
    public int Groups { get; private init; }

    /// <summary>Inodes in each group.</summary>
    public int InodesPerGroup { get; private init; }

    /// <summary>Inodes in all, the 11 reserved ones included.</summary>
    public uint Inodes => (uint)(Groups * (long)InodesPerGroup);

    /// <summary>Blocks that files and directories can have.</summary>
    public long FreeBlocks => Blocks - Fixed.Sum(run => run.Count) - Journal.Sum(run => run.Count);

    /// <summary>Where the journal lies, in bytes from the start. Its first block is written; the others must read as zeros on the
    /// final medium: what an older journal left in the same place could be replayed.</summary>
    public IEnumerable<(long Offset, long Length)> MustBeZero =>
        Journal.Select((run, i) => i == 0 ? new BlockRun(run.First + 1, run.Count - 1) : run)
            .Select(run => (run.First * BlockSize, run.Count * BlockSize));

    internal int DescriptorBlocks { get; init; }

    internal IReadOnlyList<BlockRun> Journal { get; init; } = [];

    /// <summary>Superblocks, descriptors, bitmaps and inode tables, in order.</summary>
    internal IReadOnlyList<BlockRun> Fixed { get; init; } = [];

    internal long[] BlockBitmaps { get; init; } = [];

    internal long[] InodeBitmaps { get; init; } = [];

    internal long[] InodeTables { get; init; } = [];

    internal int TableBlocks => InodesPerGroup / InodesPerBlock;

    /// <summary>Works out the layout.</summary>
    /// <exception cref="ImageException">The size or the label is out of range.</exception>
    public static Ext4Layout For(Ext4Options options)
    {
        Check(options);
        var blocks = options.Size / BlockSize;
        var groups = GroupsOf(blocks);
        var inodesPerGroup = InodesFor(options, blocks, groups);

        // As mke2fs does: a last group that could not hold its own tables and 50 blocks more is given up.
        while (groups > 1 && blocks - ((groups - 1L) * BlocksPerGroup) < OwnBlocks(groups - 1, groups, inodesPerGroup) + 50)
        {
            groups--;
            blocks = groups * (long)BlocksPerGroup;
        }

        var layout = new Ext4Layout(options)
        {
            Blocks = blocks,
            Groups = groups,
            InodesPerGroup = inodesPerGroup,
            DescriptorBlocks = DescriptorBlocksOf(groups),
            BlockBitmaps = new long[groups],
            InodeBitmaps = new long[groups],
            InodeTables = new long[groups],
        };
        layout = layout with { Fixed = layout.PlaceTables() };
        return options.JournalSize == 0 ? layout : layout with { Journal = layout.PlaceJournal() };
    }

    /// <summary>Whether a group has a copy of the superblock and the descriptors (sparse_super).</summary>
    internal static bool HasSuperBlock(int group) => group <= 1 || IsPower(group, 3) || IsPower(group, 5) || IsPower(group, 7);

    internal static long FirstBlock(int group) => group * (long)BlocksPerGroup;

    internal int BlocksIn(int group) => (int)Math.Min(BlocksPerGroup, Blocks - FirstBlock(group));

    private static void Check(Ext4Options options)
    {
        if (options.Size is < (2 << 20) or > Largest || options.Size % BlockSize != 0)
            throw TooLarge($"An ext4 file system of {options.Size} bytes cannot be made; the size is a multiple of 4096 from 2 MiB to 8 TiB.");
        if (Trees.UnixText.Encode(options.Label).Length > 16)
            throw TooLarge($"The label {options.Label} is longer than the 16 bytes an ext4 label has; choose a shorter one.");
        if (options.JournalSize != 0 && (options.JournalSize is < (4 << 20) or > (256 << 20) || options.JournalSize % BlockSize != 0))
            throw TooLarge($"An ext4 journal of {options.JournalSize} bytes cannot be made; it is a multiple of 4096 from 4 MiB to 256 MiB, or 0 for none.");
        if (options.BytesPerInode is < 4096 or > (1 << 20))
            throw TooLarge($"An ext4 file system with an inode for each {options.BytesPerInode} bytes cannot be made; the range is 4096 to 1048576.");
        if (options.CreatedAt is < 0 or > (1L << 40) - 1)
            throw TooLarge($"The creation time {options.CreatedAt} does not fit the 40 bits of a superblock; use seconds since 1970.");
    }

    private static int InodesFor(Ext4Options options, long blocks, int groups)
    {
        var wanted = BlocksPerGroup / (options.BytesPerInode / 1024) * (BlockSize / 1024);
        if (groups == 1) wanted = Math.Min(wanted, (int)(blocks / 8) * InodesPerBlock);
        return Math.Clamp((wanted + InodesPerBlock - 1) / InodesPerBlock * InodesPerBlock, InodesPerBlock, BlocksPerGroup);
    }

    private static int GroupsOf(long blocks) => (int)((blocks + BlocksPerGroup - 1) / BlocksPerGroup);

    private static int DescriptorBlocksOf(int groups) => ((groups * GroupDescriptor.Size) + BlockSize - 1) / BlockSize;

    private static int OwnBlocks(int group, int groups, int inodesPerGroup) =>
        2 + (inodesPerGroup / InodesPerBlock) + (HasSuperBlock(group) ? 1 + DescriptorBlocksOf(groups) : 0);

    private static bool IsPower(int value, int of)
    {
        while (value % of == 0) value /= of;
        return value == 1;
    }

    private List<BlockRun> PlaceTables()
    {
        var taken = new List<BlockRun>();
        for (var group = 0; group < Groups; group++)
            if (HasSuperBlock(group)) taken.Add(new BlockRun(FirstBlock(group), 1 + DescriptorBlocks));

        var superBlocks = taken.ToArray();
        for (var flex = 0; flex < Groups; flex += GroupsPerFlex)
        {
            var count = Math.Min(GroupsPerFlex, Groups - flex);
            var next = FirstBlock(flex);
            var backup = Array.FindIndex(superBlocks, run => run.End > next);
            for (var group = flex; group < flex + count; group++) taken.Add(new BlockRun(BlockBitmaps[group] = Place(1), 1));
            for (var group = flex; group < flex + count; group++) taken.Add(new BlockRun(InodeBitmaps[group] = Place(1), 1));
            for (var group = flex; group < flex + count; group++) taken.Add(new BlockRun(InodeTables[group] = Place(TableBlocks), TableBlocks));

            long Place(int blocks)
            {
                while (backup >= 0 && backup < superBlocks.Length && superBlocks[backup].First < next + blocks) next = Math.Max(next, superBlocks[backup++].End);
                next += blocks;
                if (next > Blocks) throw TooLarge($"The tables of an ext4 file system of {Options.Size} bytes do not fit into it; make it larger or use more bytes per inode.");
                return next - blocks;
            }
        }

        return Merge(taken);
    }

    private static List<BlockRun> Merge(List<BlockRun> runs)
    {
        runs.Sort((a, b) => a.First.CompareTo(b.First));
        var merged = new List<BlockRun>();
        foreach (var run in runs)
        {
            if (merged is [.., var last] && last.End == run.First) merged[^1] = last with { Count = last.Count + run.Count };
            else merged.Add(run);
        }

        return merged;
    }

    private List<BlockRun> PlaceJournal()
    {
        var wanted = Options.JournalSize / BlockSize;
        if (wanted >= FreeBlocks) throw TooLarge($"A journal of {new ByteSize(Options.JournalSize)} does not fit into an ext4 file system of {new ByteSize(Options.Size)}; make the journal smaller or the file system larger.");
        var runs = new List<BlockRun>();
        for (var i = 0; wanted > 0; i++)
        {
            var end = i + 1 < Fixed.Count ? Fixed[i + 1].First : Blocks;
            var count = Math.Min(wanted, end - Fixed[i].End);
            if (count > 0) runs.Add(new BlockRun(Fixed[i].End, count));
            wanted -= count;
        }

        return runs;
    }

    private static ImageException TooLarge(string message) => new(ImageErrorKind.TooLarge, message);
}
