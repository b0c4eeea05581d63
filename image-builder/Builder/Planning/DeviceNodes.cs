namespace OsBuild.ImageBuilder.Planning;

/// <summary>Device nodes that must be there before devtmpfs is mounted: the kernel opens /dev/console for PID 1, and .NET reads
/// /dev/urandom before main (numbers: Documentation/admin-guide/devices.txt).</summary>
internal static class DeviceNodes
{
    public static readonly IReadOnlyList<(string Name, uint Major, uint Minor, int Mode)> Static =
    [
        ("console", 5, 1, 0x180), ("full", 1, 7, 0x1B6), ("kmsg", 1, 11, 0x1A4), ("null", 1, 3, 0x1B6),
        ("random", 1, 8, 0x1B6), ("tty", 5, 0, 0x1B6), ("urandom", 1, 9, 0x1B6), ("zero", 1, 5, 0x1B6),
    ];
}
