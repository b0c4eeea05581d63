using System.Globalization;
using System.Text;

namespace OsBuild.Images.Trees;

/// <summary>Reads one archive entry after the other.</summary>
internal sealed class TarReader(Stream tar)
{
    // A path is at most 4 KiB and an attribute 64 KiB in Linux; a sparse map may be long. Nothing sound comes near this.
    private const int LargestExtension = 16 << 20;

    private readonly TarInput _input = new(tar);
    private readonly byte[] _header = new byte[TarHeader.Size];
    private readonly List<byte[]> _globals = [];
    private TarContent? _content;
    private long _padding;
    private bool _ended;

    // What extension entries said about the entry that follows them.
    private PaxRecords? _pax;
    private string? _longName;
    private string? _longLink;

    /// <summary>The next entry, or null after the last.</summary>
    public TreeEntry? Next()
    {
        if (_ended) return null;
        if (_content is not null) _input.Skip(_content.Packed + _padding);
        _content ??= new TarContent(_input);
        (_pax, _longName, _longLink, _padding) = (null, null, null, 0);
        _content.StartPlain(0);
        while (true)
        {
            var at = _input.Offset;
            _input.ReadExactly(_header);
            var header = new TarHeader(_header, at);
            if (header.IsZero)
            {
                _ended = true;
                _input.Drain();
                return null;
            }

            header.CheckSum();
            if (!ReadExtension(header)) return ReadEntry(header);
        }
    }

    /// <summary>Entries that only say something about the next one.</summary>
    private bool ReadExtension(TarHeader header)
    {
        switch (header.Type)
        {
            case 'L':
                _longName = Text(Body(header));
                return true;
            case 'K':
                _longLink = Text(Body(header));
                return true;
            case 'x' or 'X':
                (_pax ??= NewRecords()).Read(Body(header));
                return true;
            case 'g':
                _globals.Add(Body(header));
                return true;
            case 'V': // the label of a volume
                Body(header);
                return true;
            default:
                return false;
        }
    }

    private PaxRecords NewRecords()
    {
        var records = new PaxRecords();
        foreach (var global in _globals) records.Read(global);
        return records;
    }

    private byte[] Body(TarHeader header)
    {
        var size = header.ContentSize;
        if (size > LargestExtension) throw Corrupt($"an extension of {size} bytes before byte {_input.Offset}");
        var body = new byte[size];
        _input.ReadExactly(body);
        _input.Skip(Padding(size));
        return body;
    }

    private TreeEntry ReadEntry(TarHeader header)
    {
        if (_pax is null && _globals.Count > 0) _pax = NewRecords();
        var name = _pax?.Path ?? _longName ?? header.Name;
        var kind = Kind(header.Type, name);
        var packed = kind == NodeKind.File || header.Type == 'D' || (kind == NodeKind.HardLink && _pax is not null) ? _pax?.Size ?? header.ContentSize : 0;
        _padding = Padding(packed);
        var size = StartContent(header, kind, packed);
        var (modifiedAt, nanoseconds) = _pax?.ModifiedAt ?? (header.ModifiedAt, 0);
        var device = kind is NodeKind.CharDevice or NodeKind.BlockDevice;
        var node = new Node
        {
            Path = TarTree.Normalize(name),
            Kind = kind,
            Mode = header.Mode,
            Uid = _pax?.Uid ?? header.Uid,
            Gid = _pax?.Gid ?? header.Gid,
            ModifiedAt = modifiedAt,
            ModifiedNanoseconds = nanoseconds,
            Size = size,
            LinkTarget = LinkTarget(header, kind),
            Major = device ? header.Major : 0,
            Minor = device ? header.Minor : 0,
            Xattrs = _pax?.Xattrs ?? [],
        };
        if (node.Path.Length == 0 && kind != NodeKind.Directory) throw Corrupt($"an entry without a name before byte {_input.Offset}");
        return new TreeEntry(node, kind == NodeKind.File ? _content! : Stream.Null);
    }

    private static NodeKind Kind(char type, string name) => type switch
    {
        '0' or '\0' or '7' when name.EndsWith('/') => NodeKind.Directory, // before POSIX, directories had no type of their own
        '0' or '\0' or '7' or 'S' => NodeKind.File,
        '1' => NodeKind.HardLink,
        '2' => NodeKind.Symlink,
        '3' => NodeKind.CharDevice,
        '4' => NodeKind.BlockDevice,
        '5' or 'D' => NodeKind.Directory,
        '6' => NodeKind.Fifo,
        _ => throw new ImageException(ImageErrorKind.Unsupported, $"The tar archive holds {name} as an entry of type '{type}', which is not read; pack it again without multi-volume or vendor options."),
    };

