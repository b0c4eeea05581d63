using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>What the device tells its fleet, and when.</summary>
public sealed class ReportTests
{
    private static readonly HostMetrics Metrics = new(7, 40, 100, 1000, 10, 1000, "/dev/sda6", "abc");
    private static readonly Release Release = GivenFleet.Read(GivenFleet.Apps(new() { ["main"] = GivenFleet.Service(), ["side"] = GivenFleet.Service("registry.test/v2/cd34@sha256:2222222222222222222222222222222222222222222222222222222222222222", 502, 70078) })).Releases[0];
    private static readonly TargetState Target = new([Release]);
    private static readonly Dictionary<string, int> Quiet = [];

    private static ImageState ImageOf(string service) => new($"sha256:{service}", [ImageReference.Normalize(Release.Services[service].Image)]);

    private static JsonObject Report(CurrentState? seen, Memory? memory = null, FleetTarget? fleet = null, Dictionary<string, int>? downloads = null) =>
        DeviceReport.Apps(Target, fleet, seen, memory ?? new(), downloads ?? Quiet);

    private static JsonObject Whole(JsonObject apps, HostMetrics? metrics = null) => DeviceReport.Build(GivenFleet.Facts, new("192.0.2.10", "02:00:00:00:00:01"), "s3cret", metrics ?? Metrics, apps, busy: false);

    private static string Status(JsonObject apps, string commit) => apps[Release.App]!["releases"]![commit]!["update_status"]!.ToString();

    private static string Service(JsonObject apps, string service) => apps[Release.App]!["releases"]![Release.Commit]!["services"]![service]!["status"]!.ToString();

    [Fact]
    public void Has_the_fields_the_recorded_report_has()
    {
        var recorded = JsonNode.Parse(RecordedWalk.Call("PATCH state: Running").Body!)!.AsObject().First().Value!.AsObject();
        var ours = Whole(Report(GivenFleet.Seen(GivenFleet.Container(Release, "main"), GivenFleet.Container(Release, "side"))));
        // The name is the fleet's to say; what is not measured is not reported.
        string[] leftOut = ["name", "os_variant", "provisioning_progress", "provisioning_state", "is_undervolted"];
        Assert.Equal(recorded.Select(f => f.Key).Except(leftOut).Order(), ours.Select(f => f.Key).Order());
        foreach (var (name, value) in ours) Assert.Equal(recorded[name]!.GetValueKind(), value!.GetValueKind());
        var app = ours["apps"]![Release.App]!;
        Assert.Equal(Release.Commit, app["release_uuid"]!.ToString());
        Assert.Equal("done", app["releases"]![Release.Commit]!["update_status"]!.ToString());
    }

    [Fact]
    public void Tells_how_far_an_update_is()
    {
        Assert.Equal("applying changes", Status(Report(null), Release.Commit));
        var nothing = Report(GivenFleet.Seen(), downloads: new() { [ImageReference.Normalize(Release.Services["main"].Image)] = 40 });
        Assert.Equal(("downloading", "Downloading"), (Status(nothing, Release.Commit), Service(nothing, "main")));
        Assert.Equal(40, nothing[Release.App]!["releases"]![Release.Commit]!["services"]!["main"]!["download_progress"]!.GetValue<int>());
        var here = Report(GivenFleet.Seen() with { Images = [ImageOf("main"), ImageOf("side")] });
        Assert.Equal(("applying changes", "Downloaded"), (Status(here, Release.Commit), Service(here, "main")));
        var created = Report(GivenFleet.Seen(GivenFleet.Container(Release, "main", ContainerStatus.Created), GivenFleet.Container(Release, "side")) with { Images = [ImageOf("main"), ImageOf("side")] });
        Assert.Equal(("applying changes", "Installed", "Running"), (Status(created, Release.Commit), Service(created, "main"), Service(created, "side")));
        var done = Report(GivenFleet.Seen(GivenFleet.Container(Release, "main"), GivenFleet.Container(Release, "side", ContainerStatus.Exited)));
        Assert.Equal(("done", "Running", "exited"), (Status(done, Release.Commit), Service(done, "main"), Service(done, "side")));
        Assert.Null(done[Release.App]!["releases"]![Release.Commit]!["services"]!["main"]!["download_progress"]);
    }

    [Fact]
    public void An_update_that_waits_for_a_lock_is_downloaded()
    {
        var old = GivenFleet.Container(Release, "main", hash: "old");
        var seen = GivenFleet.Seen(old, GivenFleet.Container(Release, "side")) with { Images = [ImageOf("main"), ImageOf("side")] };
        Assert.Equal("applying changes", Status(Report(seen), Release.Commit));
        Assert.Equal("downloaded", Status(Report(seen with { Locked = [old.Key] }), Release.Commit));
    }

    [Fact]
    public void A_release_that_was_taken_back_is_aborted_and_the_good_one_runs()
    {
        var good = Release with { Commit = "g00d", Services = new(Release.Services.ToDictionary(s => s.Key, s => s.Value with { Image = s.Value.Image.Replace("/v2/", "/v2/0", StringComparison.Ordinal) })) };
        var memory = new Memory { Good = new() { [good.App] = good }, Bad = [new(Release.App, Release.Fingerprint(), [], "main is unhealthy", Release.Commit)] };
        var apps = Report(GivenFleet.Seen(GivenFleet.Container(good, "main"), GivenFleet.Container(good, "side")) with { Memory = memory }, memory);
        Assert.Equal(("aborted", "done", "g00d"), (Status(apps, Release.Commit), Status(apps, "g00d"), apps[Release.App]!["release_uuid"]!.ToString()));
    }

