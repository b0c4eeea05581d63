namespace OsBuild.Images.Copying;

/// <summary>The extents of one chunk.</summary>
internal readonly record struct ExtentGroup(int First, int Count, int Length);

/// <summary>What was cut from the image while it was written: the digests that the media are held to. The head is not in it.</summary>
internal sealed class Written
{
    public List<Extent> Extents { get; } = [];

    public List<ExtentGroup> Groups { get; } = [];

    /// <summary>Bytes of the image, before padding.</summary>
    public long Length { get; set; }

    public void Add(Chunk chunk)
    {
        Groups.Add(new ExtentGroup(Extents.Count, chunk.Extents.Count, chunk.Length));
        Extents.AddRange(chunk.Extents);
    }
}
