using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>The calls themselves, over real connections to a server that behaves as the recorded fleet does.</summary>
public sealed class ClientTests : IAsyncDisposable
{
    private readonly FleetServer server = new();
    private readonly FleetConfig config;
    private readonly FleetApi api;
    private readonly FleetIdentity identity = new("f", 1, RecordedWalk.Uuid, "b1d3cf6cb1784b55c9459ebea661318b", Registered: false);

    public ClientTests()
    {
        config = FleetConfig.Parse($$"""{"apiEndpoint":"{{server.Endpoint}}","apiKey":"{{server.ProvisioningKey}}","applicationId":1,"userId":2,"deviceType":"generic-amd64"}""", Assert.Fail);
        api = new(config.ApiEndpoint!, null);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        api.Dispose();
        await server.DisposeAsync();
    }

    private Task<ApiAnswer?> ProvisionAsync(FleetIdentity who, FleetConfig? with = null) => Provisioning.TryAsync(api, who, with ?? config, GivenFleet.Facts, "02:00:00:00:00:01", Stop);

    [Fact]
    public async Task Registers_with_the_body_of_the_recorded_call()
    {
        Assert.Null(await ProvisionAsync(identity));
        var sent = server.Requests.Single();
        var recorded = RecordedWalk.Call("device register");
        Assert.Equal(recorded.Path, sent.Path + sent.Query);
        Assert.Equal(JsonNode.Parse(recorded.Body!)!.AsObject().Select(f => f.Key).Except(["os_variant"]).Order(), JsonNode.Parse(sent.Body)!.AsObject().Select(f => f.Key).Order());
        Assert.Equal(recorded.Status, sent.Status);
        Assert.Equal(identity.DeviceKey, server.Devices[identity.Uuid].Key);
    }

    [Fact]
    public async Task A_power_cut_right_after_the_registration_costs_nothing()
    {
        Assert.Null(await ProvisionAsync(identity));
        Assert.Null(await ProvisionAsync(identity));
        Assert.Equal(["POST /device/register 201", "POST /device/register 409", "GET /v7/device 200"], server.Requests.Select(r => $"{r.Method} {r.Path} {r.Status}"));
        Assert.Equal(RecordedWalk.Call("device register again (conflict)").Status, server.Requests.ElementAt(1).Status);
    }

    [Fact]
    public async Task A_lost_key_is_exchanged_with_the_provisioning_key()
    {
        Assert.Null(await ProvisionAsync(identity));
        var reborn = identity with { DeviceKey = "6e07411b1f4ccc926097b6084f505926" };
        Assert.Null(await ProvisionAsync(reborn));
        Assert.Equal(reborn.DeviceKey, server.Devices[identity.Uuid].Key);
        var exchange = server.Requests.Last();
        Assert.Equal(RecordedWalk.Call("key exchange (device-key)").Path, exchange.Path);
        Assert.Equal(RecordedWalk.Call("key exchange (device-key)").Body, exchange.Body);
    }

    [Fact]
    public async Task A_wrong_provisioning_key_is_said()
    {
        var problem = await ProvisionAsync(identity, config with { ApiKey = "wrong" });
        Assert.Equal(401, problem!.Status);
        Assert.Empty(server.Devices);
    }

