namespace OsBuild.Supervisor.Compose;

/// <summary>What a compose file may refer to outside itself. Files are read through a function, so that reading stays pure.</summary>
internal sealed class ComposeSources(IReadOnlyDictionary<string, string> variables, Func<string, byte[]?> read, string hostDirectory = "/data/apps")
{
    private readonly Dictionary<(string Kind, string Name), byte[]> files = [];

    public IReadOnlyDictionary<string, string> Variables { get; } = variables;

    /// <summary>For a local push, which builds images before they are run: the image of a service. Null where nothing is built.</summary>
    public Func<string, string?>? Built { get; init; }

    /// <summary>The bytes of a file beside the compose file, or null. Paths do not leave that folder.</summary>
    public byte[]? Read(string path)
    {
        var relative = path.StartsWith("./", StringComparison.Ordinal) ? path[2..] : path;
        return relative.StartsWith('/') || relative.Split('/').Contains("..") ? null : read(relative);
    }

    /// <summary>A path on the device: relative ones lie in the app's folder on the data partition, since the boot partition is read-only.</summary>
    public string HostPath(string path) => path switch
    {
        "~" => "/root",
        _ when path.StartsWith("~/", StringComparison.Ordinal) => "/root" + path[1..],
        _ when path.StartsWith('/') => path.Length > 1 ? path.TrimEnd('/') : path,
        _ => Path.GetFullPath(Path.Combine(hostDirectory, path)),
    };

    public void Define(string kind, string name, byte[] content) => files[(kind, name)] = content;

    public byte[]? File(string kind, string name) => files.GetValueOrDefault((kind, name));

    public IEnumerable<byte[]> Contents => files.Values;
}
