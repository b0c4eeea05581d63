using OsBuild.Images.Trees;
using static System.Buffers.Binary.BinaryPrimitives;

namespace OsBuild.Images.SquashFs;

/// <summary>Collects extended attributes; equal sets are kept once.</summary>
internal sealed class XattrTable(BlockEncoder encoder)
{
    private static readonly string[] Prefixes = ["user.", "trusted.", "security."];

    private readonly MetadataWriter _pairs = new(encoder), _ids = new(encoder);
    private readonly Dictionary<string, uint> _known = new(StringComparer.Ordinal);

    /// <summary>True when squashfs can hold an attribute of this name.</summary>
    public static bool CanHold(string name) => Prefixes.Any(p => name.StartsWith(p, StringComparison.Ordinal));

    /// <summary>The number of a set of attributes.</summary>
    public uint Add(IReadOnlyList<Xattr> xattrs)
    {
        if (xattrs.Count == 0) return SquashFsFormat.NoXattr;
        var bytes = new MemoryStream();
        Span<byte> number = stackalloc byte[4];
        foreach (var (name, value) in xattrs)
        {
            var prefix = Array.FindIndex(Prefixes, p => name.StartsWith(p, StringComparison.Ordinal));
            var rest = UnixText.Encode(name[Prefixes[prefix].Length..]);
            WriteUInt16LittleEndian(number, (ushort)prefix);
            WriteUInt16LittleEndian(number[2..], (ushort)rest.Length);
            bytes.Write(number);
            bytes.Write(rest);
            WriteInt32LittleEndian(number, value.Length);
            bytes.Write(number);
            bytes.Write(value.Span);
        }

        var key = Convert.ToBase64String(bytes.GetBuffer(), 0, (int)bytes.Length);
        if (_known.TryGetValue(key, out var id)) return id;
        var (block, offset) = _pairs.Position;
        Span<byte> entry = stackalloc byte[SquashFsFormat.XattrIdSize];
        WriteUInt64LittleEndian(entry, (ulong)block << 16 | offset);
        WriteInt32LittleEndian(entry[8..], xattrs.Count);
        // The size of the names with their prefixes and of the values: what listxattr and unsquashfs make room for.
        WriteInt32LittleEndian(entry[12..], (int)bytes.Length);
        _ids.Write(entry);
        _pairs.Write(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
        return _known[key] = (uint)_known.Count;
    }

    /// <summary>Writes the tables; gives where the header lies, or <see cref="SquashFsFormat.NoTable"/> when there are no attributes.</summary>
    public ulong Finish(Stream target, long origin)
    {
        if (_known.Count == 0) return SquashFsFormat.NoTable;
        var pairs = (ulong)(target.Position - origin);
        _pairs.Finish(target, origin);
        var starts = _ids.Finish(target, origin);
        var table = (ulong)(target.Position - origin);
        var header = new byte[16 + 8 * starts.Count];
        WriteUInt64LittleEndian(header, pairs);
        WriteInt32LittleEndian(header.AsSpan(8), _known.Count);
        for (var i = 0; i < starts.Count; i++) WriteUInt64LittleEndian(header.AsSpan(16 + 8 * i), starts[i]);
        target.Write(header);
        return table;
    }
}
