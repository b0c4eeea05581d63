namespace OsBuild.Images.Trees;

/// <summary>The kinds of entries a Unix file tree has.</summary>
public enum NodeKind
{
    /// <summary>A regular file.</summary>
    File,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A symbolic link; <see cref="Node.LinkTarget"/> holds its text.</summary>
    Symlink,

    /// <summary>One more name of a file that came before; <see cref="Node.LinkTarget"/> holds that path.</summary>
    HardLink,

    /// <summary>A character device.</summary>
    CharDevice,

    /// <summary>A block device.</summary>
    BlockDevice,

    /// <summary>A named pipe.</summary>
    Fifo,

    /// <summary>A Unix socket.</summary>
    Socket,
}

/// <summary>An extended attribute under its full name, for example <c>security.capability</c>.</summary>
public readonly record struct Xattr(string Name, ReadOnlyMemory<byte> Value);

/// <summary>One entry of a file tree, without its content.</summary>
public sealed record Node
{
    /// <summary>Path from the root of the tree, separated by <c>/</c>, without a leading one; the root itself is the empty string.
    /// Bytes that are not UTF-8 are kept as lone surrogates U+DC80..U+DCFF (see <see cref="UnixText"/>).</summary>
    public required string Path { get; init; }

    /// <summary>What the entry is.</summary>
    public required NodeKind Kind { get; init; }

    /// <summary>Permission bits with set-uid, set-gid and sticky: 0..07777.</summary>
    public int Mode { get; init; } = 0x1A4;

    /// <summary>Owner.</summary>
    public uint Uid { get; init; }

    /// <summary>Group.</summary>
    public uint Gid { get; init; }

    /// <summary>Modification time in seconds since 1970 (may be negative).</summary>
    public long ModifiedAt { get; init; }

    /// <summary>The part of the modification time below a second: 0..999999999.</summary>
    public int ModifiedNanoseconds { get; init; }

    /// <summary>Size of a file's content in bytes; 0 for all other kinds.</summary>
    public long Size { get; init; }

    /// <summary>Target of a symbolic link, or the earlier path of a hard link.</summary>
    public string? LinkTarget { get; init; }

    /// <summary>Major number of a device.</summary>
    public uint Major { get; init; }

    /// <summary>Minor number of a device.</summary>
    public uint Minor { get; init; }

    /// <summary>Extended attributes in ordinal order of their names.</summary>
    public IReadOnlyList<Xattr> Xattrs { get; init; } = [];

    /// <summary>What the file is in the file system it was read from (its inode number), so that two names of one file can be told;
    /// 0 when not known.</summary>
    public ulong FileId { get; init; }

    /// <summary>The last part of <see cref="Path"/>.</summary>
    public string Name => Path[(Path.LastIndexOf('/') + 1)..];
}

/// <summary>A node with its content. The stream is good until the next entry is asked for; it is empty for all kinds but files.</summary>
public readonly record struct TreeEntry(Node Node, Stream Content);
