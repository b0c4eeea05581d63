using System.Formats.Tar;
using System.Text;
using OsBuild.Supervisor.Compose;

namespace OsBuild.Supervisor.Push;

/// <summary>A build context as the engine takes it: a tar of a folder without what its <c>.dockerignore</c> names. Written as it is read, so that
/// it costs no memory whatever its size.</summary>
internal static class ContextPack
{
    /// <summary>Where an inline Dockerfile lies in the context.</summary>
    public const string InlineName = ".osbuild.Dockerfile";

    /// <summary>The files of a context, folders before what lies in them, names in order: what is sent is the same on every machine.</summary>
    public static IEnumerable<string> Files(string folder, string dockerfile)
    {
        var own = Path.Combine(folder, dockerfile + ".dockerignore");
        var file = File.Exists(own) ? own : Path.Combine(folder, ".dockerignore");
        return Walk(folder, "", new IgnoreFile(File.Exists(file) ? File.ReadAllText(file) : ""), dockerfile);
    }

    public static async Task WriteAsync(string folder, BuildSpec spec, Stream to, CancellationToken stop)
    {
        await using var tar = new TarWriter(to, TarEntryFormat.Pax, leaveOpen: true);
        foreach (var path in Files(folder, spec.Dockerfile ?? "Dockerfile"))
        {
            stop.ThrowIfCancellationRequested();
            await WriteAsync(tar, Path.Combine(folder, path), path, stop);
        }

        if (spec.Inline is { } inline)
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, InlineName) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(inline)), ModificationTime = DateTimeOffset.UnixEpoch }, stop);
    }

    private static IEnumerable<string> Walk(string folder, string below, IgnoreFile ignore, string dockerfile)
    {
        foreach (var entry in new DirectoryInfo(Path.Combine(folder, below)).EnumerateFileSystemInfos().OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            var path = below.Length == 0 ? entry.Name : $"{below}/{entry.Name}";
            var ignored = ignore.Ignores(path) && path != dockerfile && path != ".dockerignore";
            var isFolder = entry is DirectoryInfo && entry.LinkTarget is null;
            if (!ignored) yield return path;
            if (isFolder && (!ignored || ignore.TakesBack || dockerfile.StartsWith(path + "/", StringComparison.Ordinal)))
                foreach (var inside in Walk(folder, path, ignore, dockerfile)) yield return inside;
        }
    }

    private static async Task WriteAsync(TarWriter tar, string file, string path, CancellationToken stop)
    {
        FileSystemInfo info = Directory.Exists(file) ? new DirectoryInfo(file) : new FileInfo(file);
        var mode = OperatingSystem.IsWindows() ? (UnixFileMode)0x1ED : info.UnixFileMode;
        if (info.LinkTarget is { } link)
        {
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.SymbolicLink, path) { LinkName = link, ModificationTime = info.LastWriteTimeUtc }, stop);
        }
        else if (info is DirectoryInfo)
        {
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.Directory, path + "/") { Mode = mode, ModificationTime = info.LastWriteTimeUtc }, stop);
        }
        else if ((info.Attributes & FileAttributes.Device) == 0)
        {
            await using var content = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1 << 16, useAsync: true);
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, path) { DataStream = content, Mode = mode, ModificationTime = info.LastWriteTimeUtc }, stop);
        }
    }
}

/// <summary>A body that is made while it is sent.</summary>
internal sealed class StreamedContent(Func<Stream, CancellationToken, Task> write) : HttpContent
{
    protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context) => write(stream, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context, CancellationToken cancellationToken) => write(stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
