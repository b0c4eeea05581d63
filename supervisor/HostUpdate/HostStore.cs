using OsBuild.Supervisor.Linux;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.HostUpdate;

/// <summary>What is kept about the host's own update, on the state partition, which both slots share.</summary>
internal sealed class HostStore(HostPaths paths)
{
    private readonly TurnFile<HostRecord> record = new(Path.Combine(paths.State, "supervisor", "host"), StateJson.Default.HostRecord);

    /// <summary>What a person asked for.</summary>
    public NamedImage Named { get; } = new(Path.Combine(paths.State, "supervisor", "host.wanted"));

    /// <summary>What a host on trial says of itself, for whoever comes after it.</summary>
    public TrialLog Log { get; } = new(Path.Combine(paths.State, "supervisor", "host-trial.log"));

    public HostRecord Load() => record.Load() ?? new();

    /// <summary>Keeps a record; returns when it is on the medium.</summary>
    /// <exception cref="IOException">It cannot be written: nothing may be tried then.</exception>
    public void Save(HostRecord now) => record.Save(now);

    /// <summary>How this device boots; null when its image says too little.</summary>
    public DeviceBoot? Device => DeviceBoot.Read(Path.Combine(paths.Boot, "image.json"));
}

/// <summary>The last words of a host on trial: written through to the medium line by line, because it may end at any moment.</summary>
internal sealed class TrialLog(string path)
{
    private const int Longest = 64 << 10;
    private const string Boot = "boot of ";

    public void Begin(HostBuild build) => Line(Boot + build);

    public void Line(string text)
    {
        if (File.Exists(path) && new FileInfo(path).Length > Longest) return;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
        file.Write(System.Text.Encoding.UTF8.GetBytes(text.ReplaceLineEndings(" ") + "\n"));
        file.Flush(flushToDisk: true);
    }

    public void Clear()
    {
        File.Delete(path);
        using var directory = Libc.OpenDirectory(Path.GetDirectoryName(path)!);
        Libc.SyncFile(directory, path);
    }

    /// <summary>Why a host did not stay, as far as it could say.</summary>
    public string Reason()
    {
        try
        {
            return Reason(File.Exists(path) ? File.ReadAllLines(path) : []);
        }
        catch (IOException e)
        {
            return $"it did not stay, and its last words cannot be read: {e.Message}";
        }
    }

    /// <summary>Pure.</summary>
    public static string Reason(IReadOnlyList<string> lines)
    {
        var boots = lines.Count(l => l.StartsWith(Boot, StringComparison.Ordinal));
        return boots == 0
            ? "it never came as far as the state partition: its kernel, initramfs or root file system does not start on this device"
            : $"it ended without a verdict in {boots} boot{(boots == 1 ? "" : "s")}; the last thing it said was '{lines[^1]}'";
    }
}
