namespace OsBuild.Images.Ext4;

/// <summary>Features that a reader or writer may ignore (s_feature_compat).</summary>
[Flags]
internal enum CompatibleFeatures : uint
{
    HasJournal = 0x4,
    ExtAttr = 0x8,
    ResizeInode = 0x10,
    DirIndex = 0x20,
    SparseSuper2 = 0x200,
    OrphanFile = 0x1000,
}

/// <summary>Features without which a file system must not be read (s_feature_incompat).</summary>
[Flags]
internal enum IncompatibleFeatures : uint
{
    Compression = 0x1,
    FileType = 0x2,
    Recover = 0x4,
    JournalDevice = 0x8,
    MetaBg = 0x10,
    Extents = 0x40,
    Bit64 = 0x80,
    Mmp = 0x100,
    FlexBg = 0x200,
    EaInode = 0x400,
    DirData = 0x1000,
    CsumSeed = 0x2000,
    LargeDir = 0x4000,
    InlineData = 0x8000,
    Encrypt = 0x10000,
    CaseFold = 0x20000,
}

/// <summary>Features without which a file system must not be written (s_feature_ro_compat).</summary>
[Flags]
internal enum ReadOnlyFeatures : uint
{
    SparseSuper = 0x1,
    LargeFile = 0x2,
    HugeFile = 0x8,
    GdtCsum = 0x10,
    DirNlink = 0x20,
    ExtraIsize = 0x40,
    BigAlloc = 0x200,
    MetadataCsum = 0x400,
}

/// <summary>State of a block group's bitmaps and inode table (bg_flags).</summary>
[Flags]
internal enum GroupFlags : ushort
{
    InodeUninit = 0x1,
    BlockUninit = 0x2,
    InodeZeroed = 0x4,
}

/// <summary>Flags of an inode (i_flags).</summary>
[Flags]
internal enum InodeFlags : uint
{
    Encrypt = 0x800,
    Index = 0x1000,
    HugeFile = 0x40000,
    Extents = 0x80000,
    EaInode = 0x200000,
    InlineData = 0x10000000,
}

/// <summary>The file type in the upper bits of i_mode.</summary>
internal static class FileType
{
    public const int Mask = 0xF000;
    public const int Fifo = 0x1000;
    public const int CharDevice = 0x2000;
    public const int Directory = 0x4000;
    public const int BlockDevice = 0x6000;
    public const int File = 0x8000;
    public const int Symlink = 0xA000;
    public const int Socket = 0xC000;

    /// <summary>The type as directory entries hold it (EXT2_FT_*).</summary>
    public static byte InDirectory(int mode) => (mode & Mask) switch
    {
        File => 1,
        Directory => 2,
        CharDevice => 3,
        BlockDevice => 4,
        Fifo => 5,
        Socket => 6,
        Symlink => 7,
        _ => 0,
    };
}

/// <summary>Inode numbers with a meaning of their own.</summary>
internal static class SpecialInode
{
    public const uint Root = 2;
    public const uint Resize = 7;
    public const uint Journal = 8;
    public const uint LostAndFound = 11;
}
