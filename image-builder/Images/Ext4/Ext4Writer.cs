using OsBuild.Images.Streams;
using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Writes an ext4 file system in one pass: file data goes forward as it arrives, metadata at the end. The target must be
/// seekable and read as zeros where nothing is written (a new sparse file is). Blocks that stay zero are never written: blocks of zeros
/// in files become holes. Not made: inline data, attributes that need more than one block, encryption, quota.</summary>
public sealed class Ext4Writer
{
    private const int BlockSize = Ext4Layout.BlockSize;
    private const int MostLinks = 65000;
    private const int InlineXattrSpace = InodeView.Size - InodeView.OldSize - InodeView.ExtraSize;

    private readonly Ext4Layout _layout;
    private readonly BlockSink _sink;
    private readonly BlockAllocator _blocks;
    private readonly InodeTable _inodes;
    private readonly ExtentTree _extents;
    private readonly uint _seed;
    private readonly Dictionary<string, uint> _paths = new(StringComparer.Ordinal);
    private readonly Dictionary<uint, DirectoryRecord> _directories = [];
    private readonly Stream _target;
    private Node? _current;
    private long _placed;
    private bool _finished;

    /// <summary>Starts an empty file system; nothing is written yet.</summary>
    public Ext4Writer(Stream target, Ext4Layout layout)
    {
        _target = target;
        _layout = layout;
        _sink = new BlockSink(target);
        _blocks = new BlockAllocator(layout);
        _inodes = new InodeTable(layout.Inodes);
        _seed = Crc32C.FileSystemSeed(layout.Options.Uuid);
        _extents = new ExtentTree(_seed);
        _paths[""] = SpecialInode.Root;
        _directories[SpecialInode.Root] = new DirectoryRecord(SpecialInode.Root, SpecialInode.Root);
        SetAttributes(SpecialInode.Root, DirectoryNode("", 0x1ED));
        AddDirectory(DirectoryNode("lost+found", 0x1C0));
    }

    /// <summary>Blocks of 4 KiB that are still free.</summary>
    public long FreeBlocks => _blocks.Free;

    /// <summary>Inodes that are still free.</summary>
    public long FreeInodes => _layout.Inodes - _inodes.Last;

    /// <summary>Adds an entry; missing parent directories are made (0755, root). A path that was added before is refused,
    /// except directories, whose attributes are then replaced.</summary>
    /// <exception cref="ImageException">The entry does not fit; the message says by how much.</exception>
    public void Add(Node node, Stream content)
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        (_current, _placed) = (node, 0);
        if (_paths.TryGetValue(node.Path, out var existing))
        {
            if (node.Kind != NodeKind.Directory || !_directories.TryGetValue(existing, out var directory)) throw Refuse($"{node.Path} is in the tree twice; remove one of the two.");
            SetAttributes(existing, node);
            directory.Xattrs = PlaceXattrs(node);
            return;
        }

