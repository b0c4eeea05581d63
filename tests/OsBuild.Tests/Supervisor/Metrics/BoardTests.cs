using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Metrics;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Tests.Supervisor.Metrics;

/// <summary>Supply voltage and heat: from sysfs to status, metrics and the fleet. The trees are as a Raspberry Pi 4 (kernel 6.6) and a PC show them.</summary>
public sealed class BoardTests : IDisposable
{
    private readonly string sys = Directory.CreateTempSubdirectory("osb-sys-").FullName;

    public void Dispose() => Directory.Delete(sys, recursive: true);

    private void Put(string file, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(sys, file))!);
        File.WriteAllText(Path.Combine(sys, file), text + "\n");
    }

    private void RaspberryPi(int milli = 48312, int alarm = 0)
    {
        Put("class/thermal/thermal_zone0/type", "cpu-thermal");
        Put("class/thermal/thermal_zone0/temp", $"{milli}");
        Put("class/thermal/thermal_zone0/trip_point_0_type", "critical");
        Put("class/thermal/thermal_zone0/trip_point_0_temp", "110000");
        Put("class/thermal/thermal_zone0/trip_point_1_type", "passive");
        Put("class/thermal/thermal_zone0/trip_point_1_temp", "80000");
        Put("class/hwmon/hwmon1/name", "rpi_volt");
        Put("class/hwmon/hwmon1/in0_lcrit_alarm", $"{alarm}");
    }

    [Fact]
    public void S96_Reads_zones_with_their_limits_and_the_alarm_of_the_supply()
    {
        RaspberryPi();
        Put("class/hwmon/hwmon0/name", "cpu_thermal");
        Put("class/thermal/thermal_zone1/type", "asleep");
        Put("class/thermal/cooling_device0/type", "fan");
        var sample = BoardSensors.Read(sys);
        Assert.Equal([new("cpu-thermal", 48.312, 80, 110)], sample.Temperatures);
        Assert.False(sample.Undervolted);
        RaspberryPi(alarm: 1);
        Assert.True(BoardSensors.Read(sys).Undervolted);
    }

    [Fact]
    public void S96_A_board_without_sensors_has_no_readings()
    {
        Assert.Equal((0, null), (BoardSensors.Read(sys).Temperatures.Count, BoardSensors.Read(sys).Undervolted));
        Put("class/thermal/thermal_zone0/type", "acpitz");
        Put("class/thermal/thermal_zone0/temp", "27800");
        Put("class/thermal/thermal_zone0/trip_point_0_type", "active");
        Put("class/thermal/thermal_zone0/trip_point_0_temp", "0");
        Assert.Equal([new("acpitz", 27.8)], BoardSensors.Read(sys).Temperatures);
    }

    [Theory]
    [InlineData(79.9, null)]
    [InlineData(80, "cpu-thermal is above 80 °C, where the board slows down: cool it")]
    [InlineData(110.5, "cpu-thermal is above 110 °C, where the board switches itself off: cool it")]
    public void S96_Heat_is_told_from_the_board_s_own_limits(double celsius, string? text) =>
        Assert.Equal(text, new BoardWarnings().After(new([new("other", 90), new("cpu-thermal", celsius, 80, 110)], null), TimeSpan.Zero).Heat);

    [Fact]
    public void S96_A_warning_outlasts_its_cause_by_minutes_and_not_for_ever()
    {
        BoardSample Volts(bool? low) => new([], low);
        var now = TimeSpan.FromHours(1);
        var warnings = new BoardWarnings().After(Volts(true), now);
        Assert.Contains("supply voltage is too low", warnings.Power);
        warnings = warnings.After(Volts(false), now + TimeSpan.FromMinutes(4));
        Assert.NotNull(warnings.Power);
        Assert.True(warnings.Undervolted);
        warnings = warnings.After(Volts(false), now + TimeSpan.FromMinutes(5));
        Assert.Null(warnings.Power);
        Assert.False(warnings.Undervolted);
        Assert.Null(warnings.After(Volts(null), now).Undervolted);
    }

    [Fact]
    public async Task S96_The_status_has_it_and_the_fleet_hears_of_it()
    {
        var paths = new HostPaths(sys, Path.Combine(sys, "state"), Path.Combine(sys, "data"), Path.Combine(sys, "run"), Path.Combine(sys, "no.sock"));
        using var journal = Journal.Open(Path.Combine(sys, "state"));
        await using var reconciler = new Reconciler(paths, journal, new History(Path.Combine(sys, "history")), new LoggerConfiguration().CreateLogger());
        var watch = new BoardWatch(reconciler, sys);
        RaspberryPi(85_000, alarm: 1);
        Assert.Empty(watch.Last.Temperatures);
        watch.Look();
        Assert.Equal((85, true), (watch.Last.Temperatures[0].Celsius, watch.Last.Undervolted));
        Assert.Contains("use a stronger power supply", reconciler.CurrentProblems()["power"]);
        Assert.Contains("slows down", reconciler.CurrentProblems()["temperature"]);
        var report = new JsonObject();
        (new HostMetrics(1, 85, 1, 2, 1, 2, "", null) { Undervolted = watch.Now.Undervolted }).AddTo(report);
        Assert.True(report["is_undervolted"]!.GetValue<bool>());
        // Power is told at once; only the readings that move all the time are told rarely.
        Assert.Equal(TimeSpan.FromSeconds(10), (new Reporting { LastTry = TimeSpan.Zero }).Due(new() { ["is_undervolted"] = true, ["cpu_temp"] = 85 }, TimeSpan.FromMinutes(15)));
    }

    [Fact]
    public void S96_Prometheus_has_the_limits_and_the_alarm()
    {
        var host = new HostSample(1, 1, 1, 0, 1, 1, [], [new("cpu-thermal", 85, 80, 110), new("nvme", 40)], []);
        var text = Prometheus.Text(new("now", host with { Undervolted = true }, [], 1));
        foreach (var line in (string[])["osbuild_host_undervolted 1", "osbuild_host_temperature_limit_celsius{sensor=\"cpu-thermal\",limit=\"slow\"} 80", "osbuild_host_temperature_limit_celsius{sensor=\"cpu-thermal\",limit=\"end\"} 110"])
            Assert.Contains("\n" + line + "\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("sensor=\"nvme\",limit", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\nosbuild_host_undervolted ", Prometheus.Text(new("now", host, [], 1)), StringComparison.Ordinal);
    }
}
