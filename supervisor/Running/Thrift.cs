namespace OsBuild.Supervisor.Running;

/// <summary>When memory is given back: when there is nothing to do and a mebibyte was used since the last time, and each hour in any case. The fewer
/// services there are to look at, the more seldom that is.</summary>
internal sealed class Thrift
{
    private const long Enough = 1 << 20;
    private static readonly TimeSpan Often = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan AtLeast = TimeSpan.FromHours(1);

    private TimeSpan last = -Often;
    private long used = -Enough;

    /// <summary>Asked after every round; a yes counts as done.</summary>
    /// <param name="now">The monotonic clock.</param>
    /// <param name="busy">True while there is something to do or to wait for.</param>
    /// <param name="allocated">Bytes the process has ever asked for.</param>
    public bool Due(TimeSpan now, bool busy, long allocated)
    {
        if (now - last < AtLeast && (busy || now - last < Often || allocated - used < Enough)) return false;
        (last, used) = (now, allocated);
        return true;
    }
}
