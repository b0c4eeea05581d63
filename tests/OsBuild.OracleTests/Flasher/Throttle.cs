namespace OsBuild.OracleTests.Flasher;

/// <summary>A loop device that the kernel slows down, as a card would be.</summary>
internal sealed class Throttle : IDisposable
{
    private const string File_ = "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device";
    private readonly string _device;

    public Throttle(LoopDevice device, int bytesPerSecond)
    {
        Assert.SkipUnless(File.Exists(File_), "no blkio throttle here");
        _device = $"7:{device.Path["/dev/loop".Length..]}";
        File.WriteAllText(File_, $"{_device} {bytesPerSecond}");
    }

    public void Dispose() => File.WriteAllText(File_, _device + " 0");
}
