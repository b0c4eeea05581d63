using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>A name that was read from a directory; the type is 0 when the file system does not keep it there.</summary>
internal readonly record struct NamedInode(string Name, uint Inode, byte Type);

/// <summary>Reads directories block by block, indexed ones too: index nodes look like unused entries in a plain list.</summary>
internal sealed class DirectoryReader(Ext4Volume volume)
{
    // A directory of a million long names; more is a loop or rot.
    private const long LargestDirectory = 512L << 20;

    /// <summary>All entries but <c>.</c> and <c>..</c>, in the order of the medium.</summary>
    public List<NamedInode> Read(Ext4Inode directory) => Read(directory, FileMap.Of(volume, directory), out _);

    /// <summary>As above; <paramref name="parent"/> is what <c>..</c> says.</summary>
    public List<NamedInode> Read(Ext4Inode directory, FileMap map, out uint parent)
    {
        var entries = new List<NamedInode>();
        parent = 0;
        var length = directory.Length;
        if (length == 0 || length % volume.BlockSize != 0 || length > LargestDirectory) throw Broken(directory, $"a length of {length} bytes");
        long next = 0;
        var indexed = (directory.View.Flags & InodeFlags.Index) != 0;
        foreach (var run in map.Runs)
        {
            if (run.Logical != next || run.Unwritten) throw Broken(directory, "a hole");
            for (; next < run.End && next < length / volume.BlockSize; next++)
            {
                var block = volume.Block(run.Physical + next - run.Logical);
                if (volume.HasSums && !IsSound(block, directory, indexed, next == 0)) throw Broken(directory, "a block with a wrong checksum");
                ReadBlock(directory, block, entries, ref parent);
            }
        }

        return next == length / volume.BlockSize ? entries : throw Broken(directory, "too few blocks");
    }

    private void ReadBlock(Ext4Inode directory, ReadOnlySpan<byte> block, List<NamedInode> entries, ref uint parent)
    {
        for (var at = 0; at < block.Length;)
        {
            var left = block.Length - at;
            if (left < DirectoryEntry.HeaderSize) throw Broken(directory, "an entry that leaves its block");
            var length = (int)ReadUInt16LittleEndian(block[(at + 4)..]);

            // 16 bits do not hold a block of 64 KiB; its two lowest bits stand for the upper ones.
            if (volume.BlockSize == 1 << 16 && (length & 0xFFFC) is 0 or 0xFFFC) length = 1 << 16;
            int nameLength = block[at + 6];
            if (length < DirectoryEntry.HeaderSize + nameLength || length > left || length % 4 != 0) throw Broken(directory, "an entry that leaves its block");
            var inode = ReadUInt32LittleEndian(block[at..]);
            if (inode != 0) Add(directory, entries, block.Slice(at + DirectoryEntry.HeaderSize, nameLength), inode, block[at + 7], ref parent);
            at += length;
        }
    }

    private void Add(Ext4Inode directory, List<NamedInode> entries, ReadOnlySpan<byte> name, uint inode, byte type, ref uint parent)
    {
        if (name.SequenceEqual("."u8)) return;
        if (name.SequenceEqual(".."u8))
        {
            parent = inode;
            return;
        }

        if (name.IsEmpty || name.ContainsAny((byte)0, (byte)'/')) throw Broken(directory, "an entry with an impossible name");
        entries.Add(new NamedInode(UnixText.Decode(name), inode, volume.Super.Has(IncompatibleFeatures.FileType) ? type : (byte)0));
    }

    private bool IsSound(ReadOnlySpan<byte> block, Ext4Inode directory, bool indexed, bool first)
    {
        var seed = directory.Seed(volume.Seed);
        if (indexed && IndexAt(block, first) is var at and > 0)
        {
            int limit = ReadUInt16LittleEndian(block[at..]), count = ReadUInt16LittleEndian(block[(at + 2)..]);
            var tail = at + (8 * limit);
            return count <= limit && tail + 8 <= block.Length
                && DirectoryBuilder.DxSum(seed, block, at, limit, count) == ReadUInt32LittleEndian(block[(tail + 4)..]);
        }

        return Crc32C.Add(seed, block[..^12]) == ReadUInt32LittleEndian(block[^4..]);
    }

    /// <summary>Where the index starts in a root or inner node, or 0 in a leaf.</summary>
    private static int IndexAt(ReadOnlySpan<byte> block, bool first)
    {
        if (first) return 32;
        var wholeBlock = ReadUInt16LittleEndian(block[4..]) == (block.Length == 1 << 16 ? 0xFFFC : block.Length) || ReadUInt16LittleEndian(block[4..]) == block.Length % (1 << 16);
        return ReadUInt32LittleEndian(block) == 0 && wholeBlock ? 8 : 0;
    }

    private ImageException Broken(Ext4Inode directory, string what) => volume.Corrupt($"has a directory (inode {directory.Number}) with {what}");
}
