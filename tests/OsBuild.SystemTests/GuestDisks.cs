namespace OsBuild.SystemTests;

/// <summary>The disks of guests: sparse files in a folder that goes with it.</summary>
internal sealed class GuestDisks : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("osbuild-guest-").FullName;

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Makes a disk that reads as zero; gives its path.</summary>
    public string Make(string name, long size)
    {
        var path = Path.Combine(Folder, name);
        using var file = File.Create(path);
        file.SetLength(size);
        return path;
    }

    public static void IsBlank(string disk, long length, long from = 0)
    {
        using var file = File.OpenRead(disk);
        var bytes = new byte[length - from];
        file.Position = from;
        file.ReadExactly(bytes);
        Assert.True(bytes.AsSpan().IndexOfAnyExcept((byte)0) < 0, $"the bytes {from} to {length} of {disk} are not blank");
    }
}
