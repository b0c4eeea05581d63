using System.Security.Cryptography;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>
/// The record on the state partition, and the programs on the data partition, named by their SHA-256. Whatever happened to the files, there is an
/// answer: at worst that nothing is known, and then the root's own worker runs.
/// </summary>
internal sealed class UpdateStore(HostPaths paths)
{
    private readonly TurnFile<UpdateRecord> record = new(Path.Combine(paths.State, "supervisor", "update"), StateJson.Default.UpdateRecord);

    /// <summary>What a person asked for.</summary>
    public NamedImage Named { get; } = new(Path.Combine(paths.State, "supervisor", "update.wanted"));

    /// <summary>Where the programs are.</summary>
    public string Programs => Path.Combine(paths.Data, "supervisor", "worker");

    public string ProgramOf(WorkerBuild build) => Path.Combine(Programs, build.Sha256);

    public UpdateRecord Load() => record.Load() ?? new();

    /// <summary>Keeps a record; returns when it is on the medium.</summary>
    /// <exception cref="IOException">It cannot be written: nothing may be tried then.</exception>
    public void Save(UpdateRecord now) => record.Save(now);

    /// <summary>What is wrong with a program's file, or null: read whole each time it is started, because media forget.</summary>
    public string? Fault(WorkerBuild build)
    {
        try
        {
            using var file = File.OpenRead(ProgramOf(build));
            return Convert.ToHexStringLower(SHA256.HashData(file)) == build.Sha256 ? null : "its file is damaged";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"its file cannot be read: {e.Message}";
        }
    }

    /// <summary>Removes the programs that the record does not name, and what a cut-off fetch left.</summary>
    public void Prune(UpdateRecord now)
    {
        if (!Directory.Exists(Programs)) return;
        foreach (var file in Directory.EnumerateFiles(Programs))
            if (Path.GetFileName(file) is var name && name != now.Good?.Sha256 && name != now.Trial?.Sha256) File.Delete(file);
    }
}
