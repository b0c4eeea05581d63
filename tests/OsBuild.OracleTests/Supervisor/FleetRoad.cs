using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Tests.Supervisor.Fleet;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The whole road of a fleet: a server that behaves as the recorded one, a registry that wants the device's own key, a real engine.</summary>
[Collection("engine")]
public sealed class FleetRoad(EngineFixture fixture, ITestOutputHelper output)
{
    private const string App = "82ef179d618c4deca90e76ab4e862e60";

    /// <summary>Asks the device API from inside, by the address and with the key it was given, and serves what it heard.</summary>
    private static readonly string[] Serve = ["/bin/sh", "-c", "echo hello from $BALENA_SERVICE_NAME $VERSION; wget -q -O /www/api.json \\\"$BALENA_SUPERVISOR_ADDRESS/v2/applications/1801/state?apikey=$BALENA_SUPERVISOR_API_KEY\\\"; exec httpd -f -p 8080 -h /www"];

    private static JsonObject Apps(string commit, long release, string image, int port, string version) => new()
    {
        [App] = new JsonObject
        {
            ["id"] = 1801,
            ["name"] = "pumps",
            ["is_host"] = false,
            ["class"] = "fleet",
            ["releases"] = new JsonObject
            {
                [commit] = new JsonObject
                {
                    ["id"] = release,
                    ["services"] = new JsonObject
                    {
                        ["main"] = new JsonObject
                        {
                            ["id"] = 501,
                            ["image_id"] = 70000 + release,
                            ["image"] = image,
                            ["environment"] = new JsonObject { ["VERSION"] = version },
                            ["labels"] = new JsonObject { ["io.balena.features.supervisor-api"] = "1" },
                            ["composition"] = new JsonObject { ["image"] = null, ["restart"] = "always", ["tty"] = false, ["ports"] = new JsonArray($"{port}:8080"), ["volumes"] = new JsonArray("data:/data"), ["stop_grace_period"] = "1s" },
                        },
                    },
                    ["networks"] = new JsonObject(),
                    ["volumes"] = new JsonObject { ["data"] = new JsonObject() },
                },
            },
        },
    };

