using System.Text;
using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Inputs;

/// <summary>Opens input files, and looks at them before they are taken.</summary>
internal static class InputFiles
{
    extension(InputFile file)
    {
        public Stream Open() => new FileStream(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);

        public byte[] ReadAll() => File.ReadAllBytes(file.Path);

        /// <summary>The first bytes, fewer when the file is shorter.</summary>
        public byte[] Head(int count)
        {
            using var stream = file.Open();
            var head = new byte[(int)Math.Min(count, file.Size)];
            return head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        }
    }

    extension(InputFile)
    {
        /// <summary>Takes an entry of the deploy directory; a problem and null when it cannot be used.</summary>
        public static InputFile? From(DeployEntry entry, Problems problems)
        {
            switch (entry.Kind)
            {
                case EntryKind.DanglingLink:
                    problems.Add($"{entry.Name} is a link to {entry.LinkTarget}, which is not there; copy the deploy directory whole, or with cp -L, or build the image again.");
                    return null;
                case EntryKind.Directory:
                    problems.Add($"{entry.Name} is a directory, a file was expected; look into the deploy directory {System.IO.Path.GetDirectoryName(entry.RealPath)}.");
                    return null;
                default:
                    return Probe(entry.Name, entry.RealPath, problems);
            }
        }

        /// <summary>Takes a file that the user named; a problem and null when it cannot be used.</summary>
        /// <param name="path">The path as it was given.</param>
        /// <param name="option">The option that named it.</param>
        /// <param name="problems">Where the problem goes.</param>
        public static InputFile? Named(string path, string option, Problems problems)
        {
            if (Directory.Exists(path))
            {
                problems.Add($"{option} {path} is a directory, a file was expected.");
                return null;
            }

            // File.Exists is true for a link that leads nowhere.
            var link = new FileInfo(path);
            if (link.LinkTarget is { } target && link.ResolveLinkTarget(returnFinalTarget: true) is not { Exists: true })
            {
                problems.Add($"{option} {path} is a link to {target}, which is not there.");
                return null;
            }

            if (link.Exists) return Probe(path, System.IO.Path.GetFullPath(path), problems);
            var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path));
            var siblings = Directory.Exists(folder) ? Directory.EnumerateFiles(folder).Select(f => System.IO.Path.GetFileName(f)) : [];
            problems.Add($"{option} {path} does not exist{Nearest.Hint(System.IO.Path.GetFileName(path), siblings)}.");
            return null;
        }
    }

    private static InputFile? Probe(string name, string path, Problems problems)
    {
        try
        {
            var file = new InputFile(name, path, new FileInfo(path).Length);
            if (file.Size == 0)
            {
                problems.Add($"{name} is empty; the build or the copy that made it was cut short, make it again.");
                return null;
            }

            if (LfsPointer(file.Head(256)) is { } stands)
            {
                problems.Add($"{name} is a git-lfs pointer, not the file itself{stands}; run git lfs pull where it was checked out.");
                return null;
            }

            return file;
        }
        catch (UnauthorizedAccessException)
        {
            problems.Add($"{name} may not be read; check its permissions.");
        }
        catch (IOException e)
        {
            problems.Add($"{name} cannot be read ({e.Message}); check the disk it lies on.");
        }

        return null;
    }

    // https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: lines "version URL", "oid sha256:HEX", "size BYTES".
    private static string? LfsPointer(ReadOnlySpan<byte> head)
    {
        if (!head.StartsWith("version https://git-lfs.github.com/spec/"u8)) return null;
        var size = Encoding.ASCII.GetString(head).Split('\n').FirstOrDefault(l => l.StartsWith("size ", StringComparison.Ordinal));
        return size is not null && long.TryParse(size.AsSpan(5), out var bytes) ? $" ({new ByteSize(bytes)})" : "";
    }
}
