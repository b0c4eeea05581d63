using System.Diagnostics;

namespace OsBuild.Tests.Repository;

/// <summary>The source tree the tests were built from.</summary>
internal static class RepositoryTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>The files git knows, relative to the root.</summary>
    public static IReadOnlyList<string> TrackedFiles { get; } = Git("ls-files");

    public static IEnumerable<string> Sources(string folder) =>
        Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/bin/", StringComparison.Ordinal) && !f.Contains("/obj/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    private static string FindRoot()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "OsBuild.sln")))
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("The tests do not run inside the repository.");
        return directory;
    }

    private static string[] Git(string command)
    {
        using var git = Process.Start(new ProcessStartInfo("git", command) { WorkingDirectory = Root, RedirectStandardOutput = true })!;
        return git.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
