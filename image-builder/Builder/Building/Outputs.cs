using OsBuild.ImageBuilder.Facts;
using OsBuild.Images;

namespace OsBuild.ImageBuilder.Building;

/// <summary>The only place that makes files: under temporary names until all are whole, then renamed. Whatever ends a job early leaves nothing.</summary>
internal sealed class Outputs(string directory) : IDisposable
{
    private readonly List<(string Temporary, string Final)> _files = [];
    private bool _madeDirectory;

    /// <summary>Checks a folder before a job: that it can be written and has room. Leaves no trace.</summary>
    public static void Check(string directory, long needs, Problems problems)
    {
        if (File.Exists(directory))
        {
            problems.Add($"The output folder {directory} is a file; give another folder with --output.");
            return;
        }

        // The nearest folder that is there: the others will be made.
        var existing = System.IO.Path.GetFullPath(directory);
        while (!Directory.Exists(existing) && System.IO.Path.GetDirectoryName(existing) is { } parent) existing = parent;
        try
        {
            using (File.OpenHandle(System.IO.Path.Combine(existing, Temporary("check")), FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.DeleteOnClose))
            {
            }

            var free = new DriveInfo(existing).AvailableFreeSpace;
            if (free < needs)
                problems.Add($"The output folder {directory} has {new ByteSize(free)} free, the image needs {new ByteSize(needs)}, short by {new ByteSize(needs - free)}; free some space or give another folder with --output.");
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            problems.Add($"The output folder {directory} cannot be written ({Reason(e)}); give another folder with --output.");
        }
    }

    private static string Reason(Exception e) => e switch
    {
        UnauthorizedAccessException => "permission denied",
        FileNotFoundException or DirectoryNotFoundException => "no file can be made there",
        // "Read-only file system : '/path'"
        _ => e.Message.Split(" :")[0].TrimEnd('.'),
    };

    /// <summary>Opens a new file under a temporary name.</summary>
    public FileStream Create(string name)
    {
        if (!Directory.Exists(directory))
        {
            Directory.CreateDirectory(directory);
            _madeDirectory = true;
        }

        return new FileStream(Register(name), FileMode.Create, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete, bufferSize: 0);
    }

    /// <summary>Makes a small file.</summary>
    public void Write(string name, Action<Stream> write)
    {
        using var file = Create(name);
        write(file);
    }

    /// <summary>Opens a finished file to change it in place; until the end it has a temporary name.</summary>
    public FileStream Take(string name)
    {
        var temporary = Register(name);
        File.Move(System.IO.Path.Combine(directory, name), temporary);
        return new FileStream(temporary, FileMode.Open, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete, bufferSize: 0);
    }

    private string Register(string name)
    {
        var temporary = System.IO.Path.Combine(directory, Temporary(name));
        _files.Add((temporary, name));
        return temporary;
    }

    /// <summary>Takes back a file: it will not be there in the end.</summary>
    public void Drop(string name)
    {
        var at = _files.FindIndex(f => f.Final == name);
        File.Delete(_files[at].Temporary);
        _files.RemoveAt(at);
    }

    /// <summary>Gives the files their names. Those that describe the image go first and come back last, so that none ever describes another image.</summary>
    /// <param name="image">Name of the image.</param>
    /// <param name="record">Makes the record of the job from the finished files.</param>
    public void Commit(string image, Func<IReadOnlyList<KnownFile>, JobRecord> record)
    {
        string Path(string name) => System.IO.Path.Combine(directory, name);
        File.Delete(Path(JobRecord.NameFor(image)));
        foreach (var (_, final) in _files.Skip(1)) File.Delete(Path(final));
        var finals = _files.Select(f => f.Final).ToList();
        foreach (var (temporary, final) in _files) File.Move(temporary, Path(final), overwrite: true);
        _files.Clear();
        _madeDirectory = false;
        // The record comes last: without it the next job starts anew, with it all files are as it says.
        Write(JobRecord.NameFor(image), record([.. finals.Select(f => JobRecord.Known(Path(f))!)]).Write);
        File.Move(_files[0].Temporary, Path(JobRecord.NameFor(image)));
        _files.Clear();
    }

    /// <summary>Gives files that nothing describes their names.</summary>
    public void Commit()
    {
        foreach (var (temporary, final) in _files) File.Move(temporary, System.IO.Path.Combine(directory, final), overwrite: true);
        _files.Clear();
        _madeDirectory = false;
    }

    public void Dispose()
    {
        foreach (var (temporary, _) in _files) File.Delete(temporary);
        if (_madeDirectory && Directory.Exists(directory) && !Directory.EnumerateFileSystemEntries(directory).Any()) Directory.Delete(directory);
    }

    private static string Temporary(string name) => $".{name}.{Environment.ProcessId}.tmp";
}
