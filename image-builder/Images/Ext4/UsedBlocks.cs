using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Which blocks are in use as the check finds them. Bitmaps exist only for groups that have some.</summary>
internal sealed class UsedBlocks(Ext4Volume volume)
{
    private readonly Dictionary<int, byte[]> _bitmaps = [];

    /// <summary>Marks superblocks, descriptors and what those point to.</summary>
    public void MarkMetadata(Action<string> find)
    {
        var perBlock = volume.BlockSize / volume.DescriptorSize;
        var descriptorBlocks = (volume.Groups + perBlock - 1) / perBlock;
        if (volume.Super.Has(IncompatibleFeatures.Mmp)) Mark(volume.Super.MmpBlock, 1, 0, find);
        var metaBg = volume.Super.Has(IncompatibleFeatures.MetaBg);
        var old = metaBg ? (int)Math.Min(volume.Super.FirstMetaBg, (uint)descriptorBlocks) : descriptorBlocks;
        for (var group = 0; group < volume.Groups; group++)
        {
            var first = volume.FirstBlock(group);
            var hasSuper = volume.HasSuperBlock(group);
            var number = group / perBlock;

            // With meta_bg, each descriptor block lies in the first, second and last of the groups it describes (ext4_bg_num_gdb).
            var head = hasSuper ? 1 : 0;
            if (metaBg && number >= old) head += group % perBlock is 0 or 1 || group % perBlock == perBlock - 1 ? 1 : 0;
            else if (hasSuper) head += old + volume.Super.ReservedDescriptorBlocks;
            if (head > 0) Mark(first, Math.Min(head, volume.BlocksIn(group)), 0, find);
            var descriptor = volume.Descriptor(group, out _);
            Mark(descriptor.BlockBitmap, 1, 0, find);
            Mark(descriptor.InodeBitmap, 1, 0, find);
            Mark(descriptor.InodeTable, ((volume.Super.InodesPerGroup * (long)volume.InodeSize) + volume.BlockSize - 1) / volume.BlockSize, 0, find);
        }
    }

    /// <summary>The inode that keeps descriptor blocks free for growth: its list of lists is its own, what that names is reserved already.</summary>
    public void MarkResizeInode(Ext4Inode inode, Action<string> find)
    {
        var list = ReadUInt32LittleEndian(inode.View.Block[(13 * 4)..]);
        if (list != 0) Mark(list, 1, inode.Number, find);
    }

    public void Mark(long first, long count, uint inode, Action<string> find)
    {
        volume.CheckBlock(first, count);
        var shared = 0;
        for (var block = first; block < first + count;)
        {
            var group = (int)((block - volume.Super.FirstDataBlock) / volume.Super.BlocksPerGroup);
            var from = (int)(block - volume.FirstBlock(group));
            var here = (int)Math.Min(first + count - block, volume.Super.BlocksPerGroup - from);
            if (!_bitmaps.TryGetValue(group, out var bitmap)) bitmap = _bitmaps[group] = new byte[((int)volume.Super.BlocksPerGroup + 7) / 8];
            for (var i = from; i < from + here; i++)
                if (Bits.IsSet(bitmap, i)) shared++;
            Bits.Set(bitmap, from, here);
            block += here;
        }

        if (shared > 0) find(inode == 0 ? $"{shared} blocks of the file system's own tables from block {first} on have two owners." : $"{shared} blocks of inode {inode} from block {first} on belong to something else too.");
    }

    public int Used(int group)
    {
        if (!_bitmaps.TryGetValue(group, out var bitmap)) return 0;
        var used = 0;
        foreach (var value in bitmap) used += BitOperations.PopCount(value);
        return used;
    }

    /// <summary>Whether a bitmap from the medium says the same; behind the last block of a group all bits are set.</summary>
    public bool Matches(int group, ReadOnlySpan<byte> stored)
    {
        var blocks = volume.BlocksIn(group);
        var bitmap = _bitmaps.GetValueOrDefault(group) ?? new byte[((int)volume.Super.BlocksPerGroup + 7) / 8];
        if (!stored[..(blocks / 8)].SequenceEqual(bitmap.AsSpan(0, blocks / 8))) return false;
        for (var bit = blocks / 8 * 8; bit < blocks; bit++)
            if (Bits.IsSet(stored, bit) != Bits.IsSet(bitmap, bit)) return false;
        for (var bit = blocks; bit < stored.Length * 8 && bit < (int)volume.Super.BlocksPerGroup; bit++)
            if (!Bits.IsSet(stored, bit)) return false;
        return true;
    }
}