    [Fact]
    public void A_rejected_release_is_said_to_be_so_beside_what_runs()
    {
        var apps = Report(GivenFleet.Seen(GivenFleet.Container(Release, "main"), GivenFleet.Container(Release, "side")), fleet: new(new("", []), [], [new(Release.App, "bad0", "needs a gpu"), new("newapp", "c0", "x")], []));
        Assert.Equal(("rejected", "done"), (Status(apps, "bad0"), Status(apps, Release.Commit)));
        Assert.Equal("rejected", apps["newapp"]!["releases"]!["c0"]!["update_status"]!.ToString());
    }

    [Fact]
    public void Noise_is_not_sent()
    {
        Assert.Equal(Metrics, (Metrics with { CpuUsage = 26, CpuTemp = 44, MemoryUsage = 149, StorageUsage = 25 }).Settle(Metrics));
        var moved = Metrics with { CpuUsage = 27, CpuTemp = 45, MemoryUsage = 150, StorageUsage = 30 };
        Assert.Equal(moved, moved.Settle(Metrics));
        Assert.Equal(Metrics, Metrics.Settle(null));
    }

    private static readonly ApiAnswer Ok = new(200, []);

    [Fact]
    public void Only_differences_are_sent()
    {
        var report = Whole(Report(GivenFleet.Seen(GivenFleet.Container(Release, "main"), GivenFleet.Container(Release, "side"))));
        var reporting = new Reporting();
        var first = reporting.Difference(report);
        Assert.Equal(report.Count, first.Count);
        reporting = reporting.After(first, Ok, TimeSpan.Zero);
        Assert.Empty(reporting.Difference(report));
        var hot = Whole(Report(GivenFleet.Seen(GivenFleet.Container(Release, "main"), GivenFleet.Container(Release, "side"))), Metrics with { CpuTemp = 70 });
        Assert.Equal("""{"cpu_temp":70}""", reporting.Difference(hot).ToJsonString());
        var exited = Whole(Report(GivenFleet.Seen(GivenFleet.Container(Release, "main", ContainerStatus.Exited), GivenFleet.Container(Release, "side"))));
        Assert.Equal(["apps"], reporting.Difference(exited).Select(d => d.Key));
    }

    [Fact]
    public void Reports_keep_their_distance()
    {
        var interval = TimeSpan.FromMinutes(15);
        var reporting = new Reporting();
        Assert.Equal(TimeSpan.Zero, reporting.Due(new() { ["status"] = "Idle" }, interval));
        reporting = reporting.After(new() { ["status"] = "Idle" }, Ok, TimeSpan.FromSeconds(100));
        Assert.Null(reporting.Due([], interval));
        Assert.Equal(110, reporting.Due(new() { ["status"] = "Updating" }, interval)!.Value.TotalSeconds);
        Assert.Equal(400, reporting.Due(new() { ["cpu_usage"] = 50 }, interval)!.Value.TotalSeconds);
        Assert.Equal(110, reporting.Due(new() { ["cpu_usage"] = 50, ["apps"] = new JsonObject() }, interval)!.Value.TotalSeconds);
        for (var i = 0; i < 4; i++) reporting = reporting.After(new() { ["status"] = "Updating" }, new(502, []), TimeSpan.FromSeconds(200));
        Assert.Equal(200 + 120, reporting.Due(new() { ["status"] = "Updating" }, interval)!.Value.TotalSeconds);
        reporting = reporting.After(new() { ["status"] = "Updating" }, new(429, []) { RetryAfter = TimeSpan.FromSeconds(600) }, TimeSpan.FromSeconds(300));
        Assert.Equal(900, reporting.Due(new() { ["status"] = "Updating" }, interval)!.Value.TotalSeconds);
    }

    [Fact]
    public void A_refused_commit_does_not_silence_the_device()
    {
        Assert.Equal(401, RecordedWalk.Call("PATCH state: unknown image").Status);
        var report = new JsonObject { ["status"] = "Idle", ["apps"] = new JsonObject { ["a"] = "unknown" } };
        var reporting = new Reporting().After(report, new(401, []), TimeSpan.Zero);
        Assert.Equal(0, reporting.Failures);
        Assert.Equal("""{"status":"Idle"}""", reporting.Difference(report).ToJsonString());
        reporting = reporting.After(new() { ["status"] = "Idle" }, Ok, TimeSpan.FromSeconds(10));
        Assert.Empty(reporting.Difference(report));
        report["apps"] = new JsonObject { ["a"] = "known" };
        Assert.Equal(["apps"], reporting.Difference(report).Select(d => d.Key));
        // Without apps in it, 401 is about the key.
        Assert.Equal(1, reporting.After(new() { ["status"] = "Idle" }, new(401, []), TimeSpan.FromSeconds(20)).Failures);
    }
}
