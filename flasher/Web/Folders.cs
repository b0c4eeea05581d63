using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Web;

/// <summary>The folders of this computer, for picking an image: a web page cannot tell where a file lies.</summary>
internal static class Folders
{
    private static readonly string[] Extensions = [".img", ".iso", ".wic", ".raw", ".bin", ".sdcard", ".sdimg", ".rpi-sdimg", ".hddimg", ".gz", ".xz", ".zst", ".bz2", ".zip"];

    /// <summary>The home of the person, also when the program was raised with sudo or pkexec.</summary>
    public static string Home
    {
        get
        {
            var name = Environment.GetEnvironmentVariable("SUDO_USER");
            var id = Environment.GetEnvironmentVariable("PKEXEC_UID");
            var own = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            if ((name is null && id is null) || !File.Exists("/etc/passwd")) return own;
            var lines = File.ReadLines("/etc/passwd").Select(l => l.Split(':')).Where(p => p.Length > 5);
            return lines.FirstOrDefault(p => p[0] == name || p[2] == id) is { } person && Directory.Exists(person[5]) ? person[5] : own;
        }
    }

    /// <summary>What is in a folder: folders and images.</summary>
    /// <exception cref="RefusedException">It cannot be read.</exception>
    public static FolderShape List(string path, bool all)
    {
        try
        {
            var folder = new DirectoryInfo(path.Length == 0 ? Directory.GetCurrentDirectory() : path);
            var entries = folder.EnumerateFileSystemInfos().Where(e => !e.Name.StartsWith('.')).ToList();
            var folders = entries.OfType<DirectoryInfo>().Select(d => new EntryShape(d.Name, d.FullName, true, 0));
            var files = entries.OfType<FileInfo>().Where(f => all || IsImage(f.Name)).Select(f => new EntryShape(f.Name, f.FullName, false, f.Length));
            return new FolderShape(folder.FullName, folder.Parent?.FullName,
                [.. folders.OrderBy(e => e.Name, StringComparer.OrdinalIgnoreCase), .. files.OrderBy(e => e.Name, StringComparer.OrdinalIgnoreCase)],
                [.. Places.Select(p => new EntryShape(p.Name, p.Path, true, 0))]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new RefusedException($"{path} cannot be looked into: {e.Message.TrimEnd('.')}.");
        }
    }

    /// <summary>Where a file that was dropped onto the page lies: the browser tells its name and size only.</summary>
    /// <exception cref="RefusedException">It is in none of the usual places.</exception>
    public static string Find(string name, long size)
    {
        foreach (var place in Places)
        {
            try
            {
                var file = new FileInfo(Path.Combine(place.Path, Path.GetFileName(name)));
                if (file.Exists && file.Length == size) return file.FullName;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                continue;
            }
        }

        throw new RefusedException($"{name} is not in {string.Join(", ", Places.Select(p => p.Name))}: choose it from its folder.");
    }

    private static IEnumerable<(string Name, string Path)> Places => new (string Name, string Path)[]
    {
        ("Home", Home), ("Downloads", Path.Combine(Home, "Downloads")), ("Desktop", Path.Combine(Home, "Desktop")), ("This folder", Directory.GetCurrentDirectory()),
    }.Where(p => Directory.Exists(p.Path)).DistinctBy(p => p.Path);

    private static bool IsImage(string name) => Extensions.Any(e => name.EndsWith(e, StringComparison.OrdinalIgnoreCase));
}
