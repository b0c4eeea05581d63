using System.Runtime.CompilerServices;

namespace OsBuild.Tests.Builder;

/// <summary>Compares a printed text with a committed one. OSBUILD_ACCEPT=1 writes the texts anew: read the difference before you commit it.</summary>
internal static class Golden
{
    public static void Check(string name, string actual, [CallerFilePath] string source = "")
    {
        var path = Path.Combine(Path.GetDirectoryName(source)!, "Golden", name + ".txt");
        if (Environment.GetEnvironmentVariable("OSBUILD_ACCEPT") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, actual);
        }

        Assert.True(File.Exists(path), $"There is no {path}; make it with OSBUILD_ACCEPT=1.");
        Assert.Equal(File.ReadAllText(path), actual, ignoreLineEndingDifferences: true);
    }
}
