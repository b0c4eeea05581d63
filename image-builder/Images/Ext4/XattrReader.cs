using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Reads the extended attributes of an inode, from behind its fields and from its block.</summary>
internal static class XattrReader
{
    /// <summary>The attributes in ordinal order of their names.</summary>
    public static IReadOnlyList<Xattr> Read(Ext4Volume volume, Ext4Inode inode)
    {
        var view = inode.View;
        List<Xattr>? found = null;
        var start = InodeView.OldSize + view.ExtraIsize;
        if (view.ExtraIsize > 0 && start + 4 <= view.Bytes.Length && ReadUInt32LittleEndian(view.Bytes[start..]) == XattrFormat.Magic)
        {
            ReadOnlySpan<byte> area = view.Bytes[(start + 4)..];
            ReadEntries(volume, inode, area, area, found ??= []);
        }

        if (view.XattrBlock != 0)
        {
            var block = volume.Block(view.XattrBlock);
            if (ReadUInt32LittleEndian(block) != XattrFormat.Magic || ReadUInt32LittleEndian(block[8..]) != 1) throw Broken(volume, inode);
            if (volume.HasSums && XattrFormat.BlockSum(volume.Seed, view.XattrBlock, block) != ReadUInt32LittleEndian(block[16..]))
                throw volume.Corrupt($"has attributes of inode {inode.Number} with a wrong checksum");
            ReadEntries(volume, inode, block[XattrFormat.HeaderSize..], block, found ??= []);
        }

        if (found is null) return [];
        found.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return found;
    }

    private static void ReadEntries(Ext4Volume volume, Ext4Inode inode, ReadOnlySpan<byte> entries, ReadOnlySpan<byte> values, List<Xattr> found)
    {
        while (entries.Length >= 4 && ReadUInt32LittleEndian(entries) != 0)
        {
            var nameLength = entries[0];
            var next = XattrFormat.Round(XattrFormat.EntrySize + nameLength);
            if (entries.Length < next) throw Broken(volume, inode);
            var index = entries[1];
            if (ReadUInt32LittleEndian(entries[4..]) != 0)
                throw new ImageException(ImageErrorKind.Unsupported, $"Inode {inode.Number} of the ext4 file system keeps an attribute in an inode of its own (ea_inode), which is not read here.");
            var offset = ReadUInt16LittleEndian(entries[2..]);
            var size = ReadUInt32LittleEndian(entries[8..]);
            if (size > values.Length || (size > 0 && offset > values.Length - size)) throw Broken(volume, inode);
            var value = size == 0 ? [] : values.Slice(offset, (int)size).ToArray();
            Add(volume, inode, index, entries.Slice(XattrFormat.EntrySize, nameLength), value, found);
            entries = entries[next..];
        }
    }

    private static void Add(Ext4Volume volume, Ext4Inode inode, byte index, ReadOnlySpan<byte> name, byte[] value, List<Xattr> found)
    {
        var fullName = XattrFormat.FullName(index, name) ?? throw Broken(volume, inode);
        if (fullName == "system.data") return; // where inline data goes on
        if (index is 2 or 3) value = Ext4Acl.FromDisk(value) ?? throw Broken(volume, inode);
        if (found.Any(other => other.Name == fullName)) throw Broken(volume, inode);
        found.Add(new Xattr(fullName, value));
    }

    private static ImageException Broken(Ext4Volume volume, Ext4Inode inode) => volume.Corrupt($"has damaged attributes at inode {inode.Number}");
}
