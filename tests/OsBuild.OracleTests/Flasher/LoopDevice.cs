using OsBuild.OracleTests;

namespace OsBuild.OracleTests.Flasher;

/// <summary>A loop device on a file of its own; both go when the test ends.</summary>
internal sealed class LoopDevice : IDisposable
{
    private readonly bool _ownFile;

    public LoopDevice(long size, params string[] options)
        : this(NewFile(size), true, options)
    {
    }

    public LoopDevice(string file, bool ownFile, params string[] options)
    {
        _ownFile = ownFile;
        File = file;
        var attached = Judge.Run("losetup", ["-f", "--show", .. options, file]);
        Assert.SkipWhen(attached.ExitCode != 0 && !Judge.IsRoot, "loop devices need root");
        Path = attached.MustPass("losetup").Output.Trim();
    }

    public string Path { get; }

    public string File { get; }

    public static string NewFile(long size)
    {
        var file = System.IO.Path.Combine(Folder.Path, Guid.NewGuid().ToString("N") + ".disk");
        using var stream = System.IO.File.Create(file);
        stream.SetLength(size);
        return file;
    }

    /// <summary>The first bytes as they lie on the device.</summary>
    public byte[] Read(int length, long from = 0)
    {
        var bytes = new byte[length];
        using var stream = System.IO.File.OpenRead(File);
        stream.Position = from;
        stream.ReadExactly(bytes);
        return bytes;
    }

    public void Dispose()
    {
        Judge.Run("losetup", "-d", Path);
        if (_ownFile) System.IO.File.Delete(File);
    }
}

/// <summary>A folder for this run, in memory where there is such a place.</summary>
internal static class Folder
{
    public static string Path { get; } = Make();

    private static string Make()
    {
        var folder = Directory.CreateDirectory(System.IO.Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : System.IO.Path.GetTempPath(), $"osbuild-flasher-{Environment.ProcessId}")).FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    }

    public static string File(string name, ReadOnlySpan<byte> content)
    {
        var file = System.IO.Path.Combine(Directory.CreateDirectory(System.IO.Path.Combine(Path, Guid.NewGuid().ToString("N"))).FullName, name);
        System.IO.File.WriteAllBytes(file, content);
        return file;
    }

    /// <summary>Bytes with runs of zeros, as images have them, and a head that is not blank.</summary>
    public static byte[] Image(int length, int seed = 1)
    {
        var random = new Random(seed);
        var image = new byte[length];
        for (var at = 0; at < length;)
        {
            var run = Math.Min(length - at, random.Next(1, 400_000));
            if (at == 0 || random.Next(3) > 0) random.NextBytes(image.AsSpan(at, run));
            at += run;
        }

        return image;
    }
}

/// <summary>Runs the flasher as people do.</summary>
internal static class Cli
{
    /// <summary>The program under test: the one built beside the tests, or the published one named by OSBUILD_FLASHER.</summary>
    public static string Program => Environment.GetEnvironmentVariable("OSBUILD_FLASHER") ?? Path.Combine(AppContext.BaseDirectory, "flasher");

    public static Judge.Verdict Run(params string[] arguments) => Judge.Run(Program, arguments);

    /// <summary>Runs and expects an exit code and words in the answer.</summary>
    public static string Ends(int exitCode, string says, params string[] arguments)
    {
        var verdict = Run(arguments);
        Assert.True(verdict.ExitCode == exitCode, $"flasher {string.Join(' ', arguments)} ended with {verdict.ExitCode}, not {exitCode}:\n{verdict.Output}");
        Assert.Contains(says, verdict.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", verdict.Output, StringComparison.Ordinal);
        return verdict.Output;
    }
}
