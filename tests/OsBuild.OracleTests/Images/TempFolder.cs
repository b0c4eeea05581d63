namespace OsBuild.OracleTests.Images;

/// <summary>A folder for the files a judge must see; gone after the test.</summary>
internal sealed class TempFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("osbuild-");

    public string this[string name] => Path.Combine(_folder.FullName, name);

    public void Dispose() => _folder.Delete(recursive: true);
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
