using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>The superblock (struct ext4_super_block): the first 1024 bytes of it, at byte 1024 of the file system. Fields that only
/// running kernels and unused features need are not kept.</summary>
internal readonly record struct SuperBlock : IOnDisk<SuperBlock>
{
    public const ushort RightMagic = 0xEF53;
    public const long Offset = 1024;

    public static int Size => 1024;

    public uint Inodes { get; init; }
    public long Blocks { get; init; }
    public long ReservedBlocks { get; init; }
    public long FreeBlocks { get; init; }
    public uint FreeInodes { get; init; }
    public uint FirstDataBlock { get; init; }
    public uint LogBlockSize { get; init; }
    public uint LogClusterSize { get; init; }
    public uint BlocksPerGroup { get; init; }
    public uint ClustersPerGroup { get; init; }
    public uint InodesPerGroup { get; init; }
    public uint MountedAt { get; init; }
    public long WrittenAt { get; init; }
    public ushort MountCount { get; init; }
    public ushort MaxMountCount { get; init; }
    public ushort Magic { get; init; }
    public ushort State { get; init; }
    public ushort Errors { get; init; }
    public long CheckedAt { get; init; }
    public uint Revision { get; init; }
    public uint FirstInode { get; init; }
    public ushort InodeSize { get; init; }
    public ushort Group { get; init; }
    public CompatibleFeatures Compatible { get; init; }
    public IncompatibleFeatures Incompatible { get; init; }
    public ReadOnlyFeatures ReadOnly { get; init; }
    public Guid Uuid { get; init; }
    public string Label { get; init; }
    public ushort ReservedDescriptorBlocks { get; init; }
    public uint JournalInode { get; init; }
    public Guid HashSeed { get; init; }
    public byte HashVersion { get; init; }
    public byte JournalBackupType { get; init; }
    public ushort DescriptorSize { get; init; }
    public uint DefaultMountOptions { get; init; }
    public uint FirstMetaBg { get; init; }
    public long CreatedAt { get; init; }
    public ReadOnlyMemory<byte> JournalBlocks { get; init; }
    public ushort MinExtraIsize { get; init; }
    public ushort WantExtraIsize { get; init; }
    public uint Flags { get; init; }
    public long MmpBlock { get; init; }
    public byte LogGroupsPerFlex { get; init; }
    public byte ChecksumType { get; init; }
    public uint BackupGroup1 { get; init; }
    public uint BackupGroup2 { get; init; }
    public uint ChecksumSeed { get; init; }
    public uint OrphanFileInode { get; init; }
    public uint Checksum { get; init; }

    public bool Has(CompatibleFeatures feature) => (Compatible & feature) != 0;

    public bool Has(IncompatibleFeatures feature) => (Incompatible & feature) != 0;

    public bool Has(ReadOnlyFeatures feature) => (ReadOnly & feature) != 0;

    /// <summary>The sum over a superblock's bytes (s_checksum, not seeded with the UUID).</summary>
    public static uint Sum(ReadOnlySpan<byte> bytes) => Crc32C.Add(Crc32C.Initial, bytes[..0x3FC]);

    public static SuperBlock Read(ReadOnlySpan<byte> from)
    {
        var wide = (ReadUInt32LittleEndian(from[0x60..]) & (uint)IncompatibleFeatures.Bit64) != 0;
        var label = from.Slice(0x78, 16);
        return new SuperBlock
        {
            Inodes = ReadUInt32LittleEndian(from),
            Blocks = Wide(from, 0x04, 0x150, wide),
            ReservedBlocks = Wide(from, 0x08, 0x154, wide),
            FreeBlocks = Wide(from, 0x0C, 0x158, wide),
            FreeInodes = ReadUInt32LittleEndian(from[0x10..]),
            FirstDataBlock = ReadUInt32LittleEndian(from[0x14..]),
            LogBlockSize = ReadUInt32LittleEndian(from[0x18..]),
            LogClusterSize = ReadUInt32LittleEndian(from[0x1C..]),
            BlocksPerGroup = ReadUInt32LittleEndian(from[0x20..]),
            ClustersPerGroup = ReadUInt32LittleEndian(from[0x24..]),
            InodesPerGroup = ReadUInt32LittleEndian(from[0x28..]),
            MountedAt = ReadUInt32LittleEndian(from[0x2C..]),
            WrittenAt = Time(from, 0x30, 0x274),
            MountCount = ReadUInt16LittleEndian(from[0x34..]),
            MaxMountCount = ReadUInt16LittleEndian(from[0x36..]),
            Magic = ReadUInt16LittleEndian(from[0x38..]),
            State = ReadUInt16LittleEndian(from[0x3A..]),
            Errors = ReadUInt16LittleEndian(from[0x3C..]),
            CheckedAt = Time(from, 0x40, 0x277),
            Revision = ReadUInt32LittleEndian(from[0x4C..]),
            FirstInode = ReadUInt32LittleEndian(from[0x54..]),
            InodeSize = ReadUInt16LittleEndian(from[0x58..]),
            Group = ReadUInt16LittleEndian(from[0x5A..]),
            Compatible = (CompatibleFeatures)ReadUInt32LittleEndian(from[0x5C..]),
            Incompatible = (IncompatibleFeatures)ReadUInt32LittleEndian(from[0x60..]),
            ReadOnly = (ReadOnlyFeatures)ReadUInt32LittleEndian(from[0x64..]),
            Uuid = new Guid(from.Slice(0x68, 16), bigEndian: true),
            Label = Trees.UnixText.Decode(label[..(label.IndexOf((byte)0) is >= 0 and var end ? end : 16)]),
            ReservedDescriptorBlocks = ReadUInt16LittleEndian(from[0xCE..]),
            JournalInode = ReadUInt32LittleEndian(from[0xE0..]),
            HashSeed = new Guid(from.Slice(0xEC, 16), bigEndian: true),
            HashVersion = from[0xFC],
            JournalBackupType = from[0xFD],
            DescriptorSize = ReadUInt16LittleEndian(from[0xFE..]),
            DefaultMountOptions = ReadUInt32LittleEndian(from[0x100..]),
            FirstMetaBg = ReadUInt32LittleEndian(from[0x104..]),
            CreatedAt = Time(from, 0x108, 0x276),
            JournalBlocks = from.Slice(0x10C, 68).ToArray(),
            MinExtraIsize = ReadUInt16LittleEndian(from[0x15C..]),
            WantExtraIsize = ReadUInt16LittleEndian(from[0x15E..]),
            Flags = ReadUInt32LittleEndian(from[0x160..]),
            MmpBlock = ReadInt64LittleEndian(from[0x168..]),
            LogGroupsPerFlex = from[0x174],
            ChecksumType = from[0x175],
            BackupGroup1 = ReadUInt32LittleEndian(from[0x24C..]),
            BackupGroup2 = ReadUInt32LittleEndian(from[0x250..]),
            ChecksumSeed = ReadUInt32LittleEndian(from[0x270..]),
            OrphanFileInode = ReadUInt32LittleEndian(from[0x280..]),
            Checksum = ReadUInt32LittleEndian(from[0x3FC..]),
        };
    }

    public void Write(Span<byte> to)
    {
        to.Clear();
        WriteUInt32LittleEndian(to, Inodes);
        WriteWide(to, 0x04, 0x150, Blocks);
        WriteWide(to, 0x08, 0x154, ReservedBlocks);
        WriteWide(to, 0x0C, 0x158, FreeBlocks);
        WriteUInt32LittleEndian(to[0x10..], FreeInodes);
        WriteUInt32LittleEndian(to[0x14..], FirstDataBlock);
        WriteUInt32LittleEndian(to[0x18..], LogBlockSize);
        WriteUInt32LittleEndian(to[0x1C..], LogClusterSize);
        WriteUInt32LittleEndian(to[0x20..], BlocksPerGroup);
        WriteUInt32LittleEndian(to[0x24..], ClustersPerGroup);
        WriteUInt32LittleEndian(to[0x28..], InodesPerGroup);
        WriteUInt32LittleEndian(to[0x2C..], MountedAt);
        WriteTime(to, 0x30, 0x274, WrittenAt);
        WriteUInt16LittleEndian(to[0x34..], MountCount);
        WriteUInt16LittleEndian(to[0x36..], MaxMountCount);
        WriteUInt16LittleEndian(to[0x38..], Magic);
        WriteUInt16LittleEndian(to[0x3A..], State);
        WriteUInt16LittleEndian(to[0x3C..], Errors);
        WriteTime(to, 0x40, 0x277, CheckedAt);
        WriteUInt32LittleEndian(to[0x4C..], Revision);
        WriteUInt32LittleEndian(to[0x54..], FirstInode);
        WriteUInt16LittleEndian(to[0x58..], InodeSize);
        WriteUInt16LittleEndian(to[0x5A..], Group);
        WriteUInt32LittleEndian(to[0x5C..], (uint)Compatible);
        WriteUInt32LittleEndian(to[0x60..], (uint)Incompatible);
        WriteUInt32LittleEndian(to[0x64..], (uint)ReadOnly);
        Uuid.TryWriteBytes(to[0x68..], bigEndian: true, out _);
        Trees.UnixText.Encode(Label ?? "").CopyTo(to[0x78..0x88]);
        WriteUInt16LittleEndian(to[0xCE..], ReservedDescriptorBlocks);
        WriteUInt32LittleEndian(to[0xE0..], JournalInode);
        HashSeed.TryWriteBytes(to[0xEC..], bigEndian: true, out _);
        to[0xFC] = HashVersion;
        to[0xFD] = JournalBackupType;
        WriteUInt16LittleEndian(to[0xFE..], DescriptorSize);
        WriteUInt32LittleEndian(to[0x100..], DefaultMountOptions);
        WriteUInt32LittleEndian(to[0x104..], FirstMetaBg);
        WriteTime(to, 0x108, 0x276, CreatedAt);
        JournalBlocks.Span.CopyTo(to[0x10C..0x150]);
        WriteUInt16LittleEndian(to[0x15C..], MinExtraIsize);
        WriteUInt16LittleEndian(to[0x15E..], WantExtraIsize);
        WriteUInt32LittleEndian(to[0x160..], Flags);
        WriteInt64LittleEndian(to[0x168..], MmpBlock);
        to[0x174] = LogGroupsPerFlex;
        to[0x175] = ChecksumType;
        WriteUInt32LittleEndian(to[0x24C..], BackupGroup1);
        WriteUInt32LittleEndian(to[0x250..], BackupGroup2);
        WriteUInt32LittleEndian(to[0x270..], ChecksumSeed);
        WriteUInt32LittleEndian(to[0x280..], OrphanFileInode);
        WriteUInt32LittleEndian(to[0x3FC..], Checksum);
    }

    /// <summary>The bytes with a right checksum in them.</summary>
    public void WriteWithSum(Span<byte> to)
    {
        Write(to);
        WriteUInt32LittleEndian(to[0x3FC..], Sum(to));
    }

    private static long Wide(ReadOnlySpan<byte> from, int low, int high, bool wide) =>
        ReadUInt32LittleEndian(from[low..]) | (wide ? (long)ReadUInt32LittleEndian(from[high..]) << 32 : 0);

    private static long Time(ReadOnlySpan<byte> from, int low, int high) => ReadUInt32LittleEndian(from[low..]) | ((long)from[high] << 32);

    private static void WriteWide(Span<byte> to, int low, int high, long value)
    {
        WriteUInt32LittleEndian(to[low..], (uint)value);
        WriteUInt32LittleEndian(to[high..], (uint)(value >> 32));
    }

    private static void WriteTime(Span<byte> to, int low, int high, long value)
    {
        WriteUInt32LittleEndian(to[low..], (uint)value);
        to[high] = (byte)(value >> 32);
    }
}
