using System.Text;

namespace OsBuild.Supervisor.Init;

/// <summary>A log file that never takes more than twice its limit: when full it becomes NAME.1.</summary>
internal sealed class BoundedLog(string path, long limit) : IDisposable
{
    private readonly Lock _lock = new();
    private FileStream? _file;

    public void Line(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text + "\n");
        lock (_lock)
        {
            _file ??= Open();
            if (_file.Length + bytes.Length > limit && _file.Length > 0)
            {
                _file.Dispose();
                _file = null;
                File.Move(path, path + ".1", overwrite: true);
                _file = Open();
            }

            _file.Write(bytes);
            _file.Flush();
        }
    }

    /// <summary>Lets go of the file, so that its file system can be unmounted.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _file?.Dispose();
            _file = null;
        }
    }

    private FileStream Open()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
    }
}
