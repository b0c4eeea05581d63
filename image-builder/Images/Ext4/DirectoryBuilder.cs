using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>A name in a directory.</summary>
internal readonly record struct DirectoryEntry(byte[] Name, uint Inode, byte Type)
{
    public const int HeaderSize = 8;

    /// <summary>Bytes of an entry with a name of this length, rounded up to four.</summary>
    public static int LengthFor(int name) => (HeaderSize + name + 3) & ~3;

    public void Write(Span<byte> to, int recordLength)
    {
        WriteUInt32LittleEndian(to, Inode);
        WriteUInt16LittleEndian(to[4..], (ushort)recordLength);
        to[6] = (byte)Name.Length;
        to[7] = Type;
        Name.CopyTo(to[HeaderSize..]);
    }
}

/// <summary>A directory while its entries are gathered.</summary>
internal sealed class DirectoryRecord(uint inode, uint parent)
{
    public uint Inode => inode;

    public uint Parent => parent;

    public List<DirectoryEntry> Entries { get; } = [];

    public int Subdirectories { get; set; }

    public (List<XattrFormat.Record> Inside, List<XattrFormat.Record> Outside)? Xattrs { get; set; }
}

/// <summary>Builds the blocks of a directory: one block as a plain list, more as a hash tree (dir_index) whose leaves are plain lists.</summary>
internal sealed class DirectoryBuilder(uint fileSystemSeed, DirectoryHash hash)
{
    private const int BlockSize = Ext4Layout.BlockSize;
    private const int TailSize = 12;
    private const int Usable = BlockSize - TailSize;
    private const int RootHeader = 32; // . and .. as entries, then dx_root_info
    private const int NodeHeader = 8; // one unused entry over the whole block
    private const int DxTail = 8;
    private const int RootLimit = (BlockSize - RootHeader - DxTail) / 8;
    private const int NodeLimit = (BlockSize - NodeHeader - DxTail) / 8;

    private static readonly byte[] Dot = [(byte)'.'];
    private static readonly byte[] DotDot = [(byte)'.', (byte)'.'];

    private readonly record struct Hashed(uint Hash, int Index) : IComparable<Hashed>
    {
        public int CompareTo(Hashed other) => Hash != other.Hash ? Hash.CompareTo(other.Hash) : Index.CompareTo(other.Index);
    }

    private readonly record struct IndexEntry(uint Hash, uint Block);

    /// <summary>The blocks of a directory, in order; each is good until the next is asked for.</summary>
    public IEnumerable<byte[]> Build(DirectoryRecord directory, out bool indexed)
    {
        var length = DirectoryEntry.LengthFor(1) + DirectoryEntry.LengthFor(2) + directory.Entries.Sum(e => (long)DirectoryEntry.LengthFor(e.Name.Length));
        indexed = length > Usable;
        return indexed ? BuildTree(directory) : BuildPlain(directory);
    }

    private IEnumerable<byte[]> BuildPlain(DirectoryRecord directory)
    {
        var block = new byte[BlockSize];
        var entries = new List<DirectoryEntry>(directory.Entries.Count + 2) { new(Dot, directory.Inode, 2), new(DotDot, directory.Parent, 2) };
        entries.AddRange(directory.Entries);
        FillLeaf(block, entries, Crc32C.InodeSeed(fileSystemSeed, directory.Inode, 0));
        yield return block;
    }

    private static void FillLeaf(byte[] block, List<DirectoryEntry> entries, uint seed)
    {
        block.AsSpan().Clear();
        var at = 0;
        for (var i = 0; i < entries.Count; i++)
        {
            var length = i == entries.Count - 1 ? Usable - at : DirectoryEntry.LengthFor(entries[i].Name.Length);
            entries[i].Write(block.AsSpan(at), length);
            at += length;
        }

        // The tail looks like an unused entry with the type 0xDE (struct ext4_dir_entry_tail).
        WriteUInt16LittleEndian(block.AsSpan(Usable + 4), TailSize);
        block[Usable + 7] = 0xDE;
        WriteUInt32LittleEndian(block.AsSpan(Usable + 8), Crc32C.Add(seed, block.AsSpan(0, Usable)));
    }

