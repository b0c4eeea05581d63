namespace OsBuild.ImageBuilder.Facts;

/// <summary>What one pass over a root file system tells.</summary>
internal sealed record RootfsFacts
{
    public required RootfsNames Names { get; init; }

    /// <summary>Bytes of all files.</summary>
    public required long DataBytes { get; init; }

    /// <summary>What it takes in a file system of 4 KiB blocks: files, directories, long links and attributes, each rounded up.</summary>
    public required long Blocks { get; init; }

    public required long Inodes { get; init; }

    /// <summary>The largest files, largest first.</summary>
    public required IReadOnlyList<(string Path, long Size)> Largest { get; init; }

    /// <summary>Contents that were asked for, by path.</summary>
    public required IReadOnlyDictionary<string, byte[]> Kept { get; init; }

    /// <summary>A program for another processor, when none was found for the right one; else null.</summary>
    public required (string Path, string Code)? Foreign { get; init; }

    /// <summary>Kernel versions that have modules in it.</summary>
    public IReadOnlyList<string> ModuleVersions =>
        [.. Names.In("lib/modules").Concat(Names.In("usr/lib/modules")).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>A value of /etc/os-release (os-release(5)).</summary>
    public string? OsRelease(string key)
    {
        if (!Kept.TryGetValue("etc/os-release", out var bytes) && !Kept.TryGetValue("usr/lib/os-release", out bytes)) return null;
        var line = System.Text.Encoding.UTF8.GetString(bytes).Split('\n').FirstOrDefault(l => l.StartsWith(key + "=", StringComparison.Ordinal));
        return line?[(key.Length + 1)..].Trim().Trim('"', '\'');
    }
}
