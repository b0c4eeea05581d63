using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OsBuild.Supervisor.Identity;

namespace OsBuild.Supervisor.State;

/// <summary>
/// A record on the state partition in two copies (<c>.a</c>, <c>.b</c>) that take turns, each a line with a sequence number and a checksum as in the
/// journal. Whatever happened to the files, what is read is a record that was once true, or none.
/// </summary>
internal sealed class TurnFile<T>(string path, JsonTypeInfo<T> type) where T : class
{
    /// <summary>A record longer than this, in bytes, is damage.</summary>
    private const int Longest = 1 << 20;

    private readonly string[] copies = [path + ".a", path + ".b"];

    /// <summary>The later of the whole copies; null when neither is whole.</summary>
    public T? Load() => Newest()?.Record;

    /// <summary>Keeps a record; returns when it is on the medium.</summary>
    /// <exception cref="IOException">It cannot be written; what was kept before is still there.</exception>
    public void Save(T record)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var newest = Newest();
        DurableFile.Write(copies[newest?.Copy == 0 ? 1 : 0], Journal.Line((newest?.Sequence ?? 0) + 1, JsonSerializer.SerializeToUtf8Bytes(record, type)));
    }

    private (long Sequence, int Copy, T Record)? Newest()
    {
        (long Sequence, int Copy, T Record)? newest = null;
        for (var i = 0; i < copies.Length; i++)
            if (Read(copies[i]) is var (sequence, record) && (newest is null || sequence > newest.Value.Sequence)) newest = (sequence, i, record);
        return newest;
    }

    private (long Sequence, T Record)? Read(string file)
    {
        try
        {
            if (!File.Exists(file) || new FileInfo(file).Length > Longest) return null;
            return Journal.Parse(File.ReadAllBytes(file).AsSpan().TrimEnd((byte)'\n')) is var (sequence, json) && JsonSerializer.Deserialize(json, type) is { } record ? (sequence, record) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or NotSupportedException)
        {
            return null; // the other copy may be whole
        }
    }
}

/// <summary>The image that a person named through the API, with a mark that tells two requests for the same image apart; kept until it is taken back.</summary>
internal sealed class NamedImage(string path)
{
    private const int Longest = 4096;

    /// <summary>Null when nobody named one: the configuration decides then.</summary>
    public (string Image, string Request)? Value
    {
        get
        {
            try
            {
                return File.Exists(path) && new FileInfo(path).Length < Longest && File.ReadAllText(path).Split('\n') is [{ Length: > 0 } image, { Length: > 0 } request, ..] ? (image, request) : null;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }

        set
        {
            if (value is not var (image, request))
            {
                File.Delete(path);
                return;
            }

            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            DurableFile.Write(path, $"{image}\n{request}\n");
        }
    }
}