    private IEnumerable<byte[]> BuildTree(DirectoryRecord directory)
    {
        var seed = Crc32C.InodeSeed(fileSystemSeed, directory.Inode, 0);
        var sorted = Sort(directory.Entries);
        var leaves = Leaves(directory.Entries, sorted);
        var nodes = leaves.Count > RootLimit ? (leaves.Count + NodeLimit - 1) / NodeLimit : 0;
        if (nodes > RootLimit)
            throw new ImageException(ImageErrorKind.TooLarge, $"A directory with {directory.Entries.Count} entries is larger than an ext4 index of two levels; split it.");

        // Order on the medium: root, inner nodes, leaves.
        var leafEntries = leaves.Select((leaf, i) => new IndexEntry(leaf.Hash, (uint)(1 + nodes + i))).ToList();
        var block = new byte[BlockSize];
        var inner = leafEntries.Chunk(NodeLimit).ToArray();
        var top = nodes == 0 ? leafEntries : [.. inner.Select((part, i) => new IndexEntry(part[0].Hash, (uint)(1 + i)))];
        FillRoot(block, directory, top, (byte)(nodes == 0 ? 0 : 1), seed);
        yield return block;
        for (var i = 0; i < nodes; i++)
        {
            block.AsSpan().Clear();
            WriteUInt16LittleEndian(block.AsSpan(4), BlockSize);
            FillIndex(block, NodeHeader, NodeLimit, inner[i], seed);
            yield return block;
        }

        var entries = new List<DirectoryEntry>();
        for (var i = 0; i < leaves.Count; i++)
        {
            var end = i + 1 < leaves.Count ? leaves[i + 1].From : sorted.Length;
            entries.Clear();
            for (var j = leaves[i].From; j < end; j++) entries.Add(directory.Entries[sorted[j].Index]);
            FillLeaf(block, entries, seed);
            yield return block;
        }
    }

    private Hashed[] Sort(List<DirectoryEntry> entries)
    {
        var sorted = new Hashed[entries.Count];
        for (var i = 0; i < sorted.Length; i++) sorted[i] = new Hashed(hash.Of(entries[i].Name), i);
        Array.Sort(sorted);
        return sorted;
    }

    /// <summary>Cuts the sorted entries into leaves. The lowest bit of a leaf's hash says that the hash goes on from the leaf before.</summary>
    private static List<(uint Hash, int From)> Leaves(List<DirectoryEntry> entries, Hashed[] sorted)
    {
        var leaves = new List<(uint Hash, int From)> { (0, 0) };
        var used = 0;
        for (var i = 0; i < sorted.Length; i++)
        {
            var length = DirectoryEntry.LengthFor(entries[sorted[i].Index].Name.Length);
            if (used + length > Usable)
            {
                leaves.Add((sorted[i].Hash | (sorted[i].Hash == sorted[i - 1].Hash ? 1u : 0u), i));
                used = 0;
            }

            used += length;
        }

        return leaves;
    }

    private static void FillRoot(byte[] block, DirectoryRecord directory, IReadOnlyList<IndexEntry> entries, byte levels, uint seed)
    {
        block.AsSpan().Clear();
        new DirectoryEntry(Dot, directory.Inode, 2).Write(block, 12);
        new DirectoryEntry(DotDot, directory.Parent, 2).Write(block.AsSpan(12), BlockSize - 12);
        block[28] = 1; // half MD4; the superblock's flag says with unsigned characters
        block[29] = 8; // length of dx_root_info
        block[30] = levels;
        FillIndex(block, RootHeader, RootLimit, entries, seed);
    }

    private static void FillIndex(byte[] block, int at, int limit, IReadOnlyList<IndexEntry> entries, uint seed)
    {
        // The first entry has no hash: its place holds limit and count.
        for (var i = 0; i < entries.Count; i++)
        {
            WriteUInt32LittleEndian(block.AsSpan(at + (8 * i)), entries[i].Hash);
            WriteUInt32LittleEndian(block.AsSpan(at + (8 * i) + 4), entries[i].Block);
        }

        WriteUInt16LittleEndian(block.AsSpan(at), (ushort)limit);
        WriteUInt16LittleEndian(block.AsSpan(at + 2), (ushort)entries.Count);
        WriteUInt32LittleEndian(block.AsSpan(at + (8 * limit) + 4), DxSum(seed, block, at, limit, entries.Count));
    }

    /// <summary>The sum over an index node: what is in use of it, then its tail with the sum as zeros (ext4_dx_csum).</summary>
    public static uint DxSum(uint seed, ReadOnlySpan<byte> block, int at, int limit, int count)
    {
        var crc = Crc32C.Add(seed, block[..(at + (8 * count))]);
        return Crc32C.Add(Crc32C.Add(crc, block.Slice(at + (8 * limit), 4)), 0u);
    }
}
