using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>The blocks, group descriptors and inodes of an ext2, ext3 or ext4 file system, with their checksums checked when it has them.</summary>
internal sealed class Ext4Volume
{
    private const IncompatibleFeatures Known = IncompatibleFeatures.FileType | IncompatibleFeatures.MetaBg | IncompatibleFeatures.Extents
        | IncompatibleFeatures.Bit64 | IncompatibleFeatures.Mmp | IncompatibleFeatures.FlexBg | IncompatibleFeatures.EaInode
        | IncompatibleFeatures.CsumSeed | IncompatibleFeatures.LargeDir | IncompatibleFeatures.InlineData | IncompatibleFeatures.Encrypt
        | IncompatibleFeatures.CaseFold;

    private const int CachedBlocks = 256;

    private readonly Stream _source;
    private readonly (long Block, byte[] Bytes)?[] _cache = new (long Block, byte[] Bytes)?[CachedBlocks];

    public Ext4Volume(Stream source)
    {
        _source = source;
        var bytes = new byte[SuperBlock.Size];
        ReadAt(SuperBlock.Offset, bytes);
        Super = SuperBlock.Read(bytes);
        if (Super.Magic != SuperBlock.RightMagic) throw new ImageException(ImageErrorKind.Corrupt, "There is no ext2, ext3 or ext4 file system here: the superblock's magic number is missing.");
        HasSums = Super.Has(ReadOnlyFeatures.MetadataCsum);
        if (HasSums && SuperBlock.Sum(bytes) != Super.Checksum) throw Corrupt("has a superblock with a wrong checksum");
        CheckFeatures();
        BlockSize = Super.LogBlockSize <= 6 ? 1024 << (int)Super.LogBlockSize : throw Corrupt($"has a block size of 2^{Super.LogBlockSize} KiB");
        InodeSize = Super.Revision == 0 ? InodeView.OldSize : Super.InodeSize;
        DescriptorSize = Super.Has(IncompatibleFeatures.Bit64) ? Super.DescriptorSize : GroupDescriptor.ShortSize;
        CheckGeometry();
        Seed = Super.Has(IncompatibleFeatures.CsumSeed) ? Super.ChecksumSeed : Crc32C.FileSystemSeed(Super.Uuid);
    }

    public SuperBlock Super { get; }

    public bool HasSums { get; }

    public int BlockSize { get; }

    /// <summary>What is allocated at once: more than a block only with bigalloc.</summary>
    public long ClusterSize => Super.Has(ReadOnlyFeatures.BigAlloc) ? 1024L << (int)Super.LogClusterSize : BlockSize;

    public int InodeSize { get; }

    public int DescriptorSize { get; }

    public int Groups { get; private set; }

    public uint Seed { get; }

    public long FirstBlock(int group) => Super.FirstDataBlock + (group * (long)Super.BlocksPerGroup);

    public int BlocksIn(int group) => (int)Math.Min(Super.BlocksPerGroup, Super.Blocks - FirstBlock(group));

    /// <summary>Whether a group has a copy of the superblock.</summary>
    public bool HasSuperBlock(int group)
    {
        if (Super.Has(CompatibleFeatures.SparseSuper2)) return group == 0 || (uint)group == Super.BackupGroup1 || (uint)group == Super.BackupGroup2;
        return !Super.Has(ReadOnlyFeatures.SparseSuper) || Ext4Layout.HasSuperBlock(group);
    }

    /// <summary>Where the descriptor block with a number lies first.</summary>
    public long DescriptorBlock(int number)
    {
        if (!Super.Has(IncompatibleFeatures.MetaBg) || number < Super.FirstMetaBg) return Super.FirstDataBlock + 1 + number;
        var group = number * (BlockSize / DescriptorSize);
        return FirstBlock(group) + (HasSuperBlock(group) ? 1 : 0);
    }

    public GroupDescriptor Descriptor(int group, out bool sound)
    {
        var perBlock = BlockSize / DescriptorSize;
        var bytes = Block(DescriptorBlock(group / perBlock)).Slice(group % perBlock * DescriptorSize, DescriptorSize);
        var descriptor = GroupDescriptor.Read(bytes);
        sound = !HasSums || GroupDescriptor.Sum(Seed, (uint)group, bytes) == descriptor.Checksum;
        return descriptor;
    }

    public ImageException Corrupt(string what) => new(ImageErrorKind.Corrupt, $"The ext4 file system {(Super.Label is { Length: > 0 } label ? label + " " : "")}{what}; check it with e2fsck or make it again.");

    public void CheckBlock(long block, long count = 1)
    {
        if (block < Super.FirstDataBlock || count > Super.Blocks || block > Super.Blocks - count) throw Corrupt($"points to block {block}, which it does not have");
    }

    /// <summary>A block's bytes, good until the next call.</summary>
    public ReadOnlySpan<byte> Block(long block)
    {
        CheckBlock(block);
        ref var cached = ref _cache[block % CachedBlocks];
        if (cached is { } hit && hit.Block == block) return hit.Bytes;
        var bytes = cached?.Bytes ?? new byte[BlockSize];
        cached = null;
        ReadAt(block * BlockSize, bytes);
        cached = (block, bytes);
        return bytes;
    }

