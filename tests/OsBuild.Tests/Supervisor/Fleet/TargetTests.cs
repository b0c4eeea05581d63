using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>From the fleet's target state to the releases every master is mapped to.</summary>
public sealed class TargetTests
{
    private static JsonObject Labels(params string[] labels) => [.. labels.Select(l => KeyValuePair.Create(l.Split('=')[0], (JsonNode?)l.Split('=')[1]))];

    [Fact]
    public void The_recorded_target_becomes_a_release()
    {
        var target = TargetReader.Read(Encoding.UTF8.GetBytes(RecordedWalk.Call("TARGET STATE v3").Answer), GivenFleet.Facts);
        Assert.Equal("twilight-voice", target.Device.Name);
        Assert.Equal("900000", target.Device.Config["RESIN_SUPERVISOR_POLL_INTERVAL"]);
        var release = Assert.Single(target.Releases);
        Assert.Equal((RecordedWalk.App, RecordedWalk.Commit, new ReleaseIds(1, "app1795447618", 1)), (release.App, release.Commit, release.Ids));
        var main = release.Services["main"];
        Assert.Equal("localhost:5000/v2/614ead1c390ecc744115cf61f68d607f@sha256:ee164e764a94830e754304181ca3861591171198554e8de48e24d026ba9aaa0c", main.Image);
        Assert.Equal(RestartPolicy.Always, main.Restart);
        // Not touched: the fleet has put in what it wanted to put in.
        Assert.Equal(["sh", "-c", "while true; do echo tick $FOO; sleep 1; done"], main.Container.Command);
        Assert.Equal(("bar", "1", "2"), (main.Container.Environment!["FOO"], main.Container.Environment["FLEETVAR"], main.Container.Environment["DEVVAR"]));
        Assert.Equal($"main_1_1_{RecordedWalk.Commit}", main.ContainerName);
        Assert.Equal("data", Assert.Single(main.Container.Mounts!).Source);
        Assert.Equal("1_data", release.Volumes["data"].EngineName(release.App, "data"));
        Assert.Equal(["default", "supervisor0"], release.Networks.Keys);
        Assert.Equal("supervisor0", release.Networks["supervisor0"].EngineName(release.App, "supervisor0"));
    }

