using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;
using OsBuild.Images.Compression;
using OsBuild.Images.Streams;
using OsBuild.Images.Trees;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Reads the modules archive that bitbake deploys beside a kernel.</summary>
internal static class ModuleArchive
{
    /// <summary>Reads a modules archive once, and gives what lies in lib/modules to <paramref name="write"/>; a problem and null when it is torn or for another kernel.</summary>
    public static ModuleSet? Scan(InputFile archive, string? kernelVersion, Action<Node, Stream>? write, Problems problems)
    {
        var tables = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var versions = new SortedSet<string>(StringComparer.Ordinal);
        long blocks = 0, inodes = 0;
        try
        {
            foreach (var (node, content) in Read(archive))
            {
                inodes++;
                blocks += node.Kind == NodeKind.Directory ? 1 : (node.Size + 4095) / 4096;
                if (ModuleSet.VersionOf(node.Path) is { } version) versions.Add(version);
                var whole = content;
                if (node.Kind == NodeKind.File && ModuleSet.IsTable(node.Path))
                {
                    var bytes = new byte[node.Size];
                    content.ReadExactly(bytes);
                    tables[node.Path[(node.Path.IndexOf("modules/", StringComparison.Ordinal) + 8)..]] = bytes;
                    whole = new MemoryStream(bytes, writable: false);
                }

                if (ModuleSet.VersionOf(node.Path) is not null) write?.Invoke(node, whole);
            }
        }
        catch (Exception e) when (e is ImageException or EndOfStreamException)
        {
            problems.Add($"The modules archive {archive.Name} cannot be read ({Problems.Cause(e)}); copy or deploy it again.");
            return null;
        }

        if (versions.Count == 0)
        {
            problems.Add($"The modules archive {archive.Name} has no lib/modules/VERSION in it; deploy the kernel again.");
            return null;
        }

        var ours = kernelVersion ?? versions.First();
        if (!versions.Contains(ours))
        {
            problems.Add($"The modules archive {archive.Name} is for kernel {string.Join(", ", versions)}, but the kernel is {ours}; deploy both from one build.");
            return null;
        }

        return new ModuleSet(ours, ModuleSet.IndexFrom(name => tables.GetValueOrDefault($"{ours}/{name}")), blocks, inodes, false);
    }

    /// <summary>The entries of a modules archive, whatever it is compressed with; decoded on another thread while the caller works.</summary>
    public static IEnumerable<TreeEntry> Read(InputFile archive)
    {
        using var raw = archive.Open();
        using var tar = new PrefetchStream(Codecs.OpenRead(raw, Codecs.Detect(archive.Head(Codecs.HeaderSize))));
        foreach (var entry in TarTree.Read(tar)) yield return entry;
    }

    /// <summary>The modules, decompressed, in the order of <paramref name="paths"/> (as modules.dep names them); those that the archive
    /// does not have are left out. The kernel inserts plain files only, unless it was built to decompress.</summary>
    public static IReadOnlyList<(string Path, byte[] Content)> Take(IEnumerable<TreeEntry> entries, string version, IReadOnlyList<string> paths)
    {
        var wanted = paths.ToHashSet(StringComparer.Ordinal);
        var found = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        foreach (var (node, content) in entries)
        {
            if (node.Kind != NodeKind.File || ModuleSet.VersionOf(node.Path) != version) continue;
            var path = node.Path[(node.Path.IndexOf($"modules/{version}/", StringComparison.Ordinal) + 9 + version.Length)..];
            if (!wanted.Contains(path)) continue;
            found[path] = Plain(content, node.Size);
            if (found.Count == wanted.Count) break;
        }

        return [.. paths.Where(found.ContainsKey).Select(p => (p.EndsWith(".ko", StringComparison.Ordinal) ? p : p[..p.LastIndexOf('.')], found[p]))];
    }

    private static byte[] Plain(Stream content, long size)
    {
        var bytes = new byte[size];
        content.ReadExactly(bytes);
        var codec = Codecs.Detect(bytes.AsSpan(0, Math.Min(bytes.Length, Codecs.HeaderSize)));
        if (codec == Codec.None) return bytes;
        using var decoded = Codecs.OpenRead(new MemoryStream(bytes), codec);
        var plain = new MemoryStream();
        decoded.CopyTo(plain);
        return plain.ToArray();
    }
}
