namespace OsBuild.Images.Ext4;

/// <summary>Consecutive blocks.</summary>
internal readonly record struct BlockRun(long First, long Count)
{
    /// <summary>The block after the last.</summary>
    public long End => First + Count;
}
