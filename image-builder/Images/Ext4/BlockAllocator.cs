namespace OsBuild.Images.Ext4;

/// <summary>Hands out blocks from front to back, around those that the layout keeps, and remembers which are in use. Bitmaps exist
/// only for groups that have more in use than copies of the superblock: the kernel works the others out for itself (BLOCK_UNINIT).</summary>
internal sealed class BlockAllocator
{
    private readonly Ext4Layout _layout;
    private readonly List<BlockRun> _kept;
    private readonly byte[]?[] _bitmaps;
    private readonly int[] _used;
    private long _next;
    private int _nextKept;

    public BlockAllocator(Ext4Layout layout)
    {
        _layout = layout;
        _bitmaps = new byte[layout.Groups][];
        _used = new int[layout.Groups];
        _kept = [.. layout.Fixed.Concat(layout.Journal).OrderBy(run => run.First)];
        Free = layout.Blocks - _kept.Sum(run => run.Count);
        for (var group = 0; group < layout.Groups; group++)
            if (Ext4Layout.HasSuperBlock(group)) _used[group] += 1 + layout.DescriptorBlocks;
        for (var group = 0; group < layout.Groups; group++)
        {
            Mark(new BlockRun(layout.BlockBitmaps[group], 1));
            Mark(new BlockRun(layout.InodeBitmaps[group], 1));
            Mark(new BlockRun(layout.InodeTables[group], layout.TableBlocks));
        }

        foreach (var run in layout.Journal) Mark(run);

        // The last group's bitmap has padding in it, which the kernel does not work out.
        BitmapOf(layout.Groups - 1);
    }

    /// <summary>Blocks that are left.</summary>
    public long Free { get; private set; }

    /// <summary>Takes the next blocks in a row: at least one and at most <paramref name="wanted"/>, or none when all are in use.</summary>
    public BlockRun Take(long wanted)
    {
        while (_nextKept < _kept.Count && _kept[_nextKept].First <= _next) _next = Math.Max(_next, _kept[_nextKept++].End);
        var end = _nextKept < _kept.Count ? _kept[_nextKept].First : _layout.Blocks;
        var run = new BlockRun(_next, Math.Min(wanted, end - _next));
        if (run.Count == 0) return run;
        Mark(run);
        _next = run.End;
        Free -= run.Count;
        return run;
    }

    /// <summary>Blocks in use in a group.</summary>
    public int Used(int group) => _used[group];

    /// <summary>The bitmap of a group, or null when none needs to be written.</summary>
    public byte[]? Bitmap(int group) => _bitmaps[group];

    private void Mark(BlockRun run)
    {
        while (run.Count > 0)
        {
            var group = (int)(run.First / Ext4Layout.BlocksPerGroup);
            var from = (int)(run.First - Ext4Layout.FirstBlock(group));
            var count = (int)Math.Min(run.Count, Ext4Layout.BlocksPerGroup - from);
            Bits.Set(BitmapOf(group), from, count);
            _used[group] += count;
            run = new BlockRun(run.First + count, run.Count - count);
        }
    }

    private byte[] BitmapOf(int group)
    {
        if (_bitmaps[group] is { } existing) return existing;
        var bitmap = _bitmaps[group] = new byte[Ext4Layout.BlockSize];
        if (Ext4Layout.HasSuperBlock(group)) Bits.Set(bitmap, 0, 1 + _layout.DescriptorBlocks);
        var blocks = _layout.BlocksIn(group);
        Bits.Set(bitmap, blocks, Ext4Layout.BlocksPerGroup - blocks);
        return bitmap;
    }
}

/// <summary>Runs of bits in a bitmap, lowest bit of a byte first.</summary>
internal static class Bits
{
    public static void Set(Span<byte> bitmap, int from, int count)
    {
        var end = from + count;
        while (from < end && from % 8 != 0) bitmap[from / 8] |= (byte)(1 << (from++ % 8));
        var bytes = (end - from) / 8;
        if (bytes > 0) bitmap.Slice(from / 8, bytes).Fill(0xFF);
        for (from += Math.Max(0, bytes) * 8; from < end; from++) bitmap[from / 8] |= (byte)(1 << (from % 8));
    }

    public static bool IsSet(ReadOnlySpan<byte> bitmap, int bit) => (bitmap[bit / 8] >> (bit % 8) & 1) != 0;
}
