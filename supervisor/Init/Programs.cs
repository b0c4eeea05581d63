namespace OsBuild.Supervisor.Init;

/// <summary>Where the programs of a root file system are.</summary>
internal static class Programs
{
    private static readonly string[] Places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/docker", "/bin", "/sbin"];

    /// <summary>The full path of a program, or null when the root has none of this name.</summary>
    public static string? Find(string name, Func<string, bool> exists) => Places.Select(p => Path.Combine(p, name)).FirstOrDefault(exists);
}
