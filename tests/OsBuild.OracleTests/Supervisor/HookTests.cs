using OsBuild.Supervisor.Running;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>The commands a service wants run inside its container, on a real engine.</summary>
[Collection("engine 2")]
public sealed class HookTests(EngineFixture fixture)
{
    private static string Compose(string postStart) => $$"""
        services:
          web:
            image: "hooked:1"
            command: sleep 1000
            restart: always
            stop_grace_period: 5s
            post_start:
              - command: [sh, -c, "echo $$WHO > /tmp/balena/started"]
                environment: { WHO: someone }
              - command: {{postStart}}
            pre_stop:
              - command: [sh, -c, "cat /tmp/balena/started > /tmp/balena/stopped"]
              - command: "false"
              - command: [sleep, "1000"]
        """;

    [Fact]
    public async Task S28_Hooks_run_after_a_start_and_before_a_stop_and_one_that_never_ends_hinders_no_stop()
    {
        await using var device = await Device.NewAsync(fixture);
        await device.LoadAsync(TestImages.Archive("hooked:1"));
        device.Compose(Compose("\"true\""));
        device.Start();
        await device.UntilAsync("the first release is good", s => s.Releases is [{ State: "good" }]);
        var shared = new Places(device.Paths).Shared(device.App, "web");
        Assert.Equal("someone\n", await File.ReadAllTextAsync(Path.Combine(shared, "started")));
        Assert.False(File.Exists(Path.Combine(shared, "stopped")));

        device.Compose(Compose("[sh, -c, \"echo no luck; exit 3\"]"));
        var status = await device.UntilAsync("the second release is bad", s => s.Releases is [{ State: "bad" }] && s.Services is [{ State: "running" }]);
        Assert.Contains("ended with code 3: no luck", status.Releases[0].Reason);
        Assert.Equal("someone\n", await File.ReadAllTextAsync(Path.Combine(shared, "stopped")));
    }
}
