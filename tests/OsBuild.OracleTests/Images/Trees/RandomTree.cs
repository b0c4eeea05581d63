using System.Buffers.Binary;
using OsBuild.Images.Trees;

namespace OsBuild.OracleTests.Images.Trees;

internal sealed record TreeItem(Node Node, Content Content);

/// <summary>Trees with everything Linux allows in them, the same for the same seed.</summary>
internal sealed class RandomTree(int seed)
{
    private readonly Random _random = new(seed);
    private readonly List<TreeItem> _items = [];
    private readonly List<string> _directories = [""];
    private readonly List<Node> _linkable = [];
    private readonly HashSet<string> _paths = [""];

    public static List<TreeItem> Make(int seed, int count)
    {
        var tree = new RandomTree(seed);
        tree.Add(tree.Node("", NodeKind.Directory), new Content(0));
        while (tree._items.Count < count) tree.AddOne();
        return tree._items;
    }

    private void AddOne()
    {
        var path = NewPath();
        var dice = _random.Next(100);
        if (dice < 45) AddFile(path);
        else if (dice < 62) AddDirectory(path);
        else if (dice < 75) Add(Node(path, NodeKind.Symlink) with { LinkTarget = Name(_random.Next(10) switch { 0 => 59, 1 => 60, 2 => 4095, 3 => _random.Next(60, 2000), _ => _random.Next(1, 59) }), Mode = 0x1FF }, new Content(0));
        else if (dice < 85 && _linkable.Count > 0) AddHardLink(path);
        else AddSpecial(path);
    }

    private void AddFile(string path)
    {
        var content = Content();
        var node = Node(path, NodeKind.File) with { Size = content.Size };
        _linkable.Add(node);
        Add(node, content);
    }

    private void AddDirectory(string path)
    {
        _directories.Add(path);
        Add(Node(path, NodeKind.Directory), new Content(0));
    }

    private void AddHardLink(string path) =>
        Add(new Node { Path = path, Kind = NodeKind.HardLink, LinkTarget = _linkable[_random.Next(_linkable.Count)].Path }, new Content(0));

    private void AddSpecial(string path)
    {
        var kind = _random.Next(4) switch { 0 => NodeKind.CharDevice, 1 => NodeKind.BlockDevice, 2 => NodeKind.Fifo, _ => NodeKind.Socket };
        var device = kind is NodeKind.CharDevice or NodeKind.BlockDevice;
        var large = _random.Next(2) == 0;
        var node = Node(path, kind) with { Major = device ? (uint)_random.Next(1, large ? 4096 : 256) : 0, Minor = device ? (uint)_random.Next(large ? 1 << 20 : 256) : 0 };
        _linkable.Add(node);
        Add(node, new Content(0));
    }

    private void Add(Node node, Content content)
    {
        _paths.Add(node.Path);
        _items.Add(new TreeItem(node, content));
    }

    private Node Node(string path, NodeKind kind) => new()
    {
        Path = path,
        Kind = kind,
        Mode = _random.Next(4096),
        Uid = Id(),
        Gid = Id(),
        ModifiedAt = _random.Next(6) switch { 0 => int.MinValue, 1 => -1, 2 => (1L << 31) + 5, 3 => (3L << 32) + int.MaxValue, 4 => _random.NextInt64(1L << 33), _ => 1302044400 },
        ModifiedNanoseconds = _random.Next(2) * _random.Next(1_000_000_000),
        Xattrs = _random.Next(3) == 0 ? [.. Attributes(kind).OrderBy(x => x.Name, StringComparer.Ordinal)] : [],
    };

    private uint Id() => _random.Next(5) switch { 0 => 65535, 1 => 65536, 2 => 4_000_000_000, 3 => 0, _ => (uint)_random.Next(2000) };

