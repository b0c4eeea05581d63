using OsBuild.ImageBuilder.Boards;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Compression;
using OsBuild.Images.Ext4;
using OsBuild.Images.SquashFs;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Opens root file systems of the forms bitbake makes.</summary>
internal static class RootfsReader
{
    private const long MaxKept = 16 << 20;

    /// <summary>True for a file-system image, which is walked in place; false for an archive, which is read front to back.</summary>
    public static bool IsFileSystem(string type) => type == "ext4" || type.StartsWith("squashfs", StringComparison.Ordinal);

    /// <summary>The entries, in their order. Archives are decoded on another thread while the caller works.</summary>
    public static IEnumerable<TreeEntry> Entries(Stream raw, string type)
    {
        if (IsFileSystem(type))
        {
            foreach (var entry in FileSystemTree.Read(type == "ext4" ? new Ext4Reader(raw) : new SquashFsReader(raw))) yield return entry;
            yield break;
        }

        using var tar = new PrefetchStream(Codecs.OpenRead(raw, ArchiveEnds.CodecOf(type), Environment.ProcessorCount));
        foreach (var entry in TarTree.Read(tar)) yield return entry;
    }

    /// <summary>Reads a root file system once; a problem and null when it is torn.</summary>
    /// <param name="file">The archive or file system.</param>
    /// <param name="type">Its form.</param>
    /// <param name="board">The board it is for.</param>
    /// <param name="libraries">Names of libraries whose content is wanted, as ELF files ask for them.</param>
    /// <param name="write">Takes every entry with its content, while it is read.</param>
    /// <param name="progress">Told how far the file was read.</param>
    /// <param name="problems">Where problems go.</param>
    /// <param name="cancel">Ends the pass.</param>
    public static RootfsFacts? Scan(
        InputFile file, string type, Board board, IReadOnlyCollection<string> libraries, Action<Node, Stream>? write, Action<long> progress, Problems problems, CancellationToken cancel)
    {
        try
        {
            using var raw = file.Open();
            var scan = new RootfsScan(board.Arch, node => Keep(node, libraries));
            foreach (var (node, content) in Entries(raw, type))
            {
                cancel.ThrowIfCancellationRequested();
                var whole = scan.Take(node, content);
                write?.Invoke(node, whole);
                progress(raw.Position);
            }

            return Judge(scan.Finish(), file, board, problems);
        }
        catch (Exception e) when (e is ImageException or EndOfStreamException)
        {
            problems.Add($"The root file system {file.Name} cannot be read to its end ({Problems.Cause(e)}); copy it again.");
            return null;
        }
    }

    private static RootfsFacts Judge(RootfsFacts facts, InputFile file, Board board, Problems problems)
    {
        if (facts.Foreign is { } foreign)
            problems.Add($"The root file system {file.Name} is for {foreign.Code} ({foreign.Path} is), but board {board.Name} is {MachineCode.Of(board.Arch)}; give the image of one of its machines.");
        else if (facts.Inodes == 0)
            problems.Add($"The root file system {file.Name} is an empty archive; build the image again.");
        return facts;
    }

    private static bool Keep(Node node, IReadOnlyCollection<string> libraries)
    {
        if (node.Path is "etc/os-release" or "usr/lib/os-release") return true;
        if (node.Size > MaxKept) return false;
        if (ModuleSet.VersionOf(node.Path) is not null) return ModuleSet.IsTable(node.Path);
        return IsWanted(node.Name, libraries);
    }

    // libc.so.6 may be a link to libc-2.31.so (glibc before 2.34), so everything of that stem is kept.
    internal static bool IsWanted(string name, IReadOnlyCollection<string> libraries)
    {
        if (!name.Contains(".so", StringComparison.Ordinal)) return false;
        foreach (var library in libraries)
        {
            var stem = library[..library.IndexOf(".so", StringComparison.Ordinal)];
            if (name.StartsWith(stem, StringComparison.Ordinal) && (name.Length == stem.Length || name[stem.Length] is '-' or '.')) return true;
            if (stem.StartsWith("ld-", StringComparison.Ordinal) && name.StartsWith("ld-", StringComparison.Ordinal)) return true;
        }

        return false;
    }
}
