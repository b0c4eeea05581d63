using OsBuild.Images.Compression;
using OsBuild.Images.Trees;

namespace OsBuild.Images.SquashFs;

/// <summary>An inode, its basic and extended forms made one.</summary>
internal sealed record Inode
{
    public required InodeType Type { get; init; }

    public ushort Mode { get; init; }

    public uint Uid { get; init; }

    public uint Gid { get; init; }

    public uint ModifiedAt { get; init; }

    public uint Number { get; init; }

    public long Size { get; init; }

    public long Start { get; init; }

    public uint Fragment { get; init; } = SquashFsFormat.NoFragment;

    public uint FragmentOffset { get; init; }

    public List<uint> Blocks { get; init; } = [];

    public uint ListingBlock { get; init; }

    public ushort ListingOffset { get; init; }

    public uint Xattr { get; init; } = SquashFsFormat.NoXattr;

    public uint Device { get; init; }

    public string? Target { get; init; }
}

/// <summary>Reads inodes, their attributes and owners.</summary>
internal sealed class InodeReader(MetadataReader metadata)
{
    private const int LongestTarget = 65535;
    private static readonly string[] Prefixes = ["user.", "trusted.", "security."];

    public Inode Read(ulong reference)
    {
        var cursor = metadata.At(metadata.Super.InodeTable, reference >> 16, (int)(reference & 0xFFFF));
        int type = cursor.U16();
        var extended = type > SquashFsFormat.Extended;
        if (type is 0 or > 2 * SquashFsFormat.Extended) throw Bad("an inode has an impossible type");
        var inode = new Inode
        {
            Type = (InodeType)(extended ? type - SquashFsFormat.Extended : type),
            Mode = cursor.U16(),
            Uid = Id(cursor.U16()),
            Gid = Id(cursor.U16()),
            ModifiedAt = cursor.U32(),
            Number = cursor.U32(),
        };
        return inode.Type switch
        {
            InodeType.Directory => extended ? ExtendedDirectory(cursor, inode) : BasicDirectory(cursor, inode),
            InodeType.File => extended ? ExtendedFile(cursor, inode) : BasicFile(cursor, inode),
            InodeType.Symlink => Symlink(cursor, inode, extended),
            InodeType.BlockDevice or InodeType.CharDevice => Device(cursor, inode, extended),
            _ => Other(cursor, inode, extended),
        };
    }

    private static ImageException Bad(string what) => Damage.Corrupt("squashfs", what);

    private uint Id(ushort index) =>
        index < metadata.Super.Ids ? metadata.Entry(metadata.Super.IdTable, index, sizeof(uint)).U32() : throw Bad("an owner is not in the table of owners");

    private static Inode BasicDirectory(MetadataCursor cursor, Inode inode)
    {
        var block = cursor.U32();
        cursor.U32();
        return inode with { ListingBlock = block, Size = cursor.U16(), ListingOffset = cursor.U16() };
    }

    private static Inode ExtendedDirectory(MetadataCursor cursor, Inode inode)
    {
        cursor.U32();
        var size = cursor.U32();
        var block = cursor.U32();
        cursor.U32();
        cursor.U16();
        return inode with { Size = size, ListingBlock = block, ListingOffset = cursor.U16(), Xattr = cursor.U32() };
    }

    private Inode BasicFile(MetadataCursor cursor, Inode inode) =>
        Blocks(cursor, inode with { Start = cursor.U32(), Fragment = cursor.U32(), FragmentOffset = cursor.U32(), Size = cursor.U32() });

    private Inode ExtendedFile(MetadataCursor cursor, Inode inode)
    {
        var (start, size) = (cursor.U64(), cursor.U64());
        cursor.U64();
        cursor.U32();
        if (start > long.MaxValue || size > long.MaxValue) throw Bad("a file has an impossible size");
        return Blocks(cursor, inode with { Start = (long)start, Size = (long)size, Fragment = cursor.U32(), FragmentOffset = cursor.U32(), Xattr = cursor.U32() });
    }

    private Inode Blocks(MetadataCursor cursor, Inode inode)
    {
        var count = inode.Size / metadata.Super.BlockSize;
        if (inode.Fragment == SquashFsFormat.NoFragment && inode.Size % metadata.Super.BlockSize != 0) count++;
        // The list ends with the table at the latest: an impossible size cannot ask for endless memory.
        for (var i = 0L; i < count; i++) inode.Blocks.Add(cursor.U32());
        return inode;
    }

    private static Inode Symlink(MetadataCursor cursor, Inode inode, bool extended)
    {
        cursor.U32();
        var size = cursor.U32();
        if (size > LongestTarget) throw Bad("a symbolic link is too long");
        return inode with { Target = UnixText.Decode(cursor.Bytes((int)size)), Xattr = extended ? cursor.U32() : SquashFsFormat.NoXattr };
    }

    private static Inode Device(MetadataCursor cursor, Inode inode, bool extended)
    {
        cursor.U32();
        return inode with { Device = cursor.U32(), Xattr = extended ? cursor.U32() : SquashFsFormat.NoXattr };
    }

    private static Inode Other(MetadataCursor cursor, Inode inode, bool extended)
    {
        cursor.U32();
        return inode with { Xattr = extended ? cursor.U32() : SquashFsFormat.NoXattr };
    }

    /// <summary>The attributes of an inode, sorted by name.</summary>
    public List<Xattr> Xattrs(Inode inode)
    {
        if (inode.Xattr == SquashFsFormat.NoXattr || metadata.Super.XattrTable == SquashFsFormat.NoTable) return [];
        var header = metadata.ReadRaw((long)metadata.Super.XattrTable, 16);
        var pairs = BitConverter.ToUInt64(header);
        if (inode.Xattr >= BitConverter.ToUInt32(header, 8)) throw Bad("an inode's attributes are not in their table");
        var entry = metadata.Entry(metadata.Super.XattrTable + 16, inode.Xattr, SquashFsFormat.XattrIdSize);
        var (reference, count) = (entry.U64(), entry.U32());
        var cursor = metadata.At(pairs, reference >> 16, (int)(reference & 0xFFFF));
        var xattrs = new List<Xattr>();
        for (var i = 0u; i < count; i++)
        {
            var type = cursor.U16();
            if ((type & 0xFF) >= Prefixes.Length) throw Bad("an attribute has an impossible prefix");
            var name = Prefixes[type & 0xFF] + UnixText.Decode(cursor.Bytes(cursor.U16()));
            xattrs.Add(new Xattr(name, Value(cursor, pairs, (type & 0x100) != 0)));
        }

        xattrs.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return xattrs;
    }

    private byte[] Value(MetadataCursor cursor, ulong pairs, bool elsewhere)
    {
        var size = cursor.U32();
        if (size > 65536) throw Bad("an attribute is too long");
        if (!elsewhere) return cursor.Bytes((int)size);
        // A value that several attributes share lies with the first; here is only its place.
        var reference = cursor.U64();
        var other = metadata.At(pairs, reference >> 16, (int)(reference & 0xFFFF));
        size = other.U32();
        return size > 65536 ? throw Bad("an attribute is too long") : other.Bytes((int)size);
    }
}
