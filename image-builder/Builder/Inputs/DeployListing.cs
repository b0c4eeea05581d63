using System.IO.Enumeration;
using OsBuild.ImageBuilder.Facts;

namespace OsBuild.ImageBuilder.Inputs;

internal enum EntryKind { File, Directory, DanglingLink }

/// <summary>One name in a deploy directory.</summary>
/// <param name="Name">Path below the directory, separated by <c>/</c>.</param>
/// <param name="Kind">What it is, links followed.</param>
/// <param name="Size">Size of the file, links followed.</param>
/// <param name="LinkTarget">The text of the link when the name is one.</param>
/// <param name="RealPath">The file it leads to.</param>
/// <param name="ModifiedAt">Time of the file, links followed.</param>
internal sealed record DeployEntry(string Name, EntryKind Kind, long Size, string? LinkTarget, string RealPath, DateTime ModifiedAt)
{
    public bool IsLink => LinkTarget is not null;
}

/// <summary>The names in a deploy directory. Reading it is the only thing here that touches the disk.</summary>
internal sealed class DeployListing
{
    // bootfiles/, devicetree/, overlays/, arm-trusted-firmware/...: bitbake deploys at most two levels deep.
    private const int MaxDepth = 3;
    private readonly SortedDictionary<string, DeployEntry> _entries = new(StringComparer.Ordinal);

    public DeployListing(string directory, IEnumerable<DeployEntry> entries)
    {
        Directory = directory;
        foreach (var entry in entries) _entries[entry.Name] = entry;
    }

    /// <summary>The directory as it was given.</summary>
    public string Directory { get; }

    public IEnumerable<DeployEntry> Entries => _entries.Values;

    public IEnumerable<string> FileNames => _entries.Values.Where(e => e.Kind != EntryKind.Directory).Select(e => e.Name);

    public DeployEntry? Find(string name) => _entries.GetValueOrDefault(name);

    /// <summary>The files a name or glob stands for, in ordinal order; <c>*</c> and <c>?</c> do not cross a <c>/</c>.</summary>
    public IEnumerable<DeployEntry> Match(string pattern)
    {
        if (!IsGlob(pattern)) return Find(pattern) is { Kind: not EntryKind.Directory } one ? [one] : [];
        var depth = pattern.Count(c => c == '/');
        return Entries.Where(e => e.Kind != EntryKind.Directory && e.Name.Count(c => c == '/') == depth
            && e.Name.Split('/').Zip(pattern.Split('/')).All(p => FileSystemName.MatchesSimpleExpression(p.Second, p.First, ignoreCase: false)));
    }

    public static bool IsGlob(string pattern) => pattern.Contains('*') || pattern.Contains('?');

    /// <summary>Reads a directory; a problem and null when it cannot be.</summary>
    public static DeployListing? Read(string directory, Problems problems)
    {
        if (File.Exists(directory))
        {
            problems.Add($"{directory} is a file; --deploy wants the directory bitbake deployed to, usually tmp/deploy/images/MACHINE.");
            return null;
        }

        if (!System.IO.Directory.Exists(directory))
        {
            problems.Add($"The deploy directory {directory} does not exist; it is usually tmp/deploy/images/MACHINE in the build directory of bitbake.");
            return null;
        }

        try
        {
            var entries = new List<DeployEntry>();
            Collect(new DirectoryInfo(directory), "", 1, entries);
            if (entries.Count > 0) return new DeployListing(directory, entries);
            problems.Add($"The deploy directory {directory} is empty; build an image with bitbake first.");
        }
        catch (UnauthorizedAccessException)
        {
            problems.Add($"The deploy directory {directory} may not be read; check its permissions.");
        }

        return null;
    }

    private static void Collect(DirectoryInfo directory, string prefix, int depth, List<DeployEntry> entries)
    {
        foreach (var item in directory.EnumerateFileSystemInfos())
        {
            var name = prefix + item.Name;
            var target = Resolve(item);
            if (target is DirectoryInfo below)
            {
                entries.Add(new(name, EntryKind.Directory, 0, item.LinkTarget, below.FullName, below.LastWriteTimeUtc));
                if (depth < MaxDepth && item.LinkTarget is null) Collect(below, name + "/", depth + 1, entries);
            }
            else if (target is FileInfo file)
            {
                entries.Add(new(name, EntryKind.File, file.Length, item.LinkTarget, file.FullName, file.LastWriteTimeUtc));
            }
            else
            {
                entries.Add(new(name, EntryKind.DanglingLink, 0, item.LinkTarget, item.FullName, default));
            }
        }
    }

    private static FileSystemInfo? Resolve(FileSystemInfo item)
    {
        if (item.LinkTarget is null) return item;
        try
        {
            return item.ResolveLinkTarget(returnFinalTarget: true) is { Exists: true } target ? target : null;
        }
        catch (IOException)
        {
            // A loop of links leads nowhere either.
            return null;
        }
    }
}
