using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Writes what describes the whole: inode tables, bitmaps, descriptors and at last the superblocks.</summary>
internal sealed class Ext4Metadata(Ext4Layout layout, BlockAllocator blocks, InodeTable inodes, uint seed)
{
    private const int BlockSize = Ext4Layout.BlockSize;

    public void Write(BlockSink sink, IReadOnlyCollection<uint> directories, byte[] journal)
    {
        SumInodes();
        var descriptors = new byte[layout.DescriptorBlocks * BlockSize];
        var directoriesIn = new uint[layout.Groups];
        foreach (var directory in directories) directoriesIn[(directory - 1) / layout.InodesPerGroup]++;
        for (var group = 0; group < layout.Groups; group++)
        {
            var descriptor = WriteGroup(sink, group, directoriesIn[group]);
            descriptor.WriteWithSum(descriptors.AsSpan(group * GroupDescriptor.Size), seed, (uint)group);
        }

        // The first group's superblock is the last write: without it there is no file system.
        var superBlock = SuperBlock(journal);
        var bytes = new byte[Ext4.SuperBlock.Size];
        for (var group = layout.Groups - 1; group >= 0; group--)
        {
            if (!Ext4Layout.HasSuperBlock(group)) continue;
            var offset = Ext4Layout.FirstBlock(group) * BlockSize;
            sink.WriteAt(offset + BlockSize, descriptors);
            (superBlock with { Group = (ushort)group }).WriteWithSum(bytes);
            sink.WriteAt(group == 0 ? Ext4.SuperBlock.Offset : offset, bytes);
        }
    }

    private void SumInodes()
    {
        for (uint inode = 1; inode <= inodes.Last; inode++)
        {
            // Reserved inodes without a use stay all zeros, which counts as right.
            var view = inodes[inode];
            if (view.Mode != 0) view.SetSum(Crc32C.InodeSeed(seed, inode, 0));
        }
    }

    private GroupDescriptor WriteGroup(BlockSink sink, int group, uint directories)
    {
        var first = (uint)(group * (long)layout.InodesPerGroup) + 1;
        var usedInodes = inodes.Last >= first ? (uint)Math.Min(layout.InodesPerGroup, inodes.Last - first + 1) : 0;
        var flags = layout.Options.UnwrittenIsZero || usedInodes == layout.InodesPerGroup ? GroupFlags.InodeZeroed : 0;
        uint blockSum = 0, inodeSum = 0;
        if (blocks.Bitmap(group) is { } blockBitmap)
        {
            sink.WriteAt(layout.BlockBitmaps[group] * BlockSize, blockBitmap);
            blockSum = Crc32C.Add(seed, blockBitmap);
        }
        else
        {
            flags |= GroupFlags.BlockUninit;
        }

        if (usedInodes > 0)
        {
            var inodeBitmap = new byte[BlockSize];
            Bits.Set(inodeBitmap, 0, (int)usedInodes);
            Bits.Set(inodeBitmap, layout.InodesPerGroup, (BlockSize * 8) - layout.InodesPerGroup);
            sink.WriteAt(layout.InodeBitmaps[group] * BlockSize, inodeBitmap);
            inodeSum = Crc32C.Add(seed, inodeBitmap.AsSpan(0, layout.InodesPerGroup / 8));
            WriteTable(sink, group, first, usedInodes);
        }
        else
        {
            flags |= GroupFlags.InodeUninit;
        }

        return new GroupDescriptor
        {
            BlockBitmap = layout.BlockBitmaps[group],
            InodeBitmap = layout.InodeBitmaps[group],
            InodeTable = layout.InodeTables[group],
            FreeBlocks = (uint)(layout.BlocksIn(group) - blocks.Used(group)),
            FreeInodes = (uint)layout.InodesPerGroup - usedInodes,
            Directories = directories,
            Flags = flags,
            BlockBitmapSum = blockSum,
            InodeBitmapSum = inodeSum,
            UnusedInodes = (uint)layout.InodesPerGroup - usedInodes,
        };
    }

