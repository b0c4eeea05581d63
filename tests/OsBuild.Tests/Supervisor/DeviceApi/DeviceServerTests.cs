using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Api;
using OsBuild.Supervisor.DeviceApi;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;
using Serilog;

namespace OsBuild.Tests.Supervisor.DeviceApi;

using OsBuild.Tests.Supervisor.Fleet;

/// <summary>The device API without an engine: who may ask what, in which form it answers.</summary>
public sealed class DeviceServerTests : IAsyncDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("device").FullName;
    private readonly Journal journal;
    private readonly Reconciler reconciler;
    private readonly DeviceKeys keys;
    private readonly HostPaths paths;
    private readonly List<bool> power = [];

    public DeviceServerTests()
    {
        paths = new(Path.Combine(root, "boot"), Path.Combine(root, "state"), Path.Combine(root, "data"), Path.Combine(root, "run"), Path.Combine(root, "no.sock"));
        journal = Journal.Open(new Places(paths).StateDirectory);
        reconciler = new(paths, journal, new History(Path.Combine(paths.Data, "supervisor")), new LoggerConfiguration().CreateLogger());
        keys = DeviceKeys.Open(new Places(paths).StateDirectory);
        var apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
        reconciler.Accept(new([GivenFleet.Read(apps).Releases[0], new() { App = "other", Ids = new(7, "other", 3), Services = new() { ["x"] = new() { Name = "x", Image = "i" } } }]), "a test");
    }

    public async ValueTask DisposeAsync()
    {
        await reconciler.DisposeAsync();
        journal.Dispose();
        Directory.Delete(root, recursive: true);
    }

    private DeviceServer Server(string config = "{}")
    {
        var read = FleetConfig.Parse(config, Assert.Fail);
        return new(new(paths, reconciler, read, keys, new LocalPush(paths, reconciler, read, keys) { Settings = FleetSettings.From(new Dictionary<string, string>(), read) }, null)
        {
            Power = reboot =>
            {
                power.Add(reboot);
                return null;
            },
        }, Serilog.Core.Logger.None);
    }

    private static async Task<(int Status, string Body)> AskAsync(DeviceServer server, string call, string? key, string body = "", string form = "Bearer ")
    {
        var (method, path) = (call.Split(' ')[0], call.Split(' ')[1]);
        var question = path.IndexOf('?');
        var query = question < 0 ? [] : path[(question + 1)..].Split('&').ToDictionary(p => p.Split('=')[0], p => p.Split('=')[1]);
        var headers = key is null ? new Dictionary<string, string>() : new() { ["authorization"] = form + key };
        var answer = await server.HandleAsync(new(method, question < 0 ? path : path[..question], query, headers, Encoding.UTF8.GetBytes(body)), CancellationToken.None);
        return (answer.Status, Encoding.UTF8.GetString(answer.Body));
    }

    public static readonly TheoryData<string> Calls = [
        "POST /v1/blink", "POST /v1/update", "POST /v1/reboot", "POST /v1/shutdown", "POST /v1/regenerate-api-key", "POST /v1/restart", "POST /v1/purge", "POST /v1/apps/1801/stop", "POST /v1/apps/1801/start", "GET /v1/apps/1801", "GET /v1/device", "GET /v1/device/host-config", "PATCH /v1/device/host-config",
        "POST /v2/applications/1801/restart-service", "POST /v2/applications/1801/stop-service", "POST /v2/applications/1801/start-service", "POST /v2/applications/1801/restart", "POST /v2/applications/1801/purge", "GET /v2/applications/state", "GET /v2/applications/1801/state", "GET /v2/state/status", "GET /v2/version",
        "GET /v2/containerId", "GET /v2/device/name", "GET /v2/device/tags", "PATCH /v2/device/tags", "GET /v2/device/vpn", "GET /v2/cleanup-volumes", "GET /v2/local/target-state", "POST /v2/local/target-state", "GET /v2/local/device-info", "GET /v2/local/logs", "POST /v2/journal-logs", "GET /nothing", "GET /"];

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Nobody_is_answered_without_a_key(string call)
    {
        var server = Server("""{"localMode":true}""");
        foreach (var key in (string?[])[null, "", "x", new string('0', 32), keys.ForService("unknown", "main")])
            Assert.Equal((401, """{"status":"failed","message":"Unauthorized"}"""), await AskAsync(server, call, key, "{}"));
        Assert.Empty(power);
    }

    [Theory]
    [InlineData("GET /ping", null)]
    [InlineData("GET /v1/healthy", null)]
    public async Task Only_life_signs_need_no_key(string call, string? key) => Assert.Equal((200, "OK"), await AskAsync(Server(), call, key));

    [Fact]
    public async Task The_key_may_come_in_any_of_its_forms()
    {
        var server = Server();
        Assert.Equal(200, (await AskAsync(server, "GET /v2/version", keys.Global)).Status);
        Assert.Equal(200, (await AskAsync(server, "GET /v2/version", keys.Global, form: "ApiKey ")).Status);
        Assert.Equal(200, (await AskAsync(server, $"GET /v2/version?apikey={keys.Global}", null)).Status);
        Assert.Equal(401, (await AskAsync(server, "GET /v2/version", keys.Global, form: "Basic ")).Status);
    }

    [Fact]
    public async Task Development_mode_is_open_and_has_to_be_asked_for()
    {
        Assert.Equal(200, (await AskAsync(Server("""{"developmentMode":true}"""), "GET /v2/version", null)).Status);
        Assert.Equal(401, (await AskAsync(Server("""{"localMode":true}"""), "GET /v2/version", null)).Status);
    }

    [Fact]
    public async Task A_service_reaches_its_own_app_only()
    {
        var server = Server();
        var key = keys.ForService(RecordedWalk.App, "main");
        Assert.Equal(200, (await AskAsync(server, "GET /v2/applications/1801/state", key)).Status);
        Assert.Equal((400, """{"status":"failed","message":"Application is not available"}"""), await AskAsync(server, "GET /v2/applications/7/state", key));
        Assert.Equal((400, """{"status":"failed","message":"There is no application with this appId"}"""), await AskAsync(server, "GET /v2/applications/8/state", key));
        Assert.Equal(["pumps"], JsonNode.Parse((await AskAsync(server, "GET /v2/applications/state", key)).Body)!.AsObject().Select(a => a.Key));
        Assert.Equal(["other", "pumps"], JsonNode.Parse((await AskAsync(server, "GET /v2/applications/state", keys.Global)).Body)!.AsObject().Select(a => a.Key).Order());
        foreach (var owners in (string[])["POST /v1/regenerate-api-key", "GET /v2/cleanup-volumes", "POST /v2/journal-logs", "GET /v2/local/target-state", "POST /v2/local/target-state", "GET /v2/local/logs"])
            Assert.Equal(404, (await AskAsync(server, owners, key, "{}")).Status);
    }

    [Fact]
    public async Task Answers_have_balenas_forms()
    {
        var server = Server("""{"deviceType":"generic-amd64"}""");
        Task<(int Status, string Body)> Ask(string call, string body = "") => AskAsync(server, call, keys.Global, body);
        Assert.Equal((200, """{"status":"success","version":"19.0.5"}"""), await Ask("GET /v2/version"));
        Assert.Equal((200, "OK"), await Ask("POST /v1/blink"));
        Assert.Equal((204, ""), await Ask("POST /v1/update", """{"force":true}"""));
        Assert.Equal((202, """{"Data":"OK","Error":null}"""), await Ask("POST /v1/reboot", """{"force":false}"""));
        Assert.Equal((202, """{"Data":"OK","Error":null}"""), await Ask("POST /v1/shutdown"));
        Assert.Equal([true, false], power);
        Assert.Contains("\"deviceType\":\"generic-amd64\"", (await Ask("GET /v2/local/device-info")).Body);
        Assert.Contains("\"vpn\":{\"enabled\":false", (await Ask("GET /v2/device/vpn")).Body);
        Assert.Equal(["api_port", "ip_address", "mac_address", "os_version", "supervisor_version", "status", "download_progress", "update_pending", "update_downloaded", "update_failed", "commit"], JsonNode.Parse((await Ask("GET /v1/device")).Body)!.AsObject().Select(f => f.Key));
        var app = JsonNode.Parse((await Ask("GET /v1/apps/1801")).Body)!;
        Assert.Equal((RecordedWalk.Commit, "pumps"), (app["commit"]!.ToString(), app["env"]!["BALENA_APP_NAME"]!.ToString()));
        Assert.Equal($$$$$"""{"local":{"1801":{"services":{"70077":{"status":"Downloading","releaseId":99,"download_progress":null}}}},"commit":"{{{{{RecordedWalk.Commit}}}}}"}""", (await Ask("GET /v2/applications/1801/state")).Body);
        Assert.Equal(503, (await Ask("GET /v2/device/tags")).Status);
        Assert.Equal(404, (await Ask("GET /v3/anything")).Status);
        Assert.Equal(400, (await Ask("POST /v1/restart", "{ not JSON")).Status);
        Assert.Equal(400, (await Ask("POST /v1/restart", "[]")).Status);
    }

    [Fact]
    public async Task A_service_is_stopped_until_it_is_started()
    {
        var server = Server();
        Assert.Equal(200, (await AskAsync(server, "POST /v2/applications/1801/stop-service", keys.Global, """{"appId":1801,"imageId":70077}""")).Status);
        Assert.Contains($"{RecordedWalk.App}/main", journal.Memory.Stopped);
        Assert.Equal(200, (await AskAsync(server, "POST /v2/applications/1801/start-service", keys.Global, """{"serviceName":"main"}""")).Status);
        Assert.Empty(journal.Memory.Stopped);
        Assert.Equal((400, """{"status":"failed","message":"There is no service with this name or imageId"}"""), await AskAsync(server, "POST /v2/applications/1801/stop-service", keys.Global, """{"serviceName":"nobody"}"""));
    }

    [Fact]
    public async Task A_new_device_key_replaces_the_old_one_and_leaves_the_services_alone()
    {
        var server = Server();
        var (before, service) = (keys.Global, keys.ForService(RecordedWalk.App, "main"));
        var (status, made) = await AskAsync(server, "POST /v1/regenerate-api-key", before);
        Assert.Equal(200, status);
        Assert.Equal(401, (await AskAsync(server, "GET /v2/version", before)).Status);
        Assert.Equal(200, (await AskAsync(server, "GET /v2/version", made)).Status);
        Assert.Equal(service, keys.ForService(RecordedWalk.App, "main"));
        Assert.Equal(made, DeviceKeys.Open(new Places(paths).StateDirectory).Global);
    }

    [Fact]
    public async Task A_push_is_taken_in_local_mode_only()
    {
        Assert.Equal((400, """{"status":"failed","message":"Target state can only set when device is in local mode"}"""), await PostAsync(Server(), LocalTests.Push()));
        var server = Server("""{"developmentMode":true}""");
        Assert.Equal((200, """{"status":"success","message":"OK"}"""), await PostAsync(server, LocalTests.Push()));
        Assert.Equal("localapp", journal.Memory.Target!.Apps.Single().App);
        // "applying" from before the answer on, although the engine has not even been asked.
        Assert.Contains("\"appState\":\"applying\"", (await AskAsync(server, "GET /v2/state/status", null)).Body);
        var state = JsonNode.Parse((await AskAsync(server, "GET /v2/local/target-state", null)).Body)!["state"]!;
        Assert.Equal("localapp", state["local"]!["apps"]!["1"]!["name"]!.ToString());
        // What it got it can send back as it is.
        Assert.Equal(200, (await PostAsync(server, Encoding.UTF8.GetBytes(state.ToJsonString()))).Status);
        Assert.Equal(400, (await PostAsync(server, "{}"u8.ToArray())).Status);

        async Task<(int Status, string Body)> PostAsync(DeviceServer to, byte[] push)
        {
            var answer = await to.HandleAsync(new("POST", "/v2/local/target-state", new Dictionary<string, string> { ["apikey"] = keys.Global }, new Dictionary<string, string>(), push), CancellationToken.None);
            return (answer.Status, Encoding.UTF8.GetString(answer.Body));
        }
    }

    [Fact]
    public void What_was_pushed_counts_again_after_a_restart_and_not_after_local_mode_ended()
    {
        var config = FleetConfig.Parse("""{"developmentMode":true}""", Assert.Fail);
        LocalPush Local(bool on) => new(paths, reconciler, config, keys) { Settings = FleetSettings.From(new Dictionary<string, string>(), config with { LocalMode = on }) };
        Local(on: true).Push(LocalTests.Push());
        reconciler.Accept(TargetState.Nothing, "another life");
        var again = Local(on: true);
        again.Resume();
        Assert.True(again.Active);
        Assert.Equal("localapp", journal.Memory.Target!.Apps.Single().App);
        var ended = Local(on: false);
        ended.Resume();
        Assert.False(ended.Active);
        var later = Local(on: true);
        later.Resume();
        Assert.False(later.Active);
    }

    [Fact]
    public void A_compose_file_is_not_taken_where_another_master_decides()
    {
        var compose = new ComposeWatch(paths, reconciler, new LoggerConfiguration().CreateLogger()) { Yields = () => true };
        var result = compose.HandOver(new("services: { web: { image: web } }", null, [], []));
        Assert.Null(result.Release);
        Assert.Contains("a fleet or a local push decides", result.Explain());
        Assert.DoesNotContain(journal.Memory.Target!.Apps, a => a.App == "app");
    }

    [Fact]
    public async Task Over_a_real_connection_bodies_have_a_limit_and_strangers_get_nothing()
    {
        using var stop = new CancellationTokenSource();
        using var probe = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        probe.Start();
        var port = ((System.Net.IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        var running = Server($$"""{"listenPort":{{port}}}""").RunAsync(stop.Token);
        using var http = new HttpClient();
        Assert.Equal("OK", await http.GetStringAsync($"http://127.0.0.1:{port}/ping"));
        Assert.Equal("""{"status":"success","version":"19.0.5"}""", await http.GetStringAsync($"http://127.0.0.1:{port}/v2/version?apikey={keys.Global}"));
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, (await http.GetAsync($"http://[::1]:{port}/v2/version")).StatusCode);
        using var client = new System.Net.Sockets.TcpClient("127.0.0.1", port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /v2/local/target-state?apikey={keys.Global} HTTP/1.1\r\nContent-Length: {(1 << 20) + 1}\r\n\r\n"));
        Assert.Matches("^HTTP/1.1 4(00|13) ", await new StreamReader(client.GetStream()).ReadLineAsync());
        // A stranger is answered on his head alone: not a byte of the body was sent, and none is waited for.
        using var stranger = new System.Net.Sockets.TcpClient("127.0.0.1", port);
        await stranger.GetStream().WriteAsync("POST /v2/local/target-state?apikey=wrong HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"u8.ToArray());
        Assert.StartsWith("HTTP/1.1 401 ", await new StreamReader(stranger.GetStream()).ReadLineAsync());
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task A_flood_of_requests_is_cut_and_a_life_sign_costs_nothing()
    {
        var server = Server();
        var answers = new List<int>();
        for (var i = 0; i < 300; i++) answers.Add((await AskAsync(server, "GET /v2/version", "wrong")).Status);
        Assert.InRange(answers.Count(s => s == 401), 20, 30);
        Assert.Contains(429, answers);
    }

    [Fact]
    public void The_limit_lets_a_burst_through_and_then_a_trickle()
    {
        var limit = new RateLimit(5, 2);
        Assert.Equal(5, Enumerable.Range(0, 20).Count(_ => limit.Allow(TimeSpan.Zero)));
        Assert.Equal(2, Enumerable.Range(0, 20).Count(_ => limit.Allow(TimeSpan.FromSeconds(1))));
        Assert.Equal(5, Enumerable.Range(0, 20).Count(_ => limit.Allow(TimeSpan.FromHours(1))));
    }

    [Fact]
    public void A_purge_that_was_cut_off_does_not_leave_its_services_stopped()
    {
        var mark = new PurgeMark(Path.Combine(root, "state", "purging"));
        mark.Set(["other/x"]);
        reconciler.Hold("other/x", true);
        reconciler.Hold("other/y", true);
        mark.Recover(reconciler);
        Assert.Equal(["other/y"], journal.Memory.Stopped);
        mark.Recover(reconciler);
    }
}
