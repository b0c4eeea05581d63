using System.Security.Cryptography;
using System.Text.Json;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.SelfUpdate;

/// <summary>
/// The record on the state partition, in two copies that take turns, each a line with a sequence number and a checksum as in the journal; and the
/// programs on the data partition, named by their SHA-256. Whatever happened to the files, there is an answer: at worst that nothing is known, and
/// then the root's own worker runs.
/// </summary>
internal sealed class UpdateStore(HostPaths paths)
{
    /// <summary>A record longer than this, in bytes, is damage.</summary>
    private const int LongestRecord = 1 << 20;

    private readonly string[] copies = [.. new[] { "update.a", "update.b" }.Select(name => Path.Combine(paths.State, "supervisor", name))];

    private string WantedFile => Path.Combine(paths.State, "supervisor", "update.wanted");

    /// <summary>Where the programs are.</summary>
    public string Programs => Path.Combine(paths.Data, "supervisor", "worker");

    public string ProgramOf(WorkerBuild build) => Path.Combine(Programs, build.Sha256);

    public UpdateRecord Load() => Newest()?.Record ?? new();

    /// <summary>Keeps a record; returns when it is on the medium.</summary>
    /// <exception cref="IOException">It cannot be written: nothing may be tried then.</exception>
    public void Save(UpdateRecord record)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(copies[0])!);
        var newest = Newest();
        DurableFile.Write(copies[newest?.Copy == 0 ? 1 : 0], Journal.Line((newest?.Sequence ?? 0) + 1, JsonSerializer.SerializeToUtf8Bytes(record, StateJson.Default.UpdateRecord)));
    }

    /// <summary>The image a person named through the API, with the request's mark; null when the configuration decides.</summary>
    public (string Image, string Request)? Wanted
    {
        get => Text(WantedFile)?.Split('\n') is [{ Length: > 0 } image, { Length: > 0 } request, ..] ? (image, request) : null;
        set
        {
            if (value is var (image, request))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(WantedFile)!);
                DurableFile.Write(WantedFile, $"{image}\n{request}\n");
            }
            else
            {
                File.Delete(WantedFile);
            }
        }
    }

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
    public void Prune(UpdateRecord record)
    {
        if (!Directory.Exists(Programs)) return;
        foreach (var file in Directory.EnumerateFiles(Programs))
            if (Path.GetFileName(file) is var name && name != record.Good?.Sha256 && name != record.Trial?.Sha256) File.Delete(file);
    }

    private (long Sequence, int Copy, UpdateRecord Record)? Newest()
    {
        (long Sequence, int Copy, UpdateRecord Record)? newest = null;
        for (var i = 0; i < copies.Length; i++)
            if (Read(copies[i]) is var (sequence, record) && (newest is null || sequence > newest.Value.Sequence)) newest = (sequence, i, record);
        return newest;
    }

    private static (long Sequence, UpdateRecord Record)? Read(string file)
    {
        try
        {
            if (!File.Exists(file) || new FileInfo(file).Length > LongestRecord) return null;
            return Journal.Parse(File.ReadAllBytes(file).AsSpan().TrimEnd((byte)'\n')) is var (sequence, json) && JsonSerializer.Deserialize(json, StateJson.Default.UpdateRecord) is { } record ? (sequence, record) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or NotSupportedException)
        {
            return null; // the other copy may be whole
        }
    }

    private static string? Text(string file)
    {
        try
        {
            return File.Exists(file) && new FileInfo(file).Length < LongestRecord ? File.ReadAllText(file) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
