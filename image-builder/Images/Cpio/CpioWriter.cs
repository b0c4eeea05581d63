using OsBuild.Images.Trees;

namespace OsBuild.Images.Cpio;

/// <summary>Writes a cpio archive in the kernel's initramfs form (newc, Documentation/driver-api/early-userspace/buffer-format.rst).
/// Not made: hard links (the first name would have to know of the others) and xattrs (newc has no place for them).</summary>
public sealed class CpioWriter(Stream target)
{
    private readonly HashSet<string> _directories = [""];
    private readonly HashSet<string> _paths = [];
    private uint _inode;
    private long _written;

    /// <summary>Adds an entry; parents must come before their children, the kernel makes no directories.</summary>
    /// <exception cref="ImageException">The format cannot hold the entry, or its parent is missing; nothing of it was written.</exception>
    public void Add(Node node, Stream content)
    {
        if (node.Kind == NodeKind.HardLink) throw Refuse(node, "hard links are not supported; add the file again");
        if (node.Size is < 0 or > uint.MaxValue) throw Refuse(node, $"it has {node.Size} bytes and 4294967295 is the most");
        var parent = node.Path.LastIndexOf('/') is >= 0 and var i ? node.Path[..i] : "";
        if (!_directories.Contains(parent)) throw Refuse(node, $"its directory {parent} was not added before it");
        if (!_paths.Add(node.Path)) throw Refuse(node, "it is there already");
        if (node.Kind == NodeKind.Directory) _directories.Add(node.Path);

        var link = node.Kind == NodeKind.Symlink ? UnixText.Encode(node.LinkTarget ?? throw Refuse(node, "the symbolic link has no target")) : [];
        var isDevice = node.Kind is NodeKind.CharDevice or NodeKind.BlockDevice;
        var size = node.Kind == NodeKind.File ? (uint)node.Size : (uint)link.Length;
        Header(node.Path.Length == 0 ? "." : node.Path, new CpioHeader
        {
            Inode = ++_inode,
            Mode = TypeBits(node.Kind) | (uint)(node.Mode & 0xFFF),
            Uid = node.Uid,
            Gid = node.Gid,
            Links = node.Kind == NodeKind.Directory ? 2u : 1,
            ModifiedAt = (uint)Math.Clamp(node.ModifiedAt, 0, uint.MaxValue),
            FileSize = size,
            DeviceMajor = isDevice ? node.Major : 0,
            DeviceMinor = isDevice ? node.Minor : 0,
        });
        if (node.Kind == NodeKind.File) Copy(node, content);
        else Write(link);
        Pad();
    }

    /// <summary>Writes the trailer.</summary>
    public void Finish()
    {
        Header(CpioHeader.Trailer, new CpioHeader { Links = 1 });
        // The kernel and GNU cpio both take archives in blocks of 512 bytes.
        Write(new byte[(512 - (_written % 512)) % 512]);
        target.Flush();
    }

    /// <summary>The file type bits of st_mode.</summary>
    internal static uint TypeBits(NodeKind kind) => kind switch
    {
        NodeKind.Fifo => 0x1000,
        NodeKind.CharDevice => 0x2000,
        NodeKind.Directory => 0x4000,
        NodeKind.BlockDevice => 0x6000,
        NodeKind.Symlink => 0xA000,
        NodeKind.Socket => 0xC000,
        _ => 0x8000,
    };

    private void Header(string path, CpioHeader header)
    {
        byte[] name = [.. UnixText.Encode(path), 0];
        Write((header with { NameSize = (uint)name.Length }).ToBytes());
        Write(name);
        Pad();
    }

    private void Copy(Node node, Stream content)
    {
        var buffer = new byte[64 * 1024];
        for (var left = node.Size; left > 0;)
        {
            var got = content.Read(buffer, 0, (int)Math.Min(left, buffer.Length));
            if (got == 0) throw new ImageException(ImageErrorKind.Corrupt, $"{node.Path} ended {left} bytes before its {node.Size} bytes; was it changed while it was read?");
            Write(buffer.AsSpan(0, got));
            left -= got;
        }
    }

    private void Pad() => Write(new byte[(4 - (_written % 4)) % 4]);

    private void Write(ReadOnlySpan<byte> bytes)
    {
        target.Write(bytes);
        _written += bytes.Length;
    }

    private static ImageException Refuse(Node node, string why) => new(ImageErrorKind.Unsupported, $"'{node.Path}' cannot go into the cpio archive: {why}.");
}
