using System.Globalization;
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
        var disk = new DiskFile(Image());
        using var machine = Machine.Start("qemux86-64", disk.Path);
        var key = machine.WaitFor(@"page: port 8008, key ([\w-]+)", Long).Groups[1].Value;
        var device = new[] { "--to", machine.Forward(8008), "--key", key };
        machine.WaitForPage("/cgi-bin/index.cgi", Long);
        Until("the first release is good", () => Status(device).Contains("\"state\":\"good\"", StringComparison.Ordinal));

        await using (var client = new Hammer(machine.Port, "/cgi-bin/index.cgi", page => Regex.Match(page, "<h1>(.*?)</h1>").Groups[1].Value))
        {
            foreach (var greeting in (string[])["the second", "the third"])
            {
                Apply(device, Compose(greeting));
                Until($"{greeting} has taken over and is good", () => client.Sequence is [.., var last] && last == greeting && Status(device) is var s && s.Contains("\"state\":\"good\"", StringComparison.Ordinal) && Containers(s) == 2);
            }

            Apply(device, Compose("the bad one").Replace("wget, -q", "wget, --nonsense", StringComparison.Ordinal));
            Until("the bad one was taken back", () => Status(device) is var s && s.Contains("\"state\":\"bad\"", StringComparison.Ordinal) && Containers(s) == 2);
            await client.UntilAnswersAsync();
            output.WriteLine($"{client.Lost} of {client.Requests} requests lost, longest gap {client.LongestGap.TotalSeconds:0.0} s; pages: {string.Join(", ", client.Sequence)}");
            output.WriteLine(machine.WaitFor(@"^\[osbuild\] \+[\d.]+s memory: .*", Long).Value);
            Assert.Equal(["the first", "the second", "the third"], client.Sequence);
            Assert.Equal(0, client.Lost);
        }

        machine.PowerOff();
        disk.MustBeClean();
    }

    /// <summary>The demo's image with another compose file, on a disk of 4 GiB.</summary>
    private string Image()
    {
        Checkout.Image("qemux86-64"); // makes what this one is built from
        var (compose, images) = (Path.Combine(_folder, "compose.yaml"), Path.Combine(_folder, "images"));
        File.WriteAllText(compose, Compose("the first"));
        Judge.Run(TimeSpan.FromMinutes(5), Checkout.Program("image-builder"), "build", "qemux86-64", "--deploy", Path.Combine(Checkout.Work, "deploy/qemux86-64"), "--output", images,
            "--image", "osbuild-reference", "--supervisor", Checkout.Program("supervisor"), "--compose", compose, "--load", Path.Combine(Checkout.Work, "demo/amd64/demo.tar")).MustPass("image-builder build");
        var disk = Directory.EnumerateFiles(images, "*.img").Single();
        using (var file = File.OpenWrite(disk)) file.SetLength(4L << 30);
        return disk;
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

    private void Apply(string[] device, string compose)
    {
        var file = Path.Combine(_folder, "next.yaml");
        File.WriteAllText(file, compose);
        Judge.Run(TimeSpan.FromMinutes(2), Checkout.Program("supervisor"), ["apply", file, .. device]).MustPass("supervisor apply");
    }

    private static string Status(string[] device) => Judge.Run(TimeSpan.FromMinutes(2), Checkout.Program("supervisor"), ["status", "--json", .. device]).MustPass("supervisor status").Output;

    private static int Containers(string status) => Regex.Count(status, "\"container\":");

    private static void Until(string what, Func<bool> condition)
    {
        var deadline = DateTime.UtcNow + Long;
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < deadline, $"not within {Long}: {what}");
            Thread.Sleep(1000);
        }
    }
}