    [Theory]
    [InlineData("/device/register", 500)]
    [InlineData("/v7/device", 503)]
    [InlineData("/api-key/device/1/device-key", 502)]
    public async Task Every_call_may_fail_and_be_made_again(string path, int status)
    {
        Assert.Null(await ProvisionAsync(identity));
        var reborn = identity with { DeviceKey = "6e07411b1f4ccc926097b6084f505926" };
        server.Fault = (_, p) => p == path ? (status, "") : null;
        Assert.Equal(status, (await ProvisionAsync(reborn))!.Status);
        server.Fault = (_, _) => null;
        Assert.Null(await ProvisionAsync(reborn));
        Assert.Equal(reborn.DeviceKey, server.Devices[identity.Uuid].Key);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_unchanged_poll_costs_little_on_the_wire(bool tls)
    {
        using var root = TestCertificates.Root("fleet root");
        using var leaf = TestCertificates.Leaf(root);
        await using var fleet = new FleetServer(tls ? leaf : null);
        fleet.Devices[identity.Uuid] = new() { Id = 1, Key = identity.DeviceKey, Apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() }) };
        using var meter = new Meter(fleet.Port);
        using var metered = new FleetApi(new UriBuilder(fleet.Endpoint) { Port = meter.Port }.Uri, tls ? root.ExportCertificatePem() : null);
        var first = await metered.TargetAsync(identity, null, Stop);
        Assert.Equal(200, first.Status);
        Assert.StartsWith("W/\"", first.ETag);
        var before = meter.Bytes;
        const int Polls = 20;
        for (var i = 0; i < Polls; i++) Assert.Equal(304, (await metered.TargetAsync(identity, first.ETag, Stop)).Status);
        var each = (meter.Bytes - before) / Polls;
        TestContext.Current.TestOutputHelper?.WriteLine($"{each} bytes per unchanged poll (request and answer, {new Uri(fleet.Endpoint).Scheme}), {before} for the first with the connection, {meter.Connections} connection for {Polls + 1} polls; {each * 4 * 24 * 30 / 1024} KiB a month at 15 min");
        Assert.InRange(each, 1, 2048);
        Assert.Equal(1, meter.Connections);
    }

    [Fact]
    public async Task The_answers_are_those_of_the_recorded_fleet()
    {
        await ProvisionAsync(identity);
        Assert.Equal(RecordedWalk.Call("target state with another key").Status, (await api.TargetAsync(identity with { DeviceKey = "other" }, null, Stop)).Status);
        Assert.Equal(RecordedWalk.Call("target state of an unknown device").Status, (await api.TargetAsync(identity with { Uuid = new string('0', 32) }, null, Stop)).Status);
        var recorded = JsonNode.Parse(RecordedWalk.Call("PATCH state: Running").Body!)!.AsObject().First().Value!.AsObject();
        server.Commits.Add(RecordedWalk.Commit);
        Assert.Equal(200, (await api.ReportAsync(identity, recorded, Stop)).Status);
        Assert.True(JsonNode.DeepEquals(recorded, server.Devices[identity.Uuid].Reported));
        server.Commits.Clear();
        server.Commits.Add("another");
        Assert.Equal(RecordedWalk.Call("PATCH state: unknown image").Status, (await api.ReportAsync(identity, recorded, Stop)).Status);
        Assert.Equal(200, (await api.SetTagsAsync(identity, new() { ["built"] = "csharp" }, Stop)).Status);
        Assert.Equal(RecordedWalk.Call("PATCH tags").Body, server.Requests.Last().Body);
        Assert.Contains("\"tag_key\":\"built\"", Encoding.UTF8.GetString((await api.TagsAsync(identity, Stop)).Body));
    }

    [Fact]
    public async Task What_the_fleet_asks_for_with_Retry_After_is_heard()
    {
        server.Fault = (_, _) => (429, "");
        server.RetryAfter = "120";
        Assert.Equal(TimeSpan.FromMinutes(2), (await api.TargetAsync(identity, null, Stop)).RetryAfter);
        server.RetryAfter = DateTimeOffset.UtcNow.AddMinutes(10).ToString("R");
        Assert.InRange((await api.TargetAsync(identity, null, Stop)).RetryAfter!.Value, TimeSpan.FromMinutes(8), TimeSpan.FromMinutes(10));
    }

    [Fact]
    public async Task A_fleet_that_is_not_there_is_an_answer_too()
    {
        using var nobody = new FleetApi(new("http://127.0.0.1:1"), null);
        var answer = await nobody.TargetAsync(identity, null, Stop);
        Assert.Equal(0, answer.Status);
        Assert.StartsWith("the fleet cannot be reached", answer.Explain);
    }

    [Fact]
    public async Task An_answer_without_end_is_cut()
    {
        server.Fault = (_, _) => (200, new string(' ', FleetApi.MaxBody + 1));
        var answer = await api.TargetAsync(identity, null, Stop);
        Assert.Equal((0, "the fleet's answer has more than 50 MiB"), (answer.Status, answer.Explain));
    }

    [Fact]
    public async Task Logs_are_one_compressed_request_that_stays_open()
    {
        await ProvisionAsync(identity);
        var device = server.Devices[identity.Uuid];
        var answer = await api.StreamLogsAsync(null, identity, async (to, stop) =>
        {
            await using var gzip = new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true);
            for (var i = 0; i < 3; i++)
            {
                await gzip.WriteAsync(Encoding.UTF8.GetBytes($$"""{"message":"line {{i}}","timestamp":{{i}}}""" + "\n"), stop);
                await gzip.FlushAsync(stop);
                await to.FlushAsync(stop);
                // Heard while the request goes on.
                for (var wait = 0; device.Logs.Count <= i && wait < 500; wait++) await Task.Delay(10, stop);
                Assert.Equal(i + 1, device.Logs.Count);
            }
        }, Stop);
        Assert.Equal(RecordedWalk.Call("POST log-stream (gzip ndjson)").Status, answer.Status);
        Assert.Equal("line 2", device.Logs.Last()["message"]!.ToString());
    }

    [Fact]
    public async Task A_refused_stream_is_heard_of()
    {
        var answer = await api.StreamLogsAsync(null, identity, (_, stop) => Task.Delay(TimeSpan.FromSeconds(1), stop), Stop);
        Assert.Equal(401, answer.Status);
    }
}
