namespace OsBuild.Images.Ext4;

/// <summary>What an ext4 file system is to be. Everything that could differ between two runs is an argument.</summary>
public sealed record Ext4Options
{
    /// <summary>Size in bytes; a multiple of 4096, at least 2 MiB.</summary>
    public required long Size { get; init; }

    /// <summary>Volume label, at most 16 bytes of UTF-8.</summary>
    public string Label { get; init; } = "";

    /// <summary>File-system UUID.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>Seed of directory hashes.</summary>
    public required Guid HashSeed { get; init; }

    /// <summary>Creation time, seconds since 1970.</summary>
    public required long CreatedAt { get; init; }

    /// <summary>Size of the journal in bytes; 0 for none. Growing does not change it, so choose it for the final disk.</summary>
    public long JournalSize { get; init; }

    /// <summary>Bytes per inode; growing keeps the density.</summary>
    public int BytesPerInode { get; init; } = 16384;
}

/// <summary>Where everything lies in an ext4 file system of a given size. Pure.</summary>
public sealed record Ext4Layout
{
    /// <summary>What was asked for.</summary>
    public required Ext4Options Options { get; init; }

    /// <summary>Works out the layout.</summary>
    /// <exception cref="ImageException">The size or the label is out of range.</exception>
    public static Ext4Layout For(Ext4Options options) => throw new NotImplementedException();
}
