using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace OsBuild.Supervisor.Identity;

/// <summary>A small JSON file on the state partition that must outlive power cuts and bad sectors: two copies, each replaced as a whole, so that
/// at any moment one of them is whole.</summary>
internal sealed class KeptFile<T>(string path, JsonTypeInfo<T> type, Func<T, bool> whole, bool secret) where T : class
{
    private string[] Copies => [path, path + ".copy"];

    /// <summary>What is kept, or null when nothing usable is there.</summary>
    public T? Load()
    {
        foreach (var file in Copies)
        {
            try
            {
                if (File.Exists(file) && JsonSerializer.Deserialize(File.ReadAllBytes(file), type) is { } value && whole(value)) return value;
            }
            catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
            {
                // The other copy may be whole.
            }
        }

        return null;
    }

    public void Save(T value)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        foreach (var file in Copies)
        {
            DurableFile.Write(file, JsonSerializer.SerializeToUtf8Bytes(value, type));
            if (secret) File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    public void Delete()
    {
        foreach (var file in Copies) File.Delete(file);
    }
}
