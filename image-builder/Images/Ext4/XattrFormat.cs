using System.Text;
using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.Ext4;

/// <summary>Extended attributes as they lie behind an inode's fields or in a block of their own (fs/ext4/xattr.h): entries from the
/// front, values from the back.</summary>
internal static class XattrFormat
{
    public const uint Magic = 0xEA020000;
    public const int HeaderSize = 32;
    public const int EntrySize = 16;

    // The longest prefix stands first where one begins another.
    private static readonly (byte Index, string Prefix)[] Prefixes =
    [
        (2, "system.posix_acl_access"), (3, "system.posix_acl_default"), (8, "system.richacl"),
        (1, "user."), (4, "trusted."), (6, "security."), (7, "system."),
    ];

    /// <summary>An attribute with its name and value as on the medium.</summary>
    public readonly record struct Record(byte Index, byte[] Name, byte[] Value)
    {
        public int EntryLength => Round(EntrySize + Name.Length);

        public int ValueLength => Round(Value.Length);

        /// <summary>The hash of name and value (ext4_xattr_hash_entry).</summary>
        public uint Hash()
        {
            uint hash = 0;
            foreach (var letter in Name) hash = (hash << 5) ^ (hash >> 27) ^ letter;
            Span<byte> word = stackalloc byte[4];
            for (var at = 0; at < Value.Length; at += 4)
            {
                word.Clear();
                Value.AsSpan(at, Math.Min(4, Value.Length - at)).CopyTo(word);
                hash = (hash << 16) ^ (hash >> 16) ^ ReadUInt32LittleEndian(word);
            }

            return hash;
        }
    }

    public static int Round(int length) => (length + 3) & ~3;

    /// <summary>The attribute of a tree as it will lie on the medium.</summary>
    public static Record ToRecord(string path, Xattr attribute)
    {
        foreach (var (index, prefix) in Prefixes)
        {
            if (!attribute.Name.StartsWith(prefix, StringComparison.Ordinal)) continue;
            var isAcl = index is 2 or 3;
            if (isAcl && attribute.Name.Length != prefix.Length) continue;
            var name = UnixText.Encode(attribute.Name[prefix.Length..]);
            if (name.Length > 255 || (name.Length == 0 && prefix.EndsWith('.'))) break;
            return new Record(index, name, isAcl ? Ext4Acl.ToDisk(path, attribute.Value.Span) : attribute.Value.ToArray());
        }

        throw new ImageException(ImageErrorKind.Unsupported, $"{path} has the attribute {attribute.Name}, which ext4 cannot hold; remove it or use another file system.");
    }

    /// <summary>The attribute's name with its prefix, or null for an index that no kernel has.</summary>
    public static string? FullName(byte index, ReadOnlySpan<byte> name)
    {
        foreach (var (known, prefix) in Prefixes)
            if (known == index) return prefix + UnixText.Decode(name);
        return index == 0 ? UnixText.Decode(name) : null;
    }

    /// <summary>Kernels search blocks in this order and stop early.</summary>
    public static int Compare(Record a, Record b)
    {
        if (a.Index != b.Index) return a.Index.CompareTo(b.Index);
        return a.Name.Length != b.Name.Length ? a.Name.Length.CompareTo(b.Name.Length) : a.Name.AsSpan().SequenceCompareTo(b.Name);
    }

    /// <summary>Writes entries and values; offsets count from <paramref name="origin"/>.</summary>
    public static void Write(Span<byte> area, int origin, List<Record> records)
    {
        var entry = 0;
        var value = area.Length;
        foreach (var record in records)
        {
            value -= record.ValueLength;
            var to = area[entry..];
            to[0] = (byte)record.Name.Length;
            to[1] = record.Index;
            WriteUInt16LittleEndian(to[2..], (ushort)(record.Value.Length == 0 ? 0 : value + origin));
            WriteUInt32LittleEndian(to[8..], (uint)record.Value.Length);
            WriteUInt32LittleEndian(to[12..], record.Hash());
            record.Name.CopyTo(to[EntrySize..]);
            record.Value.CopyTo(area[value..]);
            entry += record.EntryLength;
        }
    }

    /// <summary>A block of attributes without its checksum, which needs to know the block's place.</summary>
    public static void WriteBlock(Span<byte> block, List<Record> records)
    {
        block.Clear();
        WriteUInt32LittleEndian(block, Magic);
        WriteUInt32LittleEndian(block[4..], 1); // h_refcount
        WriteUInt32LittleEndian(block[8..], 1); // h_blocks
        uint hash = 0;
        foreach (var record in records) hash = (hash << 16) ^ (hash >> 16) ^ record.Hash();
        WriteUInt32LittleEndian(block[12..], hash);
        Write(block[HeaderSize..], HeaderSize, records);
    }

    /// <summary>The checksum of a block of attributes (h_checksum).</summary>
    public static uint BlockSum(uint fileSystemSeed, long place, ReadOnlySpan<byte> block)
    {
        Span<byte> number = stackalloc byte[8];
        WriteInt64LittleEndian(number, place);
        return Crc32C.AddWithout(Crc32C.Add(fileSystemSeed, number), block, 16, sizeof(uint));
    }
}