    private static async Task UntilAsync(Device device, FleetServer fleet, string what, Func<bool> condition, int seconds = 180)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed.TotalSeconds > seconds) Assert.Fail($"not within {seconds} s: {what}\n{string.Join('\n', device.Lines.TakeLast(60))}\n{string.Join('\n', fleet.Requests.TakeLast(20))}");
            await Task.Delay(50);
        }
    }

    [Fact]
    public async Task A_device_registers_runs_updates_and_reports()
    {
        await using var device = await Device.NewAsync(fixture);
        device.App = App;
        await using var fleet = new FleetServer();
        await using var registry = await RegistryServer.StartAsync(Path.Combine(device.Root, "registry"), fleet);
        var (port, api) = (Device.FreePort(), Device.FreePort());
        var first = await registry.PushAsync(device.Engine, "aaaa", TestImages.Archive("push-aaaa:1", new() { ["www/index.html"] = "one\n" }, Serve));
        var second = await registry.PushAsync(device.Engine, "bbbb", TestImages.Archive("push-bbbb:1", new() { ["www/index.html"] = "two\n" }, Serve));
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "config.json"), $$"""{"apiEndpoint":"{{fleet.Endpoint}}","apiKey":"{{fleet.ProvisioningKey}}","applicationId":1,"deviceType":"generic-amd64","registryEndpoint":"{{registry.Host}}","listenPort":{{api}}}""");
        device.Start();
        await UntilAsync(device, fleet, "registered", () => fleet.Devices.Count == 1 && fleet.Requests.Any(r => r.Path.EndsWith("/state") && r.Status == 200));
        var (uuid, known) = fleet.Devices.Single();
        using var http = new HttpClient();

        // It asks for deltas, of which there are none: the images come whole.
        known.Config["BALENA_SUPERVISOR_DELTA"] = "1";
        known.Apps = Apps("c0ffee01", 1, first, port, "1");
        await UntilAsync(device, fleet, "the device API's key reported", () => known.Reported.ContainsKey("api_secret"));
        Task<HttpResponseMessage> Ask(HttpMethod method, string path, string body = "{}") => http.SendAsync(new(method, $"http://127.0.0.1:{api}{path}?apikey={known.Reported["api_secret"]}") { Content = method == HttpMethod.Get ? null : new StringContent(body, Encoding.UTF8, "application/json") });
        // As the fleet does through its tunnel when something changed.
        Assert.Equal(HttpStatusCode.NoContent, (await Ask(HttpMethod.Post, "/v1/update")).StatusCode);
        await UntilAsync(device, fleet, "the first release reported as running", () => Reported(known, "c0ffee01") == "done Running");
        Assert.Equal("one\n", await PageAsync(http, port));
        var container = Assert.Single(await device.ContainersAsync());
        Assert.Equal("/main_70001_1_c0ffee01", container.Names.Single());
        // It reached the device API from inside with its own key.
        Assert.Contains("\"70001\":{\"status\":", await PageAsync(http, port, "api.json"));
        // The registry gave the image to the device, and to nobody else.
        Assert.Contains(fleet.Requests, r => r.Path == "/auth/v1/token" && r.Authorization == "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"d_{uuid}:{known.Key}")) && r.Status == 200);
        await UntilAsync(device, fleet, "the service's line in the fleet's log", () => known.Logs.Any(l => l["message"]!.ToString() == "hello from main 1" && l["serviceId"]!.GetValue<int>() == 501));

        // A lock keeps the update waiting, and is said.
        var shared = Path.Combine(device.Paths.Run, "services", App, "main");
        await File.WriteAllTextAsync(Path.Combine(shared, "updates.lock"), "");
        known.Apps = Apps("c0ffee02", 2, second, port, "2");
        Assert.Equal(HttpStatusCode.NoContent, (await Ask(HttpMethod.Post, "/v1/update")).StatusCode);
        await UntilAsync(device, fleet, "the second release downloaded", () => Reported(known, "c0ffee02").StartsWith("downloaded"));
        Assert.Equal((HttpStatusCode)423, (await Ask(HttpMethod.Post, "/v2/applications/1801/restart-service", """{"serviceName":"main"}""")).StatusCode);
        Assert.Equal((HttpStatusCode)423, (await Ask(HttpMethod.Post, "/v1/reboot")).StatusCode);
        // By force it comes as far as PID 1, which this host has of its own.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await Ask(HttpMethod.Post, "/v1/reboot", """{"force":true}""")).StatusCode);
        Assert.Equal("one\n", await PageAsync(http, port));
        File.Delete(Path.Combine(shared, "updates.lock"));
        await UntilAsync(device, fleet, "the second release reported as running", () => Reported(known, "c0ffee02") == "done Running");
        Assert.Equal("two\n", await PageAsync(http, port));
        Assert.Contains(device.Lines, l => l.Contains("the fleet asks for deltas"));
        Assert.DoesNotContain(fleet.Requests, r => r.Path.Contains("delta"));
        Assert.Equal("c0ffee02", known.Reported["apps"]![App]!["release_uuid"]!.ToString());

        // The same images under another commit: nothing restarts, the container only gets another name.
        var running = (await device.ContainersAsync()).Single(c => c.State == "running").ID;
        known.Apps = Apps("c0ffee03", 3, second, port, "2");
        await Ask(HttpMethod.Post, "/v1/update");
        await UntilAsync(device, fleet, "the third release reported as running", () => Reported(known, "c0ffee03") == "done Running");
        await device.UntilAsync("renamed", _ => device.ContainersAsync().Result.Any(c => c.ID == running && c.Names.Single() == "/main_70003_3_c0ffee03"));

        // Asked through the API: another container start, the volume emptied.
        Assert.Equal(HttpStatusCode.OK, (await Ask(HttpMethod.Post, "/v1/purge", """{"appId":1801}""")).StatusCode);
        await device.UntilAsync("runs again after the purge", s => s.Services is [{ State: "running" }] && !device.ContainersAsync().Result.Exists(c => c.ID == running));
        output.WriteLine($"{fleet.Requests.Count} requests, {known.Logs.Count} log lines, reports: {fleet.Requests.Count(r => r.Method == "PATCH")}");
    }

    [Fact]
    public async Task Lines_written_while_the_fleet_was_away_arrive_afterwards_once_and_in_order()
    {
        await using var device = await Device.NewAsync(fixture);
        device.App = App;
        await using var fleet = new FleetServer();
        var away = false;
        fleet.Fault = (_, path) => away && path.EndsWith("/log-stream") ? (503, "") : null;
        await device.LoadAsync(TestImages.Archive("ticks:1", command: ["/bin/sh", "-c", "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.1; done"]));
        await File.WriteAllTextAsync(Path.Combine(device.Paths.Boot, "config.json"), $$"""{"apiEndpoint":"{{fleet.Endpoint}}","apiKey":"{{fleet.ProvisioningKey}}","applicationId":1,"deviceType":"generic-amd64","listenPort":{{Device.FreePort()}}}""");
        away = true;
        device.Start();
        await UntilAsync(device, fleet, "registered", () => fleet.Devices.Count == 1);
        var known = fleet.Devices.Values.Single();
        known.Apps = Apps("c0ffee01", 1, "ticks:1", Device.FreePort(), "1");
        await UntilAsync(device, fleet, "running", () => Reported(known, "c0ffee01") == "done Running");
        await UntilAsync(device, fleet, "two refused tries", () => fleet.Requests.Count(r => r.Path.EndsWith("/log-stream") && r.Status == 503) >= 2);
        away = false;
        await UntilAsync(device, fleet, "lines", () => Ticks(known).Count > 100);
        Assert.Equal(Enumerable.Range(1, 100), Ticks(known).Take(100));
    }

    private static List<int> Ticks(FleetServer.Device device) => [.. device.Logs.Select(l => l["message"]!.ToString()).Where(m => m.StartsWith("tick ")).Select(m => int.Parse(m[5..]))];

    /// <summary>A container that runs does not serve yet: its first answer is waited for.</summary>
    private static async Task<string> PageAsync(HttpClient http, int port, string path = "")
    {
        for (var i = 0; ; i++)
        {
            try
            {
                return await http.GetStringAsync($"http://127.0.0.1:{port}/{path}");
            }
            catch (HttpRequestException) when (i < 100)
            {
                await Task.Delay(100);
            }
        }
    }

    private static string Reported(FleetServer.Device device, string commit)
    {
        lock (device.Reported)
        {
            var release = device.Reported["apps"]?[App]?["releases"]?[commit];
            return release is null ? "" : $"{release["update_status"]} {release["services"]?["main"]?["status"]}";
        }
    }
}
