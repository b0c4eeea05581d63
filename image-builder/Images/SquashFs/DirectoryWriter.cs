using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Where a directory's listing went, and for each further metadata block of it: position in the listing, start of the block and the
/// first name there.</summary>
internal readonly record struct Listing(uint Block, ushort Offset, int Size, List<(uint Position, uint Block, byte[] Name)> Indexes);

/// <summary>Writes the listings of directories.</summary>
internal sealed class DirectoryWriter(BlockEncoder encoder)
{
    private const int HeaderSize = 12, EntrySize = 8, MostEntries = 256;

    public MetadataWriter Table { get; } = new(encoder);

    /// <summary>Writes the listing of children that are sorted and whose inodes are written.</summary>
    public Listing Write(List<(byte[] Name, TreeNode Node)> children)
    {
        var origin = Table.Length;
        var (block, offset) = Table.Position;
        var bytes = new MemoryStream();
        var indexes = new List<(uint Position, long Block, byte[] Name)>();
        var lastBlock = origin / SquashFsFormat.MetadataSize;
        for (var i = 0; i < children.Count;)
        {
            // A listing that goes on in another metadata block gets an index there, so that a name is found without reading all of it.
            var here = (origin + bytes.Length) / SquashFsFormat.MetadataSize;
            if (here > lastBlock) indexes.Add(((uint)bytes.Length, here, children[i].Name));
            lastBlock = here;
            i = WriteRun(children, i, bytes, origin);
        }

        Table.Write(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
        return new Listing(block, offset, (int)bytes.Length, [.. indexes.Select(x => (x.Position, Table.StartOf(x.Block * SquashFsFormat.MetadataSize), x.Name))]);
    }

    /// <summary>Writes a header and the entries that share it; gives the first that does not.</summary>
    private static int WriteRun(List<(byte[] Name, TreeNode Node)> children, int first, MemoryStream bytes, long origin)
    {
        var (inodeBlock, _) = children[first].Node.Place!.Value;
        var number = children[first].Node.Number;
        var start = bytes.Length;
        var block = (origin + start) / SquashFsFormat.MetadataSize;
        Span<byte> header = stackalloc byte[HeaderSize];
        bytes.Write(header);
        var i = first;
        Span<byte> entry = stackalloc byte[EntrySize];
        for (; i < children.Count && i - first < MostEntries; i++)
        {
            var (name, node) = children[i];
            var delta = (long)node.Number - number;
            if (node.Place!.Value.Block != inodeBlock || delta is < short.MinValue or > short.MaxValue) break;
            if (i > first && (origin + bytes.Length) / SquashFsFormat.MetadataSize > block) break;
            WriteUInt16LittleEndian(entry, node.Place.Value.Offset);
            WriteInt16LittleEndian(entry[2..], (short)delta);
            WriteUInt16LittleEndian(entry[4..], (ushort)TypeOf(node));
            WriteUInt16LittleEndian(entry[6..], (ushort)(name.Length - 1));
            bytes.Write(entry);
            bytes.Write(name);
        }

        WriteInt32LittleEndian(header, i - first - 1);
        WriteUInt32LittleEndian(header[4..], inodeBlock);
        WriteUInt32LittleEndian(header[8..], number);
        header.CopyTo(bytes.GetBuffer().AsSpan((int)start));
        return i;
    }

    private static InodeType TypeOf(TreeNode node) => node.Node.Kind switch
    {
        Trees.NodeKind.Directory => InodeType.Directory,
        Trees.NodeKind.File => InodeType.File,
        Trees.NodeKind.Symlink => InodeType.Symlink,
        Trees.NodeKind.BlockDevice => InodeType.BlockDevice,
        Trees.NodeKind.CharDevice => InodeType.CharDevice,
        Trees.NodeKind.Fifo => InodeType.Fifo,
        _ => InodeType.Socket,
    };
}
