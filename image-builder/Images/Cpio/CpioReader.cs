using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.Images.Cpio;

/// <summary>Reads a newc archive as a file tree, in one pass. Several archives one after the other, as early microcode is put before
/// an initramfs, are read up to the first trailer.</summary>
public static class CpioReader
{
    /// <summary>Longest name and link target, as in the kernel (PATH_MAX).</summary>
    private const int MaxPath = 4096;

    /// <summary>The entries in the order of the archive; each content stream is good until the next entry.</summary>
    /// <exception cref="ImageException">The archive is torn or corrupt.</exception>
    public static IEnumerable<TreeEntry> Read(Stream cpio)
    {
        var first = new Dictionary<uint, string>();
        while (true)
        {
            var header = CpioHeader.Parse(Exactly(cpio, CpioHeader.Size));
            if (header.NameSize is 0 or > MaxPath) throw Corrupt($"an entry has a name of {header.NameSize} bytes");
            var name = UnixText.Decode(Exactly(cpio, (int)header.NameSize).AsSpan(0, (int)header.NameSize - 1));
            Exactly(cpio, Padding(CpioHeader.Size + header.NameSize));
            if (name == CpioHeader.Trailer) yield break;

            var kind = KindOf(header.Mode, name);
            if (kind == NodeKind.Symlink && header.FileSize > MaxPath) throw Corrupt($"the link {name} is {header.FileSize} bytes long");
            var path = name is "." or "/" ? "" : name.TrimStart('/') is { } n && n.StartsWith("./") ? n[2..] : name.TrimStart('/');
            var isLink = kind == NodeKind.File && header.Links > 1 && header.FileSize == 0 && first.ContainsKey(header.Inode);
            if (kind == NodeKind.File && header.Links > 1) first.TryAdd(header.Inode, path);
            var node = new Node
            {
                Path = path,
                Kind = isLink ? NodeKind.HardLink : kind,
                Mode = (int)(header.Mode & 0xFFF),
                Uid = header.Uid,
                Gid = header.Gid,
                ModifiedAt = header.ModifiedAt,
                Size = kind == NodeKind.File ? header.FileSize : 0,
                Major = header.DeviceMajor,
                Minor = header.DeviceMinor,
                LinkTarget = kind == NodeKind.Symlink ? UnixText.Decode(Exactly(cpio, (int)header.FileSize)) : isLink ? first[header.Inode] : null,
            };
            var content = new EntryStream(cpio, kind == NodeKind.Symlink ? 0 : header.FileSize);
            yield return new TreeEntry(node, content);
            content.Drain();
            Exactly(cpio, Padding(header.FileSize));
        }
    }

    private static NodeKind KindOf(uint mode, string name) => (mode & 0xF000) switch
    {
        0x1000 => NodeKind.Fifo,
        0x2000 => NodeKind.CharDevice,
        0x4000 => NodeKind.Directory,
        0x6000 => NodeKind.BlockDevice,
        0x8000 => NodeKind.File,
        0xA000 => NodeKind.Symlink,
        0xC000 => NodeKind.Socket,
        _ => throw Corrupt($"{name} has the unknown mode {mode:x}"),
    };

    private static int Padding(long size) => (int)((4 - (size % 4)) % 4);

    private static byte[] Exactly(Stream stream, int count)
    {
        var bytes = new byte[count];
        if (stream.ReadAtLeast(bytes, count, throwOnEndOfStream: false) < count) throw Corrupt("it ends inside an entry");
        return bytes;
    }

    private static ImageException Corrupt(string why) => new(ImageErrorKind.Corrupt, $"The cpio archive is damaged: {why}.");
}
