using System.Text.Json;
using System.Text.RegularExpressions;
using OsBuild.OracleTests.Supervisor;

namespace OsBuild.SystemTests;

/// <summary>The founding idea on a whole board: the new container runs beside the old one, takes over, and a client that asks all the time notices nothing.</summary>
[Collection("machines")]
public sealed class HandOverTests(ITestOutputHelper output) : IDisposable
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(10);
    private readonly string _folder = Directory.CreateTempSubdirectory("osbuild-handover-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Twice a good release, then one that never becomes healthy: no request is lost, and the bad one is never seen.</summary>
    [Fact]
    public async Task The_demo_is_updated_by_hand_over_while_its_page_is_polled()
    {
        var disk = DemoDisk.Make(_folder, Compose("the first"));
        using var machine = Machine.Start("qemux86-64", disk.Path);
        var device = RemoteDevice.In(machine);
        machine.WaitForPage("/cgi-bin/index.cgi", Long);
        device.Until("the first release is good", s => RemoteDevice.Release(s) == "good");

        await using (var client = new Hammer(machine.Port, "/cgi-bin/index.cgi", page => Regex.Match(page, "<h1>(.*?)</h1>").Groups[1].Value))
        {
            foreach (var greeting in (string[])["the second", "the third"])
            {
                Apply(device, Compose(greeting));
                device.Until($"{greeting} has taken over and is good", s => client.Sequence is [.., var last] && last == greeting && Settled(s, "good"));
            }

            Apply(device, Compose("the bad one").Replace("wget, -q", "wget, --nonsense", StringComparison.Ordinal));
            device.Until("the bad one was taken back", s => Settled(s, "bad"));
            await client.UntilAnswersAsync();
            output.WriteLine($"{client.Lost} of {client.Requests} requests lost, longest gap {client.LongestGap.TotalSeconds:0.0} s; pages: {string.Join(", ", client.Sequence)}");
            output.WriteLine(machine.WaitFor(@"^\[osbuild\] \+[\d.]+s memory: .*", Long).Value);
            Assert.Equal(["the first", "the second", "the third"], client.Sequence);
            Assert.Equal(0, client.Lost);
        }

        // From afar, minutes after the boot: what listens to the worker must not have been collected.
        device.Ask("poweroff").MustPass("supervisor poweroff");
        machine.WaitFor(@"^\[osbuild\] \+[\d.]+s clean shutdown: SIGUSR2", Long);
        machine.WaitForEnd(TimeSpan.FromMinutes(2));
        disk.MustBeClean();
    }

    private static string Compose(string greeting) => $$"""
        name: demo
        services:
          clock:
            image: demo-clock:1
            restart: unless-stopped
            stop_grace_period: 2s
            volumes: ["shared:/data"]
          web:
            image: demo-web:1
            restart: unless-stopped
            stop_grace_period: 2s
            ports: ["80:8080"]
            environment: { GREETING: {{greeting}} }
            volumes: ["shared:/data:ro"]
            labels: { io.osbuild.update.strategy: start-first, io.osbuild.update.proving-time: 10s, io.osbuild.update.handover-timeout: 120s }
            healthcheck: { test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/cgi-bin/index.cgi"], interval: 5s, timeout: 30s, retries: 3 }
        volumes:
          shared: {}
        """;

    private void Apply(RemoteDevice device, string compose)
    {
        var file = Path.Combine(_folder, "next.yaml");
        File.WriteAllText(file, compose);
        device.Ask("apply", file).MustPass("supervisor apply");
    }

    private static bool Settled(JsonElement status, string release) => RemoteDevice.Release(status) == release && RemoteDevice.Containers(status) == 2;
}
