using System.Globalization;
using System.Text;

namespace OsBuild.Supervisor.Metrics;

/// <summary>A sample in Prometheus' text format (version 0.0.4). Pure.</summary>
internal static class Prometheus
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    public static string Text(Sample sample)
    {
        var text = new StringBuilder();
        var host = sample.Host;
        Family("osbuild_host_uptime_seconds", "gauge", "Seconds since the kernel started.", [("", host.Seconds)]);
        Family("osbuild_host_cpu_seconds_total", "counter", "Processor time used, over all processors.", [("", host.CpuSeconds)]);
        Family("osbuild_host_processors", "gauge", "Number of processors.", [("", host.Processors)]);
        Family("osbuild_host_load1", "gauge", "Load average of one minute.", [("", host.Load)]);
        Family("osbuild_host_memory_bytes", "gauge", "Memory in all and used.", [(Labels(("kind", "total")), host.MemoryTotal), (Labels(("kind", "used")), host.MemoryUsed)]);
        Family("osbuild_host_disk_bytes", "gauge", "Space of a partition in all and used.", host.Disks.SelectMany(d => ((string, double)[])[(Labels(("partition", d.Name), ("kind", "total")), d.Total), (Labels(("partition", d.Name), ("kind", "used")), d.Used)]));
        Family("osbuild_host_temperature_celsius", "gauge", "What a temperature sensor of the board says.", host.Temperatures.Select(t => (Labels(("sensor", t.Name)), t.Celsius)));
        Family("osbuild_host_temperature_limit_celsius", "gauge", "Where the board slows down (slow) or switches itself off (end).", host.Temperatures.SelectMany(t => ((string Kind, double? At)[])[("slow", t.SlowsAt), ("end", t.EndsAt)], (t, l) => (Labels(("sensor", t.Name), ("limit", l.Kind)), l.At)).Where(l => l.At is not null).Select(l => (l.Item1, l.At!.Value)));
        Family("osbuild_host_undervolted", "gauge", "1 while the supply voltage is too low; only of boards with a sensor.", host.Undervolted is { } low ? [("", low ? 1.0 : 0)] : []);
        Family("osbuild_host_network_bytes_total", "counter", "Bytes over a network interface.", host.Networks.SelectMany(n => ((string, double)[])[(Labels(("interface", n.Name), ("direction", "received")), n.Received), (Labels(("interface", n.Name), ("direction", "sent")), n.Sent)]));
        Family("osbuild_supervisor_memory_bytes", "gauge", "Resident memory of the supervisor's worker.", [("", sample.SupervisorMemory)]);
        Services("osbuild_service_up", "gauge", "1 while the container runs.", s => s.Up ? 1 : 0);
        Services("osbuild_service_healthy", "gauge", "1 while the container is healthy; only of services with a health check.", s => s.Health.Length == 0 ? null : s.Health == "healthy" ? 1 : 0);
        Services("osbuild_service_starts_total", "counter", "Starts since the container was made or was last stopped on purpose.", s => s.Starts);
        Services("osbuild_service_cpu_seconds_total", "counter", "Processor time of the container.", s => s.Up ? s.CpuSeconds : null);
        Services("osbuild_service_memory_bytes", "gauge", "Memory of the container without its page cache.", s => s.Up ? s.Memory : null);
        Family("osbuild_service_network_bytes_total", "counter", "Bytes over the container's own network.", sample.Services.Where(s => s.Up).SelectMany(s => ((string, double)[])[(Of(s, ("direction", "received")), s.Received), (Of(s, ("direction", "sent")), s.Sent)]));
        return text.ToString();

        void Services(string name, string kind, string help, Func<ServiceSample, double?> value) =>
            Family(name, kind, help, sample.Services.Select(s => (Of(s), value(s))).Where(v => v.Item2 is not null).Select(v => (v.Item1, v.Item2!.Value)));

        void Family(string name, string kind, string help, IEnumerable<(string Labels, double Value)> values)
        {
            text.Append($"# HELP {name} {help}\n# TYPE {name} {kind}\n");
            foreach (var (labels, value) in values) text.Append(name).Append(labels).Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
        }
    }

    private static string Of(ServiceSample s, params (string, string)[] more) => Labels([("app", s.App), ("service", s.Service), ("container", s.Container), .. more]);

    private static string Labels(params (string Name, string Value)[] labels) => "{" + string.Join(',', labels.Select(l => $"{l.Name}=\"{l.Value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\"")) + "}";
}