    public void ReadAt(long offset, Span<byte> to)
    {
        _source.Position = offset;
        if (_source.ReadAtLeast(to, to.Length, throwOnEndOfStream: false) < to.Length)
            throw new ImageException(ImageErrorKind.Corrupt, $"The image ends before byte {offset + to.Length} of its ext4 file system; it is torn, fetch or make it again.");
    }

    /// <summary>An inode in use; a copy, so that it stays good.</summary>
    public Ext4Inode Inode(uint number)
    {
        var inode = RawInode(number);
        var view = inode.View;
        if (view.Mode == 0 || view.Links == 0) throw Corrupt($"has an entry for inode {number}, which is not in use");
        if (HasSums && !inode.IsSound(Seed)) throw Corrupt($"has an inode {number} with a wrong checksum");
        return inode;
    }

    public Ext4Inode RawInode(uint number)
    {
        if (number == 0 || number > Super.Inodes) throw Corrupt($"has an entry for inode {number}, which it does not have");
        var group = (int)((number - 1) / Super.InodesPerGroup);
        var index = (number - 1) % Super.InodesPerGroup;
        var descriptor = Descriptor(group, out var sound);
        if (!sound) throw Corrupt($"has a descriptor of group {group} with a wrong checksum");
        var offset = index * (long)InodeSize;
        var block = Block(descriptor.InodeTable + (offset / BlockSize));
        var bytes = block.Slice((int)(offset % BlockSize), InodeSize).ToArray();
        var extra = InodeSize > InodeView.OldSize ? ReadUInt16LittleEndian(bytes.AsSpan(0x80)) : 0;
        if (extra > InodeSize - InodeView.OldSize || extra % 4 != 0) throw Corrupt($"has an inode {number} whose extra fields are longer than itself");
        return new Ext4Inode(number, bytes);
    }

    private void CheckFeatures()
    {
        if (Super.Has(IncompatibleFeatures.Recover))
            throw new ImageException(ImageErrorKind.Unsupported, "The ext4 file system was not unmounted and has a journal to replay; run e2fsck -fy on it first.");
        var unknown = Super.Incompatible & ~Known;
        if (unknown != 0)
            throw new ImageException(ImageErrorKind.Unsupported, $"The ext4 file system uses the features {unknown} (0x{(uint)unknown:x}), which are not read here; make it without them.");
    }

    private void CheckGeometry()
    {
        if (InodeSize < InodeView.OldSize || InodeSize > BlockSize || (InodeSize & (InodeSize - 1)) != 0) throw Corrupt($"has inodes of {InodeSize} bytes");
        if (DescriptorSize < GroupDescriptor.ShortSize || DescriptorSize > BlockSize || (DescriptorSize & (DescriptorSize - 1)) != 0
            || (Super.Has(IncompatibleFeatures.Bit64) && DescriptorSize < GroupDescriptor.Size)) throw Corrupt($"has group descriptors of {DescriptorSize} bytes");
        var clusters = Super.Has(ReadOnlyFeatures.BigAlloc) ? (int)Math.Min(Super.LogClusterSize - Super.LogBlockSize, 16) : 0;
        if (Super.BlocksPerGroup < 8 || clusters < 0 || Super.BlocksPerGroup > (8L * BlockSize) << clusters) throw Corrupt($"has {Super.BlocksPerGroup} blocks in a group");
        if (Super.InodesPerGroup == 0 || Super.InodesPerGroup > 8L * BlockSize) throw Corrupt($"has {Super.InodesPerGroup} inodes in a group");
        if (Super.FirstDataBlock > 1 || Super.Blocks <= Super.FirstDataBlock) throw Corrupt($"has {Super.Blocks} blocks");
        if (Super.Blocks > _source.Length / BlockSize)
            throw new ImageException(ImageErrorKind.Corrupt, $"The ext4 file system has {Super.Blocks} blocks of {BlockSize} bytes, but its image only {_source.Length} bytes; it is torn, fetch or make it again.");
        var groups = (Super.Blocks - Super.FirstDataBlock + Super.BlocksPerGroup - 1) / Super.BlocksPerGroup;
        if (groups * Super.InodesPerGroup != Super.Inodes) throw Corrupt($"has {Super.Inodes} inodes in {groups} groups of {Super.InodesPerGroup}");
        Groups = (int)groups;
    }
}

/// <summary>An inode that was read.</summary>
internal sealed record Ext4Inode(uint Number, byte[] Bytes)
{
    public InodeView View => new(Bytes);

    public int Type => View.Mode & FileType.Mask;

    /// <summary>Size of the content. Only regular files and directories use the upper half.</summary>
    public long Length => Type is FileType.File or FileType.Directory ? View.Length : View.Length & uint.MaxValue;

    public uint Seed(uint fileSystemSeed) => Crc32C.InodeSeed(fileSystemSeed, Number, View.Generation);

    /// <summary>Whether the checksum is right; an inode of zeros needs none.</summary>
    public bool IsSound(uint fileSystemSeed) => View.Sum(Seed(fileSystemSeed)) == View.Checksum || !Bytes.AsSpan().ContainsAnyExcept((byte)0);
}
