using OsBuild.Supervisor.Compose;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Supervisor.Running;

/// <summary>The standalone master: a compose file handed over by the API, or else the one on the boot partition. A file that is wrong or gone
/// changes nothing: what runs goes on.</summary>
internal sealed class ComposeWatch(HostPaths paths, Reconciler reconciler, ILogger log)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(3);
    private static readonly string[] Names = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

    private readonly Lock gate = new();
    private string seen = "";

    /// <summary>True while another master decides; afterwards the file counts again.</summary>
    public Func<bool> Yields { get; init; } = () => false;

    private string Handed => Path.Combine(paths.State, "compose");

    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Interval);
        do
        {
            if (Yields()) seen = "";
            else Look();
        }
        while (await timer.WaitForNextTickAsync(stop));
    }

    /// <summary>Reads the file again if it, or a file beside it that it may use, changed.</summary>
    public void Look()
    {
        lock (gate) LookAlone();
    }

    private void LookAlone()
    {
        try
        {
            foreach (var directory in (string[])[Handed, paths.Boot])
            {
                if (Names.Select(n => Path.Combine(directory, n)).FirstOrDefault(File.Exists) is not { } file) continue;
                var stamp = Stamp(directory);
                if (stamp == seen) return;
                seen = stamp;
                Apply(Read(file, directory), file);
                return;
            }

            if (seen.Length == 0) return;
            seen = "";
            reconciler.Report("compose", "the compose file is gone; what it started goes on");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reconciler.Report("compose", $"the compose file cannot be read: {e.Message}");
        }
    }

    /// <summary>Checks a compose file and, when nothing is wrong, keeps it as the target. Gives what is wrong.</summary>
    public ComposeResult HandOver(string text, string? environment)
    {
        var result = ComposeFile.Read(text, environment, file: "compose.yaml", hostDirectory: new Places(paths).AppFiles);
        if (result.Release is null) return result;
        if (Yields()) return new(null, [new("compose.yaml", 1, "", "is not taken: a fleet or a local push decides what runs on this device")]);
        lock (gate)
        {
            // The file and its variables are two, so nobody looks in between.
            Directory.CreateDirectory(Handed);
            Write(Path.Combine(Handed, ".env"), environment ?? "");
            Write(Path.Combine(Handed, Names[0]), text);
            LookAlone();
        }

        return result;
    }

    /// <summary>Forgets a compose file handed over by the API; the one of the boot partition counts again.</summary>
    public void TakeBack()
    {
        foreach (var file in Directory.Exists(Handed) ? Directory.GetFiles(Handed) : []) File.Delete(file);
        Look();
    }

    private ComposeResult Read(string file, string directory)
    {
        var environment = Path.Combine(directory, ".env");
        return ComposeFile.Read(File.ReadAllText(file), File.Exists(environment) ? File.ReadAllText(environment) : null,
            name => File.Exists(Path.Combine(directory, name)) ? File.ReadAllBytes(Path.Combine(directory, name)) : null, Path.GetFileName(file), new Places(paths).AppFiles);
    }

    private void Apply(ComposeResult result, string file)
    {
        foreach (var remark in result.Diagnostics.Where(d => !d.IsError)) log.Warning("{Remark}", remark);
        if (result.Release is { } release) reconciler.Accept(new TargetState([release]), file);
        reconciler.Report("compose", result.Release is null ? $"{file} is wrong, what runs goes on:\n{result.Explain()}" : null);
    }

    private static string Stamp(string directory) => directory + string.Concat(new DirectoryInfo(directory).EnumerateFiles().Where(f => f.Length < YamlTree.MaxLength).OrderBy(f => f.Name, StringComparer.Ordinal)
        .Select(f => $"|{f.Name} {f.Length} {f.LastWriteTimeUtc.Ticks}"));

    private static void Write(string path, string text)
    {
        using (var file = new FileStream(path + ".new", FileMode.Create, FileAccess.Write))
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }
}