    private string? LinkTarget(TarHeader header, NodeKind kind)
    {
        if (kind is not (NodeKind.HardLink or NodeKind.Symlink)) return null;
        var target = _pax?.LinkPath ?? _longLink ?? header.LinkName;
        if (target.Length == 0) throw Corrupt($"a link without a target before byte {_input.Offset}");
        return kind == NodeKind.HardLink ? TarTree.Normalize(target) : target;
    }

    private long StartContent(TarHeader header, NodeKind kind, long packed)
    {
        if (kind != NodeKind.File)
        {
            // Nothing reads it, but it must be passed over.
            _content!.Start(0, packed, []);
            return 0;
        }

        if (header.Type == 'S')
        {
            var size = header.Number(483, 12);
            return StartSparse(size, packed, OldGnuMap(header));
        }

        if (_pax is { SparseSize: { } real })
        {
            if (_pax.SparseMajor == 0) return StartSparse(real, packed, _pax.SparseMap ?? []);
            if (_pax.SparseMajor != 1) throw new ImageException(ImageErrorKind.Unsupported, $"The tar archive has a sparse file of form {_pax.SparseMajor}, which is not read; pack it with --sparse-version=1.0.");
            var map = MapBeforeData(ref packed);
            return StartSparse(real, packed, map);
        }

        _content!.StartPlain(packed);
        return packed;
    }

    private long StartSparse(long size, long packed, List<TarSegment> map)
    {
        long end = 0, sum = 0;
        foreach (var segment in map)
        {
            if (segment.Offset < end || segment.Length < 0 || segment.Offset > size || segment.Length > size - segment.Offset) throw Corrupt($"a sparse map out of order before byte {_input.Offset}");
            end = segment.Offset + segment.Length;
            sum += segment.Length;
        }

        if (sum != packed) throw Corrupt($"a sparse map that does not fit its data before byte {_input.Offset}");
        _content!.Start(size, packed, map);
        return size;
    }

    /// <summary>Type S: four pairs in the header, then blocks of 21 pairs as long as a flag says so.</summary>
    private List<TarSegment> OldGnuMap(TarHeader header)
    {
        var map = new List<TarSegment>();
        var more = AddPairs(header, 386, 4, 482, map);
        var block = new byte[TarHeader.Size];
        while (more)
        {
            if (map.Count > LargestExtension / 24) throw Corrupt($"an endless sparse map before byte {_input.Offset}");
            var at = _input.Offset;
            _input.ReadExactly(block);
            more = AddPairs(new TarHeader(block, at), 0, 21, 504, map);
        }

        return map;
    }

    private static bool AddPairs(TarHeader block, int at, int count, int flag, List<TarSegment> map)
    {
        for (var i = 0; i < count; i++, at += 24)
        {
            var segment = new TarSegment(block.Number(at, 12), block.Number(at + 12, 12));
            if (segment != default) map.Add(segment);
        }

        return block.Flag(flag);
    }

    /// <summary>Form 1.0: the map stands before the data as decimal lines, filled up to 512 bytes.</summary>
    private List<TarSegment> MapBeforeData(ref long packed)
    {
        var map = new List<TarSegment>();
        var line = new StringBuilder();
        var block = new byte[TarHeader.Size];
        long count = -1, offset = -1;
        while (count != 0)
        {
            packed -= block.Length;
            if (packed < 0) throw Corrupt($"a sparse map longer than its entry before byte {_input.Offset}");
            _input.ReadExactly(block);
            foreach (var letter in block)
            {
                if (count == 0) break;
                if (letter != '\n')
                {
                    line.Append((char)letter);
                    if (line.Length > 20) throw Corrupt($"a sparse map that is no number before byte {_input.Offset}");
                    continue;
                }

                if (!long.TryParse(line.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number)) throw Corrupt($"a sparse map that is no number before byte {_input.Offset}");
                line.Clear();
                if (count < 0) count = number;
                else if (offset < 0) offset = number;
                else
                {
                    map.Add(new TarSegment(offset, number));
                    offset = -1;
                    count--;
                }
            }
        }

        return map;
    }

    private static long Padding(long size) => -size & (TarHeader.Size - 1);

    private static string Text(byte[] body)
    {
        var end = Array.IndexOf(body, (byte)0);
        return UnixText.Decode(end < 0 ? body : body.AsSpan(0, end));
    }

    private static ImageException Corrupt(string what) => new(ImageErrorKind.Corrupt, $"The tar archive has {what}; it is damaged, make it again.");
}
