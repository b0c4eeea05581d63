namespace OsBuild.OracleTests.Images;

/// <summary>An image mounted by the running kernel; needs root.</summary>
internal sealed class LoopMount : IDisposable
{
    public LoopMount(string image, string options = "ro", string type = "ext4")
    {
        Assert.SkipUnless(Judge.IsRoot, "Mounting needs root.");
        Directory = System.IO.Directory.CreateTempSubdirectory("osbuild-mount-").FullName;
        Judge.Run("mount", "-t", type, "-o", "loop," + options, image, Directory).MustPass($"mount of {image}");
    }

    public string Directory { get; }

    public void Dispose()
    {
        for (var attempt = 0; attempt < 50 && Judge.Run("umount", Directory).ExitCode != 0; attempt++) Thread.Sleep(100);
        System.IO.Directory.Delete(Directory);
    }
}