    private void WriteTable(BlockSink sink, int group, uint first, uint count)
    {
        var offset = layout.InodeTables[group] * BlockSize;
        count = (count + Ext4Layout.InodesPerBlock - 1) / Ext4Layout.InodesPerBlock * Ext4Layout.InodesPerBlock;
        while (count > 0)
        {
            var piece = inodes.Piece(first, count);
            sink.WriteAt(offset, piece);
            var written = (uint)(piece.Length / InodeView.Size);
            offset += piece.Length;
            first += written;
            count -= written;
        }
    }

    private SuperBlock SuperBlock(byte[] journal)
    {
        var options = layout.Options;
        return new SuperBlock
        {
            Inodes = layout.Inodes,
            Blocks = layout.Blocks,
            FreeBlocks = blocks.Free,
            FreeInodes = layout.Inodes - inodes.Last,
            LogBlockSize = 2,
            LogClusterSize = 2,
            BlocksPerGroup = Ext4Layout.BlocksPerGroup,
            ClustersPerGroup = Ext4Layout.BlocksPerGroup,
            InodesPerGroup = (uint)layout.InodesPerGroup,
            WrittenAt = options.CreatedAt,
            MaxMountCount = ushort.MaxValue,
            Magic = Ext4.SuperBlock.RightMagic,
            State = 1, // cleanly unmounted
            Errors = 1, // continue
            CheckedAt = options.CreatedAt,
            Revision = 1,
            FirstInode = SpecialInode.LostAndFound,
            InodeSize = InodeView.Size,
            Compatible = CompatibleFeatures.ExtAttr | CompatibleFeatures.DirIndex | (journal.Length > 0 ? CompatibleFeatures.HasJournal : 0),
            Incompatible = IncompatibleFeatures.FileType | IncompatibleFeatures.Extents | IncompatibleFeatures.Bit64 | IncompatibleFeatures.FlexBg
                | (options.KeepsChecksumSeed ? IncompatibleFeatures.CsumSeed : 0),
            ReadOnly = ReadOnlyFeatures.SparseSuper | ReadOnlyFeatures.LargeFile | ReadOnlyFeatures.HugeFile | ReadOnlyFeatures.DirNlink
                | ReadOnlyFeatures.ExtraIsize | ReadOnlyFeatures.MetadataCsum,
            Uuid = options.Uuid,
            Label = options.Label,
            JournalInode = journal.Length > 0 ? SpecialInode.Journal : 0,
            HashSeed = options.HashSeed,
            HashVersion = 1, // half MD4
            JournalBackupType = (byte)(journal.Length > 0 ? 1 : 0),
            DescriptorSize = (ushort)GroupDescriptor.Size,
            DefaultMountOptions = 0xC, // user attributes and ACLs
            CreatedAt = options.CreatedAt,
            JournalBlocks = JournalBackup(journal),
            MinExtraIsize = InodeView.ExtraSize,
            WantExtraIsize = InodeView.ExtraSize,
            Flags = 2, // directory hashes over unsigned characters
            LogGroupsPerFlex = Ext4Layout.LogGroupsPerFlex,
            ChecksumType = 1, // CRC-32C
            ChecksumSeed = options.KeepsChecksumSeed ? seed : 0,
        };
    }

    /// <summary>A copy of where the journal lies, and its size, high half first.</summary>
    private byte[] JournalBackup(byte[] journal)
    {
        var backup = new byte[68];
        if (journal.Length == 0) return backup;
        journal.CopyTo(backup, 0);
        WriteUInt32LittleEndian(backup.AsSpan(60), (uint)(layout.Options.JournalSize >> 32));
        WriteUInt32LittleEndian(backup.AsSpan(64), (uint)layout.Options.JournalSize);
        return backup;
    }
}
