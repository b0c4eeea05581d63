using OsBuild.Supervisor.Logs;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Running;

/// <summary>Where the reconciler keeps things on the host.</summary>
internal sealed class Places(HostPaths paths)
{
    public static readonly string[] SignalNames = ["handover-complete", "resin-kill-me"];
    public static readonly string[] LockNames = ["updates.lock", "resin-updates.lock"];

    /// <summary>What a lock holds that the supervisor took; a foreign one is empty or says something else.</summary>
    private const string Ours = "osbuild-supervisor\n";

    public string StateDirectory => Path.Combine(paths.State, "supervisor");

    /// <summary>Relative bind sources of a compose file.</summary>
    public string AppFiles => Path.Combine(paths.Data, "apps-data");

    /// <summary>The last words of containers that were removed.</summary>
    public KeptLogs KeptLogs { get; } = new(Path.Combine(paths.Data, "supervisor", "logs"));

    /// <summary>The files of the bundle that was taken last.</summary>
    public string Bundle => Path.Combine(paths.Data, "bundle");

    public string[] Archives => [Bundle, Path.Combine(paths.Boot, "apps"), Path.Combine(paths.Data, "apps")];

    /// <summary>Lock and hand-over file of a service; gone after a reboot, as locks must be.</summary>
    public string Shared(string app, string service) => Shared($"{app}/{service}");

    public string StartedMarks => Path.Combine(paths.Run, "started");

    public string StartedMark(string container) => Path.Combine(StartedMarks, container);

    public string File(string app, FileMount file) => Path.Combine(paths.Data, "supervisor", "files", app, $"{file.Sha256[..32]}-{Convert.ToString(file.Mode ?? 0x124, 8)}-{file.Uid ?? 0}-{file.Gid ?? 0}");

    public bool Signalled(string app, string service) => SignalNames.Any(n => System.IO.File.Exists(Path.Combine(Shared(app, service), n)));

    /// <summary>True when the app holds its lock. One that a killed supervisor left behind is ours and holds nobody.</summary>
    public bool Locked(string app, string service) => LockNames.Select(n => Path.Combine(Shared(app, service), n)).Any(p => System.IO.File.Exists(p) && !IsOurs(p));

    /// <summary>Takes the lock of a service (<c>app/service</c>) for the supervisor; false when its app has it.</summary>
    public bool TakeLock(string key)
    {
        var folder = Shared(key);
        if (LockNames.Any(n => System.IO.File.Exists(Path.Combine(folder, n)) && !IsOurs(Path.Combine(folder, n)))) return false;
        var path = Path.Combine(folder, LockNames[0]);
        Directory.CreateDirectory(folder);
        if (System.IO.File.Exists(path)) return true;
        try
        {
            using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write);
            file.Write(System.Text.Encoding.ASCII.GetBytes(Ours));
            return true;
        }
        catch (IOException) when (System.IO.File.Exists(path))
        {
            return IsOurs(path);
        }
    }

    public void ReleaseLock(string key)
    {
        var path = Path.Combine(Shared(key), LockNames[0]);
        if (IsOurs(path)) System.IO.File.Delete(path);
    }

    private string Shared(string key) => Path.Combine(paths.Run, "services", key);

    private static bool IsOurs(string path)
    {
        try
        {
            return System.IO.File.Exists(path) && new FileInfo(path).Length == Ours.Length && System.IO.File.ReadAllText(path) == Ours;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