        switch (node.Kind)
        {
            case NodeKind.Directory: AddDirectory(node); break;
            case NodeKind.HardLink: AddHardLink(node); break;
            case NodeKind.File: AddFile(node, content); break;
            case NodeKind.Symlink: AddSymlink(node); break;
            default: AddSpecial(node); break;
        }
    }

    /// <summary>Writes directories, inode tables, bitmaps, descriptors and superblocks.</summary>
    public void Finish()
    {
        ObjectDisposedException.ThrowIf(_finished, this);
        _finished = true;
        WriteDirectories();
        var journal = WriteJournal();
        _sink.Flush();
        new Ext4Metadata(_layout, _blocks, _inodes, _seed).Write(_sink, _directories.Keys, journal);
        _target.Flush();
    }

    private Node DirectoryNode(string path, int mode) =>
        new() { Path = path, Kind = NodeKind.Directory, Mode = mode, ModifiedAt = _layout.Options.CreatedAt };

    private uint AddDirectory(Node node)
    {
        var parent = ParentOf(node.Path);
        var inode = NewInode(node);
        _directories[inode] = new DirectoryRecord(inode, parent.Inode) { Xattrs = PlaceXattrs(node) };
        parent.Subdirectories++;
        Link(parent, node.Path, inode, FileType.InDirectory(FileType.Directory));
        return inode;
    }

    private void AddHardLink(Node node)
    {
        if (!_paths.TryGetValue(node.LinkTarget ?? "", out var inode))
            throw Refuse($"{node.Path} is a hard link to {node.LinkTarget}, which did not come before it; put it behind its target.");
        var view = _inodes[inode];
        if ((view.Mode & FileType.Mask) == FileType.Directory) throw Refuse($"{node.Path} is a hard link to the directory {node.LinkTarget}; make it a symbolic link.");
        if (view.Links == MostLinks) throw new ImageException(ImageErrorKind.TooLarge, $"{node.LinkTarget} has more than the {MostLinks} names an ext4 file can have; make some of them copies.");
        view.Links++;
        Link(ParentOf(node.Path), node.Path, inode, FileType.InDirectory(view.Mode));
    }

    private void AddFile(Node node, Stream content)
    {
        var parent = ParentOf(node.Path);
        var inode = NewInode(node);
        _extents.Clear();
        CopyContent(node, content);
        StoreExtents(inode, node.Size);
        Link(parent, node.Path, inode, FileType.InDirectory(FileType.File));
    }

    private void AddSymlink(Node node)
    {
        var target = UnixText.Encode(node.LinkTarget ?? "");
        if (target.Length is 0 or >= BlockSize) throw Refuse($"{node.Path} is a symbolic link with a target of {target.Length} bytes; ext4 holds 1 to 4095.");
        var parent = ParentOf(node.Path);
        var inode = NewInode(node);
        var view = _inodes[inode];
        if (target.Length < InodeView.BlockSize)
        {
            target.CopyTo(view.Block);
            view.Length = target.Length;
        }
        else
        {
            _extents.Clear();
            var block = TakeBlock();
            _sink.Write(block, target);
            _extents.Add(0, new BlockRun(block, 1));
            StoreExtents(inode, target.Length);
        }

        Link(parent, node.Path, inode, FileType.InDirectory(FileType.Symlink));
    }

    private void AddSpecial(Node node)
    {
        if (node.Major > 0xFFF || node.Minor > 0xFFFFF) throw Refuse($"{node.Path} is the device {node.Major}:{node.Minor}; Linux has 12 bits for the first and 20 for the second number.");
        var parent = ParentOf(node.Path);
        var inode = NewInode(node);
        var view = _inodes[inode];
        if (node.Kind is NodeKind.CharDevice or NodeKind.BlockDevice)
        {
            // Small numbers lie in the first word as ever, large ones in the second (old_encode_dev, new_encode_dev).
            if (node.Major < 256 && node.Minor < 256) WriteUInt32LittleEndian(view.Block, (node.Major << 8) | node.Minor);
            else WriteUInt32LittleEndian(view.Block[4..], (node.Minor & 0xFF) | (node.Major << 8) | ((node.Minor & ~0xFFu) << 12));
        }

        Link(parent, node.Path, inode, FileType.InDirectory(view.Mode));
    }

    private DirectoryRecord ParentOf(string path)
    {
        var slash = path.LastIndexOf('/');
        if (slash < 0) return _directories[SpecialInode.Root];
        var parent = path.AsSpan(0, slash);
        if (!_paths.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(parent, out var inode)) inode = AddDirectory(DirectoryNode(parent.ToString(), 0x1ED));
        return _directories.TryGetValue(inode, out var record) ? record : throw Refuse($"{path} lies under {parent}, which is not a directory.");
    }

    private void Link(DirectoryRecord parent, string path, uint inode, byte type)
    {
        var name = UnixText.Encode(path[(path.LastIndexOf('/') + 1)..]);
        if (name.Length is 0 or > 255 || name.AsSpan().ContainsAny((byte)0, (byte)'/') || name is [(byte)'.'] or [(byte)'.', (byte)'.'])
            throw Refuse($"{path} has a name that ext4 cannot hold: names have 1 to 255 bytes without / and zero, and are not . or .. themselves.");
        parent.Entries.Add(new DirectoryEntry(name, inode, type));
        _paths.Add(path, inode);
    }

    private uint NewInode(Node node)
    {
        var inode = _inodes.Take();
        var view = _inodes[inode];
        view.Links = 1;
        SetAttributes(inode, node);
        return inode;
    }

    private void SetAttributes(uint number, Node node)
    {
        var inode = _inodes[number];
        inode.Mode = (ushort)((node.Mode & 0xFFF) | TypeOf(node.Kind));
        inode.Uid = node.Uid;
        inode.Gid = node.Gid;
        inode.ExtraIsize = InodeView.ExtraSize;
        inode.SetTimes(node.ModifiedAt, node.ModifiedNanoseconds, _layout.Options.CreatedAt);

        // A directory may come again with other attributes; its last ones are stored at the end.
        if (node.Kind != NodeKind.Directory) StoreXattrs(inode, PlaceXattrs(node));
    }

    private static int TypeOf(NodeKind kind) => kind switch
    {
        NodeKind.File => FileType.File,
        NodeKind.Directory => FileType.Directory,
        NodeKind.Symlink => FileType.Symlink,
        NodeKind.CharDevice => FileType.CharDevice,
        NodeKind.BlockDevice => FileType.BlockDevice,
        NodeKind.Fifo => FileType.Fifo,
        NodeKind.Socket => FileType.Socket,
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    /// <summary>Splits attributes into those that fit behind the inode's fields and those that go to a block.</summary>
    private static (List<XattrFormat.Record> Inside, List<XattrFormat.Record> Outside)? PlaceXattrs(Node node)
    {
        if (node.Xattrs.Count == 0) return null;
        var records = node.Xattrs.Select(attribute => XattrFormat.ToRecord(node.Path, attribute)).ToList();
        records.Sort(XattrFormat.Compare);
        List<XattrFormat.Record> inside = [], outside = [];
        int insideFree = InlineXattrSpace - 8, outsideFree = BlockSize - XattrFormat.HeaderSize - 4; // each list ends in four zero bytes
        foreach (var record in records)
        {
            var length = record.EntryLength + record.ValueLength;
            var fits = length <= insideFree;
            (fits ? inside : outside).Add(record);
            if (fits) insideFree -= length;
            else outsideFree -= length;
        }

        if (outsideFree < 0)
            throw new ImageException(ImageErrorKind.TooLarge, $"The extended attributes of {node.Path} are {-outsideFree} bytes larger than an inode and one block hold; make them smaller.");
        return (inside, outside);
    }

    private void StoreXattrs(InodeView inode, (List<XattrFormat.Record> Inside, List<XattrFormat.Record> Outside)? placed)
    {
        if (placed is not { } lists) return;
        if (lists.Inside.Count > 0)
        {
            var area = inode.Bytes[(InodeView.OldSize + InodeView.ExtraSize)..];
            WriteUInt32LittleEndian(area, XattrFormat.Magic);
            XattrFormat.Write(area[4..], 0, lists.Inside);
        }

        if (lists.Outside.Count > 0) StoreXattrBlock(inode, lists.Outside);
    }

    private void StoreXattrBlock(InodeView inode, List<XattrFormat.Record> records)
    {
        var block = new byte[BlockSize];
        XattrFormat.WriteBlock(block, records);
        inode.XattrBlock = TakeBlock();
        inode.Sectors += BlockSize / 512;
        WriteUInt32LittleEndian(block.AsSpan(16), XattrFormat.BlockSum(_seed, inode.XattrBlock, block));
        _sink.Write(inode.XattrBlock, block);
    }

    private void CopyContent(Node node, Stream content)
    {
        if (node.Size > (1L << 44) - BlockSize) throw new ImageException(ImageErrorKind.TooLarge, $"{node.Path} has {node.Size} bytes; an ext4 file has at most 16 TiB.");
        var holes = content as IHoles;
        for (long done = 0; done < node.Size;)
        {
            // Only holes that end at a block's border, or at the file's end, keep the copy aligned.
            var space = _sink.Space(out var at).Span;
            var wanted = (int)Math.Min(space.Length, node.Size - done);
            if (holes is not null && holes.SkipHole() is var hole and > 0)
            {
                done += hole;
                if (done % BlockSize == 0 || done >= node.Size) continue;

                // The block in which the hole ends starts with zeros of it.
                var zeros = (int)(done & (BlockSize - 1));
                space[..zeros].Clear();
                var got = zeros + Fill(content, space[zeros..BlockSize], (int)Math.Min(BlockSize - zeros, node.Size - done), node);
                PlaceBlocks(space, at, done - zeros, got);
                done += got - zeros;
                continue;
            }

            Fill(content, space, wanted, node);
            PlaceBlocks(space, at, done, wanted);
            done += wanted;
        }
    }

    private static int Fill(Stream content, Span<byte> space, int wanted, Node node)
    {
        var done = content.ReadAtLeast(space[..wanted], wanted, throwOnEndOfStream: false);
        return done == wanted ? done : throw Refuse($"The content of {node.Path} ends before its {node.Size} bytes; its source is torn.");
    }

    /// <summary>Gives places to the blocks of a piece of content that are not all zeros.</summary>
    private void PlaceBlocks(Span<byte> space, int at, long offset, int length)
    {
        var padded = (length + BlockSize - 1) & -BlockSize;
        space[length..padded].Clear();
        for (var from = 0; from < padded;)
        {
            var to = from;
            while (to < padded && space.Slice(to, BlockSize).ContainsAnyExcept((byte)0)) to += BlockSize;
            while (from < to)
            {
                _placed = offset + from;
                var run = TakeBlocks((to - from) / BlockSize);
                _extents.Add((offset + from) / BlockSize, run);
                var bytes = (int)run.Count * BlockSize;
                _sink.Append(run.First, at + from, bytes);
                from += bytes;
            }

            while (from < padded && !space.Slice(from, BlockSize).ContainsAnyExcept((byte)0)) from += BlockSize;
        }
    }

    private void StoreExtents(uint number, long size)
    {
        var inode = _inodes[number];
        inode.Length = size;
        var blocks = _extents.Blocks + _extents.Store(number, inode, TakeBlock, _sink);
        inode.Sectors += blocks * (BlockSize / 512);
    }

    private long TakeBlock() => TakeBlocks(1).First;

    private BlockRun TakeBlocks(long wanted)
    {
        var run = _blocks.Take(wanted);
        if (run.Count > 0) return run;
        var (what, missing) = _finished ? ("its directories", 0) : (_current!.Path, _current.Size - _placed);
        throw new ImageException(ImageErrorKind.TooLarge,
            $"The tree does not fit into its ext4 file system of {new ByteSize(_layout.Options.Size)}: there is no room for {what}, and at least {new ByteSize(Math.Max(missing, wanted * BlockSize))} are missing; make the partition larger.");
    }

    private void WriteDirectories()
    {
        var builder = new DirectoryBuilder(_seed, new DirectoryHash(_layout.Options.HashSeed));
        foreach (var directory in _directories.Values)
        {
            _extents.Clear();
            var inode = _inodes[directory.Inode];
            StoreXattrs(inode, directory.Xattrs);
            long logical = 0;
            var content = builder.Build(directory, out var indexed);
            if (indexed) inode.Flags |= InodeFlags.Index;
            foreach (var block in content)
            {
                var place = TakeBlock();
                _sink.Write(place, block);
                _extents.Add(logical++, new BlockRun(place, 1));
            }

            StoreExtents(directory.Inode, logical * BlockSize);

            // Above 65000 the count of subdirectories is given up (dir_nlink).
            inode.Links = (ushort)(directory.Subdirectories + 2 > MostLinks ? 1 : directory.Subdirectories + 2);
        }
    }

    private byte[] WriteJournal()
    {
        if (_layout.Journal.Count == 0) return [];
        var inode = _inodes[SpecialInode.Journal];
        inode.Mode = FileType.File | 0x180;
        inode.Links = 1;
        inode.ExtraIsize = InodeView.ExtraSize;
        inode.SetTimes(_layout.Options.CreatedAt, 0, _layout.Options.CreatedAt);
        _extents.Clear();
        long logical = 0;
        foreach (var run in _layout.Journal)
        {
            _extents.Add(logical, run);
            logical += run.Count;
        }

        StoreExtents(SpecialInode.Journal, _layout.Options.JournalSize);
        _sink.Write(_layout.Journal[0].First, JournalSuperBlock.Empty((uint)logical, _layout.Options.Uuid));
        return inode.Block.ToArray();
    }

    private static ImageException Refuse(string message) => new(ImageErrorKind.Corrupt, message);
}
