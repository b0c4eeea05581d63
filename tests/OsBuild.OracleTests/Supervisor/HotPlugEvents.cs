using System.Collections.Concurrent;
using OsBuild.Supervisor.Init;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The running kernel announces a device again when its uevent file is told to: what a device that is plugged in looks like.</summary>
public sealed class HotPlugEvents
{
    [Fact]
    public async Task S95_The_kernel_s_own_event_asks_for_the_driver_of_the_device()
    {
        if (!Judge.IsRoot) Assert.Skip("writing to a uevent file needs root");
        var device = Directory.EnumerateDirectories("/sys/bus").SelectMany(bus => Directory.EnumerateDirectories(Path.Combine(bus, "devices"))).FirstOrDefault(d => File.Exists(Path.Combine(d, "modalias")) && File.Exists(Path.Combine(d, "uevent")) && File.ReadAllText(Path.Combine(d, "uevent")).Contains("MODALIAS="));
        if (device is null) Assert.Skip("this machine has no device with a modalias");
        var asked = new ConcurrentQueue<string>();
        using var stop = new CancellationTokenSource();
        var listening = new HotPlug(asked.Enqueue).RunAsync(stop.Token);
        var alias = (await File.ReadAllTextAsync(Path.Combine(device, "modalias"))).Trim();
        for (var i = 0; i < 200 && !asked.Contains(alias); i++)
        {
            await File.WriteAllTextAsync(Path.Combine(device, "uevent"), "add");
            await Task.Delay(50);
            if (listening.IsFaulted) await listening;
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => listening);
        Assert.Single(asked, alias);
    }
}
