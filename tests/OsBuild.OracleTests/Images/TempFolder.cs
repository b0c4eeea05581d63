namespace OsBuild.OracleTests.Images;

/// <summary>A folder for the files a judge must see; gone after the test.</summary>
internal sealed class TempFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("osbuild-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    // Not by the runtime, which cannot delete names that are no text, nor paths longer than PATH_MAX.
    public void Dispose() => Judge.Run("rm", "-rf", _folder.FullName);
}

/// <summary>A loop device over a file, detached at the end.</summary>
internal sealed class LoopDevice : IDisposable
{
    public LoopDevice(string file, int sectorSize = 512)
    {
        Assert.SkipUnless(Judge.IsRoot, "Loop devices need root.");
        Device = Judge.Run("losetup", "--find", "--show", "--sector-size", $"{sectorSize}", file).MustPass("losetup").Output.Trim();
    }

    public string Device { get; }

    public void Dispose() => Judge.Run("losetup", "--detach", Device);
}
