using OsBuild.Supervisor.Metrics;

namespace OsBuild.Tests.Supervisor.Metrics;

public sealed class MetricsTests
{
    [Fact]
    public void Reads_processor_time_without_idle_and_wait()
    {
        var (seconds, processors) = KernelText.Cpu("cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 50 10 15 2000 250 3 3 4 45 5\ncpu1 50 10 15 2000 250 3 4 4 45 5\nintr 1 2 3\n");
        Assert.Equal((1.71, 2), (Math.Round(seconds, 4), processors));
        Assert.Equal((0.0, 1), KernelText.Cpu(""));
    }

    [Fact]
    public void Reads_memory_that_is_really_used() =>
        Assert.Equal((1_024_000L, 614_400L), KernelText.Memory("MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n"));

    [Fact]
    public void Counts_the_hosts_own_interfaces_only()
    {
        const string text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo:     500       1    0    0    0     0          0         0      500       1    0    0    0     0       0          0
              eth0: 1234567    1000    0    0    0     0          0         0   765432     900    0    0    0     0       0          0
            docker0:      1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
            vethab12:     1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
            br-0123:      1       1    0    0    0     0          0         0        1       1    0    0    0     0       0          0
             wlan0:      10       1    0    0    0     0          0         0       20       1    0    0    0     0       0          0
            """;
        Assert.Equal([new("eth0", 1234567, 765432), new("wlan0", 10, 20)], KernelText.Networks(text));
    }

    [Theory]
    [InlineData("12345.67 9999.99\n", 12345.67)]
    [InlineData("0.52 0.58 0.59 1/467 12345\n", 0.52)]
    [InlineData("48312\n", 48312)]
    [InlineData("", 0)]
    public void Reads_the_first_number(string text, double value) => Assert.Equal(value, KernelText.First(text));

    [Fact]
    public void The_kernel_here_tells_what_is_asked()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        var sample = HostReader.Read([("root", "/"), ("nowhere", "/no/such/place")], new([new("cpu", 41)], false));
        Assert.True(sample is { Seconds: > 0, CpuSeconds: > 0, Processors: > 0, MemoryTotal: > 0, MemoryUsed: > 0 });
        Assert.True(sample.MemoryUsed < sample.MemoryTotal);
        Assert.Equal("root", Assert.Single(sample.Disks).Name);
        Assert.Equal((new("cpu", 41), false), (Assert.Single(sample.Temperatures), sample.Undervolted));
    }

    [Fact]
    public void Is_text_that_prometheus_reads()
    {
        var sample = new Sample("now", new(10.5, 3.25, 4, 0.5, 1000, 400, [new("data", 100, 40)], [new("cpu \"big\"\\\n", 48.3)], [new("eth0", 7, 8)]),
            [new("shop", "web", "shop-web", true, "healthy", 1, 1.5, 2048, 10, 20), new("shop", "job", "shop-job", false, "", 3, 0, 0, 0, 0)], 12345);
        var text = Prometheus.Text(sample);
        foreach (var line in (string[])[
            "osbuild_host_uptime_seconds 10.5", "osbuild_host_cpu_seconds_total 3.25", "osbuild_host_memory_bytes{kind=\"used\"} 400", "osbuild_host_disk_bytes{partition=\"data\",kind=\"total\"} 100",
            "osbuild_host_temperature_celsius{sensor=\"cpu \\\"big\\\"\\\\\\n\"} 48.3", "osbuild_host_network_bytes_total{interface=\"eth0\",direction=\"sent\"} 8", "osbuild_supervisor_memory_bytes 12345",
            "osbuild_service_up{app=\"shop\",service=\"web\",container=\"shop-web\"} 1", "osbuild_service_up{app=\"shop\",service=\"job\",container=\"shop-job\"} 0", "osbuild_service_healthy{app=\"shop\",service=\"web\",container=\"shop-web\"} 1",
            "osbuild_service_starts_total{app=\"shop\",service=\"job\",container=\"shop-job\"} 3", "osbuild_service_cpu_seconds_total{app=\"shop\",service=\"web\",container=\"shop-web\"} 1.5", "osbuild_service_network_bytes_total{app=\"shop\",service=\"web\",container=\"shop-web\",direction=\"received\"} 10"])
            Assert.Contains("\n" + line + "\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("osbuild_service_memory_bytes{app=\"shop\",service=\"job\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("osbuild_service_healthy{app=\"shop\",service=\"job\"", text, StringComparison.Ordinal);

        // Every family has help and type before its first value, and only once.
        var names = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l.StartsWith("# TYPE", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]).ToList();
        Assert.Equal(names.Distinct(), names);
        Assert.All(text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l[0] != '#'), l => Assert.Contains(l.Split('{', ' ')[0], names));
    }
}
