using System.Text.Json;
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

    /// <summary>What was handed over, as one file: it is there whole or not at all.</summary>
    private string Handed => Path.Combine(paths.State, "compose.json");

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
            if (File.Exists(Handed))
            {
                if (Changed($"{Handed} {new FileInfo(Handed).LastWriteTimeUtc.Ticks}")) Apply(Read(Handover.Parse(File.ReadAllBytes(Handed))), "the compose file that was handed over");
                return;
            }

            if (Names.Select(n => Path.Combine(paths.Boot, n)).FirstOrDefault(File.Exists) is { } file)
            {
                if (Changed(Stamp(paths.Boot))) Apply(Read(file, paths.Boot), file);
                return;
            }

            if (seen.Length == 0) return;
            seen = "";
            reconciler.Report("compose", "the compose file is gone; what it started goes on");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            reconciler.Report("compose", $"the compose file cannot be read: {e.Message}");
        }
    }

    /// <summary>What would be said of a compose file; nothing is changed.</summary>
    public ComposeResult Check(Handover handover) => Read(handover);

    /// <summary>Checks a compose file and, when nothing is wrong, keeps it as the target. Gives what is wrong.</summary>
    public ComposeResult HandOver(Handover handover)
    {
        var result = Read(handover);
        if (result.Release is null) return result;
        if (Yields()) return new(null, [new("compose.yaml", 1, "", "is not taken: a fleet or a local push decides what runs on this device")]);
        Write(Handed, handover.ToJson());
        Look();
        return result;
    }

    /// <summary>Forgets a compose file handed over by the API; the one of the boot partition counts again.</summary>
    public void TakeBack()
    {
        File.Delete(Handed);
        Look();
    }

    private bool Changed(string stamp)
    {
        if (stamp == seen) return false;
        seen = stamp;
        return true;
    }

    private ComposeResult Read(Handover handover) => ComposeFile.Read(handover.Compose, handover.Environment, name => handover.Files.GetValueOrDefault(name), "compose.yaml", new Places(paths).AppFiles,
        handover.Built.Count == 0 ? null : service => handover.Built.GetValueOrDefault(service));

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

    private static void Write(string path, byte[] bytes)
    {
        using (var file = new FileStream(path + ".new", new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }
}
