using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads a root file system once from front to back and keeps what the plan needs to know of it.</summary>
internal sealed class RootfsScan(BoardArch arch, Predicate<Node> keep)
{
    private const int BlockSize = 4096;
    private const int LargestShown = 5;
    private readonly RootfsNames _names = new();
    private readonly Dictionary<string, byte[]> _kept = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _directories = new(StringComparer.Ordinal);
    private readonly PriorityQueue<string, long> _largest = new();
    private readonly string _code = MachineCode.Of(arch);
    private (string, string)? _foreign;
    private bool _native;
    private long _bytes, _blocks, _inodes;

    /// <summary>Takes one entry; gives its content back whole, for whoever reads it next.</summary>
    public Stream Take(Node node, Stream content)
    {
        var known = _names.KindOf(node.Path) is not null;
        _names.Add(node);
        if (node.Kind == NodeKind.File) content = TakeFile(node, content);
        if (known || node.Path.Length == 0) return content;

        // ext4_dir_entry_2: 8 bytes and the name, rounded up to 4.
        var slash = node.Path.LastIndexOf('/');
        var parent = slash < 0 ? "" : node.Path[..slash];
        _directories[parent] = _directories.GetValueOrDefault(parent, 24) + 8 + (UnixText.Encode(node.Name).Length + 3) / 4 * 4;
        if (node.Kind == NodeKind.Directory) _directories.TryAdd(node.Path, 24);
        if (node.Kind == NodeKind.HardLink) return content;
        _inodes++;
        if (node.Kind == NodeKind.Symlink && node.LinkTarget!.Length >= 60) _blocks++;
        if (node.Xattrs.Sum(x => x.Name.Length + x.Value.Length + 16) > 90) _blocks++;
        return content;
    }

    public RootfsFacts Finish()
    {
        var largest = new List<(string, long)>();
        while (_largest.TryDequeue(out var path, out var size)) largest.Add((path, size));
        largest.Reverse();
        return new()
        {
            Names = _names,
            DataBytes = _bytes,
            Blocks = _blocks + _directories.Values.Sum(size => Math.Max(1, (size * 5 / 4 + BlockSize - 1) / BlockSize)),
            Inodes = _inodes,
            Largest = largest,
            Kept = _kept,
            Foreign = _native ? null : _foreign,
        };
    }

    private Stream TakeFile(Node node, Stream content)
    {
        _bytes += node.Size;
        _blocks += (node.Size + BlockSize - 1) / BlockSize;
        _largest.Enqueue(node.Path, node.Size);
        if (_largest.Count > LargestShown) _largest.Dequeue();
        if (keep(node))
        {
            var bytes = new byte[node.Size];
            content.ReadExactly(bytes);
            _kept[node.Path] = bytes;
            LookAtCode(node.Path, bytes);
            return new MemoryStream(bytes, writable: false);
        }

        // The first program for the right processor settles it.
        if (_native || node.Size < 64) return content;
        var head = new byte[20];
        content.ReadExactly(head);
        LookAtCode(node.Path, head);
        return new BehindHead(head, content);
    }

    private void LookAtCode(string path, ReadOnlySpan<byte> head)
    {
        if (_native || MachineCode.OfElf(head) is not { } code) return;
        if (code == _code) _native = true;
        else _foreign ??= (path, code);
    }
}
