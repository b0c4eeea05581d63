using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Identity;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>config.json, the fleet's configuration variables, and who the device is.</summary>
public sealed class ConfigTests
{
    private static FleetConfig Parse(string json, List<string>? problems = null) => FleetConfig.Parse(json, p => (problems ?? []).Add(p));

    [Fact]
    public void The_file_the_fleet_gives_out_is_understood()
    {
        var problems = new List<string>();
        var config = Parse(RecordedWalk.Call("download-config (config.json)").Answer, problems);
        Assert.Empty(problems);
        Assert.True(config.Managed);
        Assert.Equal(new Uri("https://127.0.0.1:1443"), config.ApiEndpoint);
        Assert.Equal((1L, 2L, "generic-amd64"), (config.ApplicationId, config.UserId, config.DeviceType));
        Assert.Equal((TimeSpan.FromMinutes(1), 48484, "localhost:5000"), (config.PollInterval, config.ListenPort, config.RegistryEndpoint));
        Assert.StartsWith("-----BEGIN CERTIFICATE-----", config.RootCertificate);
        Assert.False(config.DevelopmentMode);
    }

    [Theory]
    [InlineData("""{"apiEndpoint":"https://f.test","apiKey":"k"}""", true)]
    [InlineData("""{"apiEndpoint":"f.test","apiKey":"k"}""", true)]
    [InlineData("""{"apiEndpoint":"http://f.test","deviceApiKey":"k","uuid":"29fdf4859f942138132ea46a8ba8f1cf"}""", true)]
    [InlineData("""{"apiEndpoint":"http://f.test","deviceApiKey":"k"}""", false)]
    [InlineData("""{"apiEndpoint":"https://f.test"}""", false)]
    [InlineData("""{"apiKey":"k"}""", false)]
    [InlineData("""{"developmentMode":true}""", false)]
    [InlineData("{}", false)]
    [InlineData("", false)]
    [InlineData("[1]", false)]
    [InlineData("{", false)]
    public void A_fleet_needs_an_address_and_a_key(string json, bool managed) => Assert.Equal(managed, Parse(json).Managed);

    [Fact]
    public void Numbers_and_flags_may_stand_in_quotes()
    {
        var config = Parse("""{"applicationId":"7","listenPort":"4000","appUpdatePollInterval":"600000","developmentMode":"true","localMode":"0"}""");
        Assert.Equal((7L, 4000, TimeSpan.FromMinutes(10), true, false), (config.ApplicationId, config.ListenPort, config.PollInterval, config.DevelopmentMode, config.LocalMode));
    }

    [Fact]
    public void What_cannot_be_used_is_left_out_and_named()
    {
        var problems = new List<string>();
        var config = Parse("""{"apiEndpoint":"ftp://x","uuid":"../../etc","listenPort":70000,"appUpdatePollInterval":-1,"developmentMode":"perhaps","apiKey":{},"balenaRootCA":"%%"}""", problems);
        Assert.Equal(FleetConfig.None, config);
        Assert.Equal(["apiEndpoint", "apiKey", "appUpdatePollInterval", "balenaRootCA", "developmentMode", "listenPort", "uuid"], problems.Select(p => p.Split(": ")[1].Split(' ')[0]).Order());
    }

    [Fact]
    public void Every_cut_of_the_file_is_survived()
    {
        var text = RecordedWalk.Call("download-config (config.json)").Answer;
        for (var length = 0; length < text.Length; length += 7) Parse(text[..length]);
    }

    [Fact]
    public void Variables_have_two_spellings_and_the_newer_one_wins()
    {
        var settings = FleetSettings.From(new Dictionary<string, string>
        {
            ["RESIN_SUPERVISOR_POLL_INTERVAL"] = "900000",
            ["BALENA_SUPERVISOR_POLL_INTERVAL"] = "60000",
            ["RESIN_OVERRIDE_LOCK"] = "1",
            ["BALENA_SUPERVISOR_LOG_CONTROL"] = "false",
            ["RESIN_SUPERVISOR_LOCAL_MODE"] = "true",
            ["BALENA_SUPERVISOR_INSTANT_UPDATE_TRIGGER"] = "0",
            ["BALENA_SUPERVISOR_HARDWARE_METRICS"] = "false",
        }, FleetConfig.None);
        Assert.Equal(new FleetSettings { PollInterval = TimeSpan.FromMinutes(1), OverrideLock = true, SendLogs = false, LocalMode = true, InstantUpdates = false, SendMetrics = false }, settings);
    }

