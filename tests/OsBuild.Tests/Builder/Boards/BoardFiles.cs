using System.Runtime.CompilerServices;

namespace OsBuild.Tests.Builder.Boards;

/// <summary>Files beside these tests, and board-configs.</summary>
internal static class BoardFiles
{
    public static bool Update => Environment.GetEnvironmentVariable("OSBUILD_UPDATE_GOLDENS") == "1";

    public static string Here([CallerFilePath] string here = "") => Path.GetDirectoryName(here)!;

    public static string Configs => Path.GetFullPath(Path.Combine(Here(), "..", "..", "..", "..", "board-configs"));

    public static string Text(string file) => File.ReadAllText(Path.Combine(Here(), file));

    /// <summary>Holds a text against a file; writes the file instead when goldens are being renewed.</summary>
    public static void Golden(string path, string actual)
    {
        if (Update)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, actual);
        }

        Assert.True(File.Exists(path), $"{path} is missing; run the tests once with OSBUILD_UPDATE_GOLDENS=1 and read what it writes");
        Assert.Equal(File.ReadAllText(path), actual);
    }
}
