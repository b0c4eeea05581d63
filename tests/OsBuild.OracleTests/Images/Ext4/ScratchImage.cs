namespace OsBuild.OracleTests.Images.Ext4;

/// <summary>A sparse image file for one test. It stays behind when a judge rejects it.</summary>
internal sealed class ScratchImage : IDisposable
{
    private bool _keep;

    public ScratchImage(long size)
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"osbuild-{Guid.NewGuid():N}.img");
        Stream = new FileStream(Path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite, 0);
        Stream.SetLength(size);
    }

    public string Path { get; }

    public FileStream Stream { get; }

    /// <summary>e2fsck must exit 0 and say nothing but its five passes and the summary.</summary>
    public void MustPassFsck(string what)
    {
        Stream.Flush();
        var verdict = Judge.Run("e2fsck", "-fn", Path);
        var complaints = verdict.Output.Split('\n').Where(line => line.Length > 0 && !line.StartsWith("Pass ") && !line.StartsWith("e2fsck 1.") && !line.Contains("% non-contiguous")).ToList();
        if (verdict.ExitCode == 0 && complaints.Count == 0) return;
        _keep = true;
        Assert.Fail($"e2fsck rejects {Path} ({what}), exit code {verdict.ExitCode}:\n{verdict.Output[..Math.Min(verdict.Output.Length, 3000)]}");
    }

    public void Dispose()
    {
        Stream.Dispose();
        if (!_keep) File.Delete(Path);
    }
}