    [Theory]
    [InlineData("1", 10)]
    [InlineData("10000", 10)]
    [InlineData("900000", 900)]
    [InlineData("99999999999", 86400)]
    [InlineData("soon", 900)]
    [InlineData("-5", 900)]
    public void The_poll_interval_has_bounds(string text, int seconds) =>
        Assert.Equal(seconds, FleetSettings.From(new Dictionary<string, string> { ["RESIN_SUPERVISOR_POLL_INTERVAL"] = text }, FleetConfig.None).PollInterval.TotalSeconds);

    [Theory]
    [InlineData("""{"developmentMode":true}""", true)]
    [InlineData("""{"developmentMode":true,"localMode":false}""", false)]
    [InlineData("""{"developmentMode":true,"apiEndpoint":"https://f.test","apiKey":"k"}""", false)]
    [InlineData("""{"localMode":true,"apiEndpoint":"https://f.test","apiKey":"k"}""", true)]
    [InlineData("{}", false)]
    public void Local_mode_is_on_by_itself_only_for_a_development_device_without_a_fleet(string json, bool on) =>
        Assert.Equal(on, FleetSettings.From(new Dictionary<string, string>(), Parse(json)).LocalMode);

    private static readonly FleetConfig OneFleet = Parse("""{"apiEndpoint":"https://f.test","apiKey":"k","applicationId":1}""");

    [Fact]
    public void A_device_that_lost_everything_but_its_machine_id_asks_under_its_old_name()
    {
        var first = FleetIdentity.For(null, OneFleet, "machine", new byte[32]);
        var again = FleetIdentity.For(null, OneFleet, "machine", Enumerable.Repeat((byte)1, 32).ToArray());
        Assert.Equal(first.Uuid, again.Uuid);
        Assert.NotEqual(first.DeviceKey, again.DeviceKey);
        Assert.NotEqual(first.Uuid, FleetIdentity.For(null, OneFleet, "another machine", new byte[32]).Uuid);
        Assert.Matches("^[0-9a-f]{32}$", first.Uuid);
        Assert.False(first.Registered);
    }

    [Fact]
    public void What_is_kept_counts_until_the_fleet_is_another()
    {
        var kept = new FleetIdentity("https://f.test", 1, new string('a', 32), "key", Registered: true);
        Assert.Same(kept, FleetIdentity.For(kept, OneFleet, "machine", new byte[32]));
        Assert.False(FleetIdentity.For(kept, OneFleet with { ApplicationId = 2 }, "machine", new byte[32]).Registered);
        Assert.False(FleetIdentity.For(kept, OneFleet with { ApiEndpoint = new("https://g.test") }, "machine", new byte[32]).Registered);
        Assert.False(FleetIdentity.For(kept, OneFleet with { Uuid = new string('b', 32) }, "machine", new byte[32]).Registered);
    }

    [Fact]
    public void A_device_registered_beforehand_takes_its_key_from_the_file()
    {
        var config = Parse("""{"apiEndpoint":"https://f.test","deviceApiKey":"given","uuid":"29fdf4859f942138132ea46a8ba8f1cf"}""");
        Assert.Equal(new FleetIdentity("https://f.test", null, RecordedWalk.Uuid, "given", Registered: true), FleetIdentity.For(null, config, "m", new byte[32]));
    }

    [Fact]
    public void The_key_outlives_any_damage_to_one_copy()
    {
        var directory = Directory.CreateTempSubdirectory("fleet").FullName;
        var path = Path.Combine(directory, "fleet.json");
        var file = new KeptFile<FleetIdentity>(path, FleetJson.Default.FleetIdentity, i => i is { Uuid.Length: > 0, DeviceKey.Length: > 0 }, secret: true);
        Assert.Null(file.Load());
        var identity = new FleetIdentity("https://f.test", 1, RecordedWalk.Uuid, "key", true) { FirstName = "misty" };
        file.Save(identity);
        if (OperatingSystem.IsLinux()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        var whole = File.ReadAllBytes(path);
        for (var length = 0; length < whole.Length; length += 3)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Equal(identity, file.Load());
        }

        File.WriteAllBytes(path, whole);
        File.Delete(path + ".copy");
        Assert.Equal(identity, file.Load());
        Directory.Delete(directory, recursive: true);
    }
}
