using System.Numerics;
using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Writes inodes, directories and the tables that point at them.</summary>
internal sealed class TableWriter(BlockEncoder encoder, SquashFsOptions options)
{
    private const int LargestBasicDirectory = ushort.MaxValue - 3;

    private readonly MetadataWriter _inodes = new(encoder);
    private readonly DirectoryWriter _directories = new(encoder);
    private readonly XattrTable _xattrs = new(encoder);
    private readonly List<TreeNode> _numbered = [];
    private readonly Dictionary<uint, ushort> _ids = [];
    private readonly List<uint> _idList = [];

    /// <summary>Writes everything behind the data; gives the superblock.</summary>
    public SuperBlock Write(TreeNode root, List<(ulong Start, uint Size)> fragments, Stream target, long origin)
    {
        Number(root);
        WriteDirectory(root, (uint)_numbered.Count + 1);
        ulong At() => (ulong)(target.Position - origin);
        var inodeTable = At();
        _inodes.Finish(target, origin);
        var directoryTable = At();
        _directories.Table.Finish(target, origin);
        var fragmentTable = WriteTable(fragments, SquashFsFormat.FragmentEntrySize, target, origin, static (fragment, to) =>
        {
            WriteUInt64LittleEndian(to, fragment.Start);
            WriteUInt32LittleEndian(to[8..], fragment.Size);
        });
        var exportTable = WriteTable(_numbered, sizeof(ulong), target, origin, static (node, to) => WriteUInt64LittleEndian(to, Reference(node)));
        var idTable = WriteTable(_idList, sizeof(uint), target, origin, static (id, to) => WriteUInt32LittleEndian(to, id));
        var xattrTable = _xattrs.Finish(target, origin);
        return new SuperBlock
        {
            Signature = SuperBlock.Magic,
            Inodes = (uint)_numbered.Count,
            Time = Time(options.Time),
            BlockSize = (uint)options.BlockSize,
            Fragments = (uint)fragments.Count,
            Compression = options.Compression,
            BlockLog = (ushort)BitOperations.Log2((uint)options.BlockSize),
            Flags = SquashFsFlags.Exportable | SquashFsFlags.Duplicates | (xattrTable == SquashFsFormat.NoTable ? SquashFsFlags.NoXattrs : 0),
            Ids = (ushort)_idList.Count,
            Major = 4,
            RootInode = Reference(root),
            BytesUsed = At(),
            IdTable = idTable,
            XattrTable = xattrTable,
            InodeTable = inodeTable,
            DirectoryTable = directoryTable,
            FragmentTable = fragmentTable,
            ExportTable = exportTable,
        };
    }

    private static ulong Reference(TreeNode node) => (ulong)node.Place!.Value.Block << 16 | node.Place.Value.Offset;

    private static uint Time(long time) => (uint)Math.Clamp(time, 0, uint.MaxValue);

    private delegate void EntryWriter<in T>(T entry, Span<byte> to);

    private ulong WriteTable<T>(List<T> entries, int size, Stream target, long origin, EntryWriter<T> write)
    {
        var table = new MetadataWriter(encoder);
        var bytes = new byte[size];
        foreach (var entry in entries)
        {
            write(entry, bytes);
            table.Write(bytes);
        }

        var starts = table.Finish(target, origin);
        var at = (ulong)(target.Position - origin);
        foreach (var start in starts)
        {
            WriteUInt64LittleEndian(bytes = new byte[8], start);
            target.Write(bytes);
        }

        return at;
    }

