namespace OsBuild.Supervisor.State;

/// <summary>The room left on the partition that holds images and volumes.</summary>
internal sealed record DiskState(long FreeBytes, long TotalBytes, long FreeInodes = long.MaxValue, long TotalInodes = long.MaxValue)
{
    private const long MiB = 1 << 20;

    /// <summary>More than anyone needs: what a host that cannot tell counts as.</summary>
    public static readonly DiskState Ample = new(long.MaxValue, long.MaxValue);

    /// <summary>Time to throw away what nobody needs: less than a tenth (at most 1 GiB) or a twentieth of the inodes is left.</summary>
    public bool Low => FreeBytes < Math.Min(TotalBytes / 10, 1024 * MiB) || FreeInodes < TotalInodes / 20;

    /// <summary>Nothing new may be downloaded: less than a fiftieth (at most 64 MiB) or a hundredth of the inodes is left. Apps, logs and state need the rest.</summary>
    public bool Full => FreeBytes < Math.Min(TotalBytes / 50, 64 * MiB) || FreeInodes < TotalInodes / 100;

    public override string ToString() => FreeInodes < TotalInodes / 20 ? $"{FreeInodes} inodes" : $"{FreeBytes / MiB} MiB";
}
