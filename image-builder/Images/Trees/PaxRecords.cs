using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace OsBuild.Images.Trees;

/// <summary>The records of pax extended headers: what they say replaces what the plain header says.</summary>
internal sealed class PaxRecords
{
    private readonly SortedDictionary<string, byte[]> _xattrs = new(StringComparer.Ordinal);

    private string? _path;
    private string? _sparseName;

    /// <summary>A sparse file's own name stands beside the made-up one under which old programs unpack it.</summary>
    public string? Path => _sparseName ?? _path;

    public string? LinkPath { get; private set; }

    public long? Size { get; private set; }

    public uint? Uid { get; private set; }

    public uint? Gid { get; private set; }

    public (long Seconds, int Nanoseconds)? ModifiedAt { get; private set; }

    public int SparseMajor { get; private set; }

    public long? SparseSize { get; private set; }

    public List<TarSegment>? SparseMap { get; private set; }

    public IReadOnlyList<Xattr> Xattrs => _xattrs.Count == 0 ? [] : [.. _xattrs.Select(pair => new Xattr(pair.Key, pair.Value))];

    /// <summary>Reads "length key=value\n" records. Later records win.</summary>
    public void Read(ReadOnlySpan<byte> records)
    {
        while (!records.IsEmpty)
        {
            if (records.IndexOfAnyExcept((byte)0) < 0) return;
            if (!Utf8Parser.TryParse(records, out int length, out var digits) || length <= digits + 1 || length > records.Length
                || records[digits] != ' ' || records[length - 1] != '\n') throw Corrupt("a record without a sound length");
            var record = records[(digits + 1)..(length - 1)];
            var equals = record.IndexOf((byte)'=');
            if (equals <= 0) throw Corrupt("a record without a key");
            Set(UnixText.Decode(record[..equals]), record[(equals + 1)..]);
            records = records[length..];
        }
    }

    private void Set(string key, ReadOnlySpan<byte> value)
    {
        switch (key)
        {
            case "path": _path = UnixText.Decode(value); break;
            case "GNU.sparse.name": _sparseName = UnixText.Decode(value); break;
            case "linkpath": LinkPath = UnixText.Decode(value); break;
            case "size": Size = Integer(key, value); break;
            case "uid": Uid = Identity(key, value); break;
            case "gid": Gid = Identity(key, value); break;
            case "mtime": ModifiedAt = Time(value); break;
            case "GNU.sparse.major": SparseMajor = (int)Math.Min(Integer(key, value), int.MaxValue); break;
            case "GNU.sparse.size" or "GNU.sparse.realsize": SparseSize = Integer(key, value); break;
            case "GNU.sparse.offset": (SparseMap ??= []).Add(new TarSegment(Integer(key, value), 0)); break;
            case "GNU.sparse.numbytes" when SparseMap is [.., var last]: SparseMap[^1] = last with { Length = Integer(key, value) }; break;
            case "GNU.sparse.map": SparseMap = Map(key, value); break;
            case "SCHILY.acl.access" or "SCHILY.acl.default": SetAcl("system.posix_acl_" + key["SCHILY.acl.".Length..], value); break;
            case var _ when key.StartsWith("SCHILY.xattr."): _xattrs[AsNamed(key["SCHILY.xattr.".Length..])] = value.ToArray(); break;
            case var _ when key.StartsWith("LIBARCHIVE.xattr."): SetFromLibarchive(key["LIBARCHIVE.xattr.".Length..], value); break;
            default: break; // comment, hdrcharset, atime, ctime, names of owners and vendors' records say nothing a tree keeps
        }
    }

    /// <summary>A key cannot hold the equals sign; GNU tar writes %3D for it, and %25 for the percent sign.</summary>
    private static string AsNamed(string name) => name.Contains('%') ? name.Replace("%3D", "=").Replace("%25", "%") : name;

    private void SetAcl(string name, ReadOnlySpan<byte> text)
    {
        if (PosixAcl.FromText(UnixText.Decode(text)) is { } acl) _xattrs[name] = acl;
    }

    /// <summary>libarchive writes names with %XX and values in base64 without padding, beside SCHILY records when it can.</summary>
    private void SetFromLibarchive(string name, ReadOnlySpan<byte> value)
    {
        name = Uri.UnescapeDataString(name);
        if (_xattrs.ContainsKey(name)) return;
        var padded = new byte[(value.Length + 3) / 4 * 4];
        padded.AsSpan().Fill((byte)'=');
        value.CopyTo(padded);
        var decoded = new byte[padded.Length];
        if (Base64.DecodeFromUtf8(padded, decoded, out _, out var length) != System.Buffers.OperationStatus.Done) throw Corrupt("an attribute that is not base64");
        _xattrs[name] = decoded[..length];
    }

    private static List<TarSegment> Map(string key, ReadOnlySpan<byte> value)
    {
        var map = new List<TarSegment>();
        var numbers = Encoding.ASCII.GetString(value).Split(',');
        if (numbers.Length % 2 != 0) throw Corrupt("a sparse map with half a pair");
        for (var i = 0; i < numbers.Length; i += 2) map.Add(new TarSegment(Integer(key, numbers[i]), Integer(key, numbers[i + 1])));
        return map;
    }

    private static (long Seconds, int Nanoseconds) Time(ReadOnlySpan<byte> value)
    {
        if (!decimal.TryParse(value, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var time)
            || Math.Abs(time) > long.MaxValue) throw Corrupt("a time that is no number");
        var seconds = Math.Floor(time);
        return ((long)seconds, (int)((time - seconds) * 1_000_000_000));
    }

    private static uint Identity(string key, ReadOnlySpan<byte> value) =>
        Integer(key, value) is <= uint.MaxValue and var id ? (uint)id : throw Corrupt($"a {key} that does not fit 32 bits");

    private static long Integer(string key, ReadOnlySpan<byte> value) => Integer(key, Encoding.ASCII.GetString(value));

    private static long Integer(string key, string value) =>
        long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Corrupt($"a {key} that is no number");

    private static ImageException Corrupt(string what) => new(ImageErrorKind.Corrupt, $"A pax header of the tar archive has {what}; make the archive again.");
}
