namespace OsBuild.OracleTests;

/// <summary>What the scripts of tests/reference have made in this checkout.</summary>
internal static class Checkout
{
    /// <summary>The top of the repository.</summary>
    public static string Top { get; } = Find();

    /// <summary>Where the scripts leave what they make.</summary>
    public static string Work { get; } = Environment.GetEnvironmentVariable("OSBUILD_WORK") ?? Path.Combine(Top, "work");

    /// <summary>A published program for this machine.</summary>
    public static string Program(string name, string rid = "linux-x64") => Needed(Path.Combine(Top, "dist", rid, name));

    /// <summary>The reference image of a board with the demo app in it.</summary>
    public static string Image(string board) => Script(TimeSpan.FromMinutes(20), "image.sh", board).Split('\n')[0];

    /// <summary>Runs a script of tests/reference; it must succeed. Gives what it says: its result first, its progress after that.</summary>
    public static string Script(TimeSpan limit, string name, params string[] arguments) =>
        Judge.Run(limit, "env", [$"OSBUILD_WORK={Work}", Path.Combine(Top, "tests/reference", name), .. arguments]).MustPass(name).Output;

    /// <summary>Something a script makes. Missing, it skips the test, but fails it in CI.</summary>
    public static string Needed(string path)
    {
        if (File.Exists(path) || Directory.Exists(path)) return path;
        const string remedy = "is missing; ./build.sh test makes it.";
        Assert.True(Environment.GetEnvironmentVariable("CI") != "true", $"{path} {remedy}");
        Assert.Skip($"{path} {remedy}");
        return path;
    }

    private static string Find()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
            if (File.Exists(Path.Combine(directory.FullName, "OsBuild.sln"))) return directory.FullName;
        throw new DirectoryNotFoundException("These tests run from a checkout of the repository.");
    }
}