    private IEnumerable<Xattr> Attributes(NodeKind kind)
    {
        if (_random.Next(2) == 0) yield return new Xattr("security.selinux", "system_u:object_r:bin_t:s0\0"u8.ToArray());
        for (var i = _random.Next(3); i > 0; i--) yield return new Xattr($"trusted.{i}{Name(_random.Next(1, 100)).Replace('/', 'x')}", Bytes(_random.Next(60)));
        if (kind is not (NodeKind.File or NodeKind.Directory)) yield break;
        for (var i = _random.Next(4); i > 0; i--) yield return new Xattr($"user.{i}", Bytes(_random.Next(5) == 0 ? _random.Next(800) : _random.Next(40)));
        if (_random.Next(2) == 0) yield return new Xattr("system.posix_acl_access", Acl());
        if (kind == NodeKind.Directory && _random.Next(2) == 0) yield return new Xattr("system.posix_acl_default", Acl());
        if (kind == NodeKind.File && _random.Next(2) == 0) yield return new Xattr("security.capability", new byte[] { 1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 });
    }

    private byte[] Acl()
    {
        var entries = new List<(ushort Tag, uint Id)> { (1, uint.MaxValue) };
        for (var i = _random.Next(3); i > 0; i--) entries.Add((2, (uint)(1000 * (10 - i))));
        entries.Add((4, uint.MaxValue));
        for (var i = _random.Next(3); i > 0; i--) entries.Add((8, (uint)(100_000 - i)));
        entries.AddRange([(0x10, uint.MaxValue), (0x20, uint.MaxValue)]);
        var acl = new byte[4 + (8 * entries.Count)];
        acl[0] = 2;
        for (var i = 0; i < entries.Count; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(acl.AsSpan(4 + (8 * i)), entries[i].Tag);
            BinaryPrimitives.WriteUInt16LittleEndian(acl.AsSpan(6 + (8 * i)), (ushort)_random.Next(8));
            BinaryPrimitives.WriteUInt32LittleEndian(acl.AsSpan(8 + (8 * i)), entries[i].Id);
        }

        return acl;
    }

    private Content Content()
    {
        var size = _random.Next(12) switch { 0 => 0, 1 => 1, 2 => 4095, 3 => 4096, 4 => 4097, 5 => _random.Next(3_000_000), 6 => 1 << 20, _ => _random.Next(60_000) };
        var pieces = new List<(long, byte[])>();
        for (long at = _random.Next(3) == 0 ? _random.Next(20_000) : 0; at < size;)
        {
            var length = (int)Math.Min(size - at, _random.Next(1, 200_000));
            pieces.Add((at, Bytes(length)));
            at += length + (_random.Next(2) * _random.Next(50_000));
        }

        return new Content(size, [.. pieces]);
    }

    private byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }

    private string NewPath()
    {
        while (true)
        {
            var directory = _directories[_random.Next(_directories.Count)];
            var length = _random.Next(20) switch { 0 => 255, 1 => _random.Next(100, 255), _ => _random.Next(1, 30) };
            var name = Name(length);
            var path = directory.Length == 0 ? name : directory + "/" + name;
            if (name is not ("." or ".." or "lost+found") && UnixText.Encode(path).Length < 3500 && !_paths.Contains(path)) return path;
        }
    }

    /// <summary>A name of so many bytes: letters, UTF-8, and bytes that are no text.</summary>
    private string Name(int length)
    {
        var bytes = new byte[length];
        for (var i = 0; i < length; i++) bytes[i] = (byte)_random.Next('a', 'z' + 1);
        if (_random.Next(6) == 0)
        {
            _random.NextBytes(bytes);
            for (var i = 0; i < length; i++)
                if (bytes[i] is 0 or (byte)'/') bytes[i] = (byte)'_';
        }

        if (_random.Next(6) == 0 && length > 3) "äö"u8[..Math.Min(4, length / 2 * 2)].CopyTo(bytes);
        return UnixText.Decode(bytes);
    }
}