    // A directory's inode names its parent's number, and is written before it: numbers come first, from the root down.
    private void Number(TreeNode node)
    {
        if (node.Number > 0) return;
        _numbered.Add(node);
        node.Number = (uint)_numbered.Count;
        if (node.Children is null) return;
        node.Children.Sort(static (a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        foreach (var (_, child) in node.Children) Number(child);
    }

    private void WriteDirectory(TreeNode directory, uint parent)
    {
        foreach (var (_, child) in directory.Children!)
        {
            if (child.Children is not null) WriteDirectory(child, directory.Number);
            else if (child.Place is null) WriteInode(child);
        }

        var listing = _directories.Write(directory.Children);
        var links = 2 + directory.Children.Count(c => c.Node.Children is not null);
        var xattr = _xattrs.Add(directory.Node.Xattrs);
        var size = listing.Size + 3;
        var extended = listing.Size > LargestBasicDirectory || listing.Indexes.Count > 0 || xattr != SquashFsFormat.NoXattr;
        var inode = Begin(directory, InodeType.Directory, extended);
        if (!extended)
        {
            inode.U32(listing.Block).U32((uint)links).U16((ushort)size).U16(listing.Offset).U32(parent);
        }
        else
        {
            inode.U32((uint)links).U32((uint)size).U32(listing.Block).U32(parent).U16((ushort)listing.Indexes.Count).U16(listing.Offset).U32(xattr);
            foreach (var (position, block, name) in listing.Indexes) inode.U32(position).U32(block).U32((uint)name.Length - 1).Bytes(name);
        }

        _inodes.Write(inode.Written);
    }

    private void WriteInode(TreeNode entry)
    {
        var node = entry.Node;
        var xattr = _xattrs.Add(node.Xattrs);
        var extended = xattr != SquashFsFormat.NoXattr;
        InodeBuffer inode;
        switch (node.Kind)
        {
            case NodeKind.File:
                inode = FileInode(entry, xattr);
                break;
            case NodeKind.Symlink:
                var target = UnixText.Encode(node.LinkTarget ?? "");
                inode = Begin(entry, InodeType.Symlink, extended).U32((uint)entry.Links).U32((uint)target.Length).Bytes(target);
                if (extended) inode.U32(xattr);
                break;
            case NodeKind.CharDevice or NodeKind.BlockDevice:
                inode = Begin(entry, node.Kind == NodeKind.CharDevice ? InodeType.CharDevice : InodeType.BlockDevice, extended)
                    .U32((uint)entry.Links).U32(SquashFsFormat.Device(node.Major, node.Minor));
                if (extended) inode.U32(xattr);
                break;
            default:
                inode = Begin(entry, node.Kind == NodeKind.Fifo ? InodeType.Fifo : InodeType.Socket, extended).U32((uint)entry.Links);
                if (extended) inode.U32(xattr);
                break;
        }

        _inodes.Write(inode.Written);
    }

    private InodeBuffer FileInode(TreeNode entry, uint xattr)
    {
        var file = entry.File!;
        var start = Math.Max(0, file.Start);
        var extended = xattr != SquashFsFormat.NoXattr || entry.Links > 1 || file.Sparse > 0 || start > uint.MaxValue || file.Size > uint.MaxValue;
        var inode = Begin(entry, InodeType.File, extended);
        if (extended)
            inode.U64((ulong)start).U64((ulong)file.Size).U64((ulong)file.Sparse).U32((uint)entry.Links).U32(file.Fragment).U32(file.FragmentOffset).U32(xattr);
        else
            inode.U32((uint)start).U32(file.Fragment).U32(file.FragmentOffset).U32((uint)file.Size);
        foreach (var block in file.Blocks) inode.U32(block);
        return inode;
    }

    private InodeBuffer Begin(TreeNode entry, InodeType type, bool extended)
    {
        entry.Place = _inodes.Position;
        var node = entry.Node;
        return new InodeBuffer()
            .U16((ushort)((int)type + (extended ? SquashFsFormat.Extended : 0)))
            .U16((ushort)node.Mode)
            .U16(Id(node.Uid))
            .U16(Id(node.Gid))
            .U32(Time(node.ModifiedAt))
            .U32(entry.Number);
    }

    private ushort Id(uint id)
    {
        if (_ids.TryGetValue(id, out var index)) return index;
        if (_idList.Count == ushort.MaxValue)
            throw new ImageException(ImageErrorKind.TooLarge, "The tree has more than 65535 different owners and groups, which squashfs cannot hold; use ext4.");
        _idList.Add(id);
        return _ids[id] = (ushort)(_idList.Count - 1);
    }
}

/// <summary>Grows an inode field by field, little-endian.</summary>
internal sealed class InodeBuffer
{
    private byte[] _bytes = new byte[256];
    private int _length;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public InodeBuffer U16(ushort value)
    {
        WriteUInt16LittleEndian(Room(2), value);
        return this;
    }

    public InodeBuffer U32(uint value)
    {
        WriteUInt32LittleEndian(Room(4), value);
        return this;
    }

    public InodeBuffer U64(ulong value)
    {
        WriteUInt64LittleEndian(Room(8), value);
        return this;
    }

    public InodeBuffer Bytes(ReadOnlySpan<byte> value)
    {
        value.CopyTo(Room(value.Length));
        return this;
    }

    private Span<byte> Room(int count)
    {
        if (_length + count > _bytes.Length) Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + count));
        _length += count;
        return _bytes.AsSpan(_length - count, count);
    }
}