    [Fact]
    public void A_fleet_without_a_release_wants_nothing()
    {
        var target = TargetReader.Read(Encoding.UTF8.GetBytes(RecordedWalk.Call("empty target state").Answer), GivenFleet.Facts);
        Assert.Empty(target.Releases);
        Assert.Empty(target.Rejected);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"00000000000000000000000000000000":{"apps":{}}}""")]
    [InlineData("""{"29fdf4859f942138132ea46a8ba8f1cf":{"name":"x"}}""")]
    [InlineData("""{"29fdf4859f942138132ea46a8ba8f1cf":{"apps":{"../etc":{}}}}""")]
    [InlineData("""{"29fdf4859f942138132ea46a8ba8f1cf":{"apps":{"a":{"releases":{"../..":{"services":{}}}}}}}""")]
    [InlineData("""{"29fdf4859f942138132ea46a8ba8f1cf":{"apps":{"a":{"releases":{"c":7}}}}}""")]
    public void What_is_no_target_state_is_refused(string json) => Assert.ThrowsAny<JsonException>(() => TargetReader.Read(Encoding.UTF8.GetBytes(json), GivenFleet.Facts));

    [Fact]
    public void No_mutation_of_the_recorded_target_does_harm()
    {
        var text = Encoding.UTF8.GetBytes(RecordedWalk.Call("TARGET STATE v3").Answer);
        var random = new Random(1);
        for (var i = 0; i < 4000; i++)
        {
            var bytes = (byte[])text.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--) bytes[random.Next(bytes.Length)] = (byte)random.Next(32, 127);
            if (i % 3 == 0) bytes = bytes[..random.Next(bytes.Length)];
            try
            {
                foreach (var release in TargetReader.Read(bytes, GivenFleet.Facts).Releases) Assert.All(release.Services.Keys, s => Assert.True(TargetReader.IsName(s)));
            }
            catch (JsonException)
            {
            }
        }
    }

    [Fact]
    public void What_changes_with_every_release_or_name_restarts_nothing()
    {
        var before = GivenFleet.Read(GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() })).Releases[0];
        var after = GivenFleet.Read(GivenFleet.Apps(new() { ["main"] = GivenFleet.Service(imageId: 70099) }, commit: new string('b', 32), release: 100), GivenFleet.Facts with { OsVersion = GivenFleet.Facts.OsVersion }).Releases[0];
        Assert.NotEqual(before.Services["main"].ContainerName, after.Services["main"].ContainerName);
        Assert.Equal(before.Fingerprint(), after.Fingerprint());
    }

    [Theory]
    [InlineData("environment", "LEVEL=80")]
    [InlineData("labels", "shown=1")]
    [InlineData("labels", "io.balena.features.supervisor-api=1")]
    public void What_the_container_is_made_of_restarts_it(string part, string pair)
    {
        var before = GivenFleet.Read(_ => { });
        Assert.NotEqual(before.Hash(), GivenFleet.Read(s => s[part] = Labels(pair)).Hash());
    }

    [Fact]
    public void A_service_is_told_who_it_is()
    {
        var environment = GivenFleet.Read(_ => { }).Container.Environment!;
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[("APP_ID", "1801"), ("APP_UUID", RecordedWalk.App), ("APP_NAME", "pumps"), ("SERVICE_NAME", "main"), ("DEVICE_UUID", RecordedWalk.Uuid),
            ("DEVICE_TYPE", "generic-amd64"), ("DEVICE_ARCH", "amd64"), ("DEVICE_NAME_AT_INIT", "twilight-voice"), ("HOST_OS_VERSION", "OsBuild 6.5.39+rev1"), ("APP_LOCK_PATH", "/tmp/balena/updates.lock"), ("SERVICE_HANDOVER_COMPLETE_PATH", "/tmp/balena/handover-complete")])
        {
            Assert.Equal(value, environment["BALENA_" + name]);
            Assert.Equal(value, environment["RESIN_" + name]);
        }

        Assert.Equal("1", environment["BALENA"]);
        Assert.DoesNotContain(environment.Keys, k => k.Contains("API_KEY", StringComparison.Ordinal));
    }

    [Fact]
    public void What_a_person_configured_is_stronger() =>
        Assert.Equal("mine", GivenFleet.Read(s => s["environment"] = Labels("BALENA_DEVICE_TYPE=mine")).Container.Environment!["BALENA_DEVICE_TYPE"]);

    [Fact]
    public void A_service_that_asks_for_the_device_API_gets_key_and_address()
    {
        var spec = GivenFleet.Read(s => s["labels"] = Labels("io.balena.features.supervisor-api=1")).Container;
        Assert.Equal("key-of-82ef-main", spec.Environment!["BALENA_SUPERVISOR_API_KEY"]);
        Assert.Equal("http://10.114.104.1:48484", spec.Environment["BALENA_SUPERVISOR_ADDRESS"]);
        Assert.Equal(["default", "supervisor0"], spec.Networks!.Select(n => n.Network));
        var host = GivenFleet.Read(s => { s["labels"] = Labels("io.balena.features.supervisor-api=1"); s["composition"]!["network_mode"] = "host"; }).Container;
        Assert.Equal("http://127.0.0.1:48484", host.Environment!["RESIN_SUPERVISOR_ADDRESS"]);
        Assert.Null(host.Networks);
    }

    [Fact]
    public void The_fleets_own_key_is_given_only_on_request()
    {
        var environment = GivenFleet.Read(s => s["labels"] = Labels("io.balena.features.balena-api=1")).Container.Environment!;
        Assert.Equal(("k3y", "https://fleet.test"), (environment["BALENA_API_KEY"], environment["BALENA_API_URL"]));
    }

    [Fact]
    public void Features_bring_in_what_the_host_has()
    {
        var mounts = GivenFleet.Read(s => s["labels"] = Labels("io.resin.features.kernel-modules=1", "io.balena.features.dbus=true", "io.balena.features.firmware=1", "io.balena.features.sysfs=0")).Container.Mounts!;
        // /lib/firmware is not on this host; sysfs was said no to.
        Assert.Equal(["/run/dbus:/host/run/dbus", "/lib/modules:/lib/modules"], mounts.Select(m => $"{m.Source}:{m.Target}"));
        var engine = GivenFleet.Read(s => s["labels"] = Labels("io.balena.features.balena-socket=1")).Container;
        Assert.All(engine.Mounts!, m => Assert.Equal("/run/docker.sock", m.Source));
        Assert.Equal("unix:///var/run/balena-engine.sock", engine.Environment!["DOCKER_HOST"]);
        Assert.Equal("gpu", GivenFleet.Read(s => s["labels"] = Labels("io.balena.features.gpu=1")).Container.Gpus!.Single().Capabilities.Single());
    }

    [Theory]
    [InlineData("hand-over", "HandOver")]
    [InlineData("kill-then-download", "KillThenDownload")]
    [InlineData("delete-then-download", "DeleteThenDownload")]
    [InlineData("download-then-kill", "DownloadThenKill")]
    [InlineData("teleport", "DownloadThenKill")]
    public void Update_labels_are_policy(string strategy, string expected)
    {
        var service = GivenFleet.Read(s => s["labels"] = Labels($"io.resin.update.strategy={strategy}", "io.balena.update.handover-timeout=120000"));
        Assert.Equal((expected, TimeSpan.FromMinutes(2)), ($"{service.Update.Strategy}", service.Update.Timeout));
        Assert.Equal(strategy == "hand-over", service.Update.Signal);
        Assert.Equal(GivenFleet.Read(_ => { }).Container.Labels, service.Container.Labels);
    }

    [Fact]
    public void The_composition_is_read_as_a_compose_file_is()
    {
        var service = GivenFleet.Service();
        service["composition"] = JsonNode.Parse("""
            {"depends_on":["bus"],"networks":{"field":{"aliases":["ctl"],"ipv4_address":"172.28.0.10"}},"volumes":["state:/data"],"devices":["/dev/ttyUSB0:/dev/ttyUSB0"],"cap_add":["SYS_RAWIO"],"mem_limit":"96m",
             "ports":["8080:80"],"build":{"context":"."},"image":null,"logging":{"driver":"syslog"},"container_name":"x","command":null,"privileged":false,
             "healthcheck":{"test":["CMD","/ok"],"interval":"30s","timeout":"3s","retries":3,"start_period":"10s"}}
            """);
        var networks = JsonNode.Parse("""{"field":{"driver":"bridge","internal":false,"enable_ipv6":false,"driver_opts":{},"labels":{},"ipam":{"driver":"default","config":[{"subnet":"172.28.0.0/24","gateway":"172.28.0.1"}],"options":{}}}}""")!.AsObject();
        var release = GivenFleet.Read(GivenFleet.Apps(new() { ["control"] = service, ["bus"] = GivenFleet.Service() }, networks: networks, volumes: JsonNode.Parse("""{"state":{"driver":"local","driver_opts":{},"labels":{}}}""")!.AsObject())).Releases.Single();
        var spec = release.Services["control"].Container;
        Assert.Equal("bus", release.Services["control"].DependsOn.Single().Service);
        Assert.Equal((96L << 20, "172.28.0.10", 8080, "SYS_RAWIO"), (spec.Memory, spec.Networks!.Single().Ipv4, spec.Ports!.Single().HostPort, spec.CapAdd!.Single()));
        Assert.Equal(TimeSpan.FromSeconds(30), spec.Healthcheck!.Interval);
        Assert.Equal((true, "shareable", (string?)null, (string?)null), (spec.Tty, spec.Ipc, spec.Name, spec.LogDriver));
        Assert.Equal("172.28.0.0/24", release.Networks["field"].Subnets!.Single().Cidr);
        Assert.Equal($"{RecordedWalk.App}_field", release.Networks["field"].EngineName(release.App, "field"));
    }

    [Fact]
    public void A_composition_that_cannot_run_is_rejected_with_its_reason_and_leaves_other_apps_alone()
    {
        var service = GivenFleet.Service();
        service["composition"]!["volumes"] = new JsonArray("nowhere:/data");
        var apps = GivenFleet.Apps(new() { ["main"] = service });
        apps["ffffffffffffffffffffffffffffffff"] = GivenFleet.Apps(new() { ["other"] = GivenFleet.Service() })[RecordedWalk.App]!.DeepClone();
        var target = GivenFleet.Read(apps);
        var rejected = Assert.Single(target.Rejected);
        Assert.Equal((RecordedWalk.App, RecordedWalk.Commit), (rejected.App, rejected.Commit));
        Assert.Contains("the volume 'nowhere' is not defined", rejected.Reason);
        Assert.Equal("ffffffffffffffffffffffffffffffff", Assert.Single(target.Releases).App);
    }

    [Fact]
    public void An_unmet_contract_rejects_the_release_unless_the_service_is_optional()
    {
        var demanding = GivenFleet.Service();
        demanding["contract"] = JsonNode.Parse("""{"type":"sw.container","requires":[{"type":"arch.sw","slug":"aarch64"}]}""");
        var needing = GivenFleet.Service();
        needing["composition"]!["depends_on"] = new JsonArray("gpu");
        var apps = GivenFleet.Apps(new() { ["gpu"] = demanding, ["main"] = needing });
        Assert.Equal("gpu needs arch.sw aarch64, which this device does not have", GivenFleet.Read(apps).Rejected.Single().Reason.Split("; ")[0]);
        demanding["labels"] = Labels("io.balena.features.optional=1");
        var target = GivenFleet.Read(apps);
        Assert.Empty(target.Rejected);
        Assert.Equal(["main"], target.Releases.Single().Services.Keys);
        Assert.Empty(target.Releases.Single().Services["main"].DependsOn);
        Assert.Contains("it is left out", target.Remarks.Single());
    }

    [Fact]
    public void The_host_and_this_program_are_not_apps()
    {
        var apps = GivenFleet.Apps(new() { ["main"] = GivenFleet.Service() });
        foreach (var (uuid, extra) in (ReadOnlySpan<(string, string)>)[("0a0000000000000000000000000000f0", """{"is_host":true,"class":"app"}"""), ("9d000000000000000000000000000042", """{"class":"app"}""")])
        {
            var app = apps[RecordedWalk.App]!.DeepClone().AsObject();
            foreach (var (name, value) in JsonNode.Parse(extra)!.AsObject()) app[name] = value?.DeepClone();
            apps[uuid] = app;
        }

        var target = GivenFleet.Read(apps);
        Assert.Equal(RecordedWalk.App, Assert.Single(target.Releases).App);
        Assert.Equal(2, target.Remarks.Count);
    }

    [Fact]
    public void A_service_may_be_wanted_stopped() => Assert.False(GivenFleet.Read(s => s["running"] = false).Running);

    [Fact]
    public void An_app_whose_release_is_rejected_stays_as_it_is()
    {
        var running = new TargetState([new() { App = RecordedWalk.App, Commit = "old" }, new() { App = "gone" }]);
        var target = new FleetTarget(new("", []), [new() { App = "new" }], [new(RecordedWalk.App, "c", "r")], []);
        Assert.Equal(["82ef179d618c4deca90e76ab4e862e60/old", "new/"], TargetChoice.From(target, running).Apps.Select(a => $"{a.App}/{a.Commit}"));
    }
}
