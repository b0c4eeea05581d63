using System.Text.Json;
using OsBuild.Supervisor.Api;

namespace OsBuild.Tests.Supervisor.Api;

public sealed class CliTests
{
    [Theory]
    [InlineData("status")]
    [InlineData("status --json")]
    [InlineData("why web")]
    [InlineData("plan --to 10.0.0.5 --key X")]
    [InlineData("logs")]
    [InlineData("logs web -f --since 10m --tail 5 --times")]
    [InlineData("push . --to board")]
    [InlineData("push . --to board --no-wait")]
    [InlineData("key --new")]
    [InlineData("update supervisor:2 --no-wait")]
    [InlineData("update --host kitchen-host:7 --to board")]
    [InlineData("reboot --to board --key X")]
    [InlineData("poweroff")]
    [InlineData("rollback shop")]
    public void Takes(string line) => Assert.NotNull(CliOptions.Parse(line.Split(' ')));

    [Theory]
    [InlineData("status web")]
    [InlineData("status -f")]
    [InlineData("why")]
    [InlineData("why a b")]
    [InlineData("logs --json")]
    [InlineData("logs a b")]
    [InlineData("logs --tail")]
    [InlineData("push")]
    [InlineData("restart")]
    [InlineData("restart web --tail 3")]
    [InlineData("key --no-wait")]
    [InlineData("status --host")]
    [InlineData("update --host")]
    [InlineData("reboot now")]
    [InlineData("poweroff --no-wait")]
    [InlineData("apply x --nonsense")]
    [InlineData("format")]
    public void Refuses_what_it_would_have_to_ignore(string line) => Assert.Null(CliOptions.Parse(line.Split(' ')));

    [Theory]
    [InlineData("none", null, null, null, null)]
    [InlineData("good", "host:2 (2.0)", null, null, "from host:2 (2.0)")]
    [InlineData("on trial", null, "host:3 (3.0)", null, "host:3 (3.0) is on trial")]
    [InlineData("waiting", null, null, "writing slot b: 40 %", "host:4: writing slot b: 40 %")]
    [InlineData("written", null, "host:4 (4.0)", "shop/web holds an update lock", "host:4: shop/web holds an update lock")]
    [InlineData("waiting", null, null, null, "host:4: is being fetched")]
    [InlineData("bad", "host:2 (2.0)", null, null, "host:4 (4.0): it panics")]
    public void The_host_s_update_is_told_where_there_is_one(string state, string? good, string? trial, string? doing, string? line)
    {
        var report = new StatusReport(null, new(true, "20.10", "1.41"), [], [], [], []) { HostUpdate = new(state == "none" ? null : "host:4", state, good, trial, doing, state == "bad" ? ["host:4 (4.0): it panics"] : []) };
        var text = CliText.Status(report);
        if (line is null) Assert.DoesNotContain("\nhost ", text);
        else Assert.Contains($"host        {line}\n", text.ReplaceLineEndings("\n"));
    }

    [Theory]
    [InlineData("10.0.0.5", "http://10.0.0.5:8008/")]
    [InlineData("10.0.0.5:80", "http://10.0.0.5:80/")]
    [InlineData("10.0.0.5:9000", "http://10.0.0.5:9000/")]
    [InlineData("board.local", "http://board.local:8008/")]
    [InlineData("[fe80::1]", "http://[fe80::1]:8008/")]
    [InlineData("http://board.local", "http://board.local/")]
    [InlineData("https://board.local:444", "https://board.local:444/")]
    public void Understands_addresses(string text, string uri) => Assert.Equal(new Uri(uri), Client.Address(text));

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("ftp://x")]
    [InlineData("10.0.0.5:99999")]
    public void Refuses_what_is_no_address(string text) => Assert.Throws<FormatException>(() => Client.Address(text));

    [Fact]
    public void A_key_that_was_good_is_remembered_for_its_owner_alone()
    {
        var directory = Directory.CreateTempSubdirectory("osb-keys-").FullName;
        try
        {
            var file = Path.Combine(directory, "osbuild", "keys");
            var keys = new KnownKeys(file);
            Assert.Null(keys.Find("a"));
            keys.Remember("a", "1");
            keys.Remember("b", "2");
            keys.Remember("a", "3");
            Assert.Equal(("3", "2"), (keys.Find("a"), keys.Find("b")));
            Assert.Equal(2, File.ReadAllLines(file).Length);
            if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void A_status_is_a_page_for_a_person()
    {
        using var host = JsonDocument.Parse("""{"board":"rpi4","slot":"a","hostName":"kitchen","lastShutdownClean":false,"lastShutdown":"first boot","timeline":{"x":1}}""");
        var report = new StatusReport(host.RootElement, new(true, "20.10", "1.41"),
            [new("shop", "web", "web:2", "running", "healthy", "shop-web", 0, 1, 3725, ["80:8080/tcp"]), new("shop", "job", "job:1", "exited", "", "shop-job", 3, 1, 5, []), new("shop", "off", "off:1", "exited", "", "shop-off", 137, 1, 5, []) { Held = true }],
            new() { ["compose"] = "is wrong" }, ["the image"], new() { ["web:3"] = "50 %" })
        { Version = "1.0", Name = "ignored", Addresses = ["10.0.0.5"], Releases = [new("shop", "0123456789abcdef", "", "bad", "web exited with 1")] };
        Assert.Equal("""
            device      kitchen  rpi4  slot a  10.0.0.5
            last stop   first boot (not clean)
            supervisor  1.0
            engine      20.10 (API 1.41)
            app         shop  0123456789abcdef  bad: web exited with 1; the last good one runs

            SERVICE  STATE            HEALTH   FOR      IMAGE  PORTS
            web      running          healthy  1h 2min  web:2  80:8080/tcp
            job      exited with 3    -        5s       job:1  -
            off      stopped by hand  -        5s       off:1  -
            downloading web:3: 50 %
            waiting for the image
            ! compose: is wrong

            """, CliText.Status(report).ReplaceLineEndings("\n"));
    }

    [Fact]
    public void Why_and_plan_are_sentences()
    {
        var why = new WhyReport("web", "shop-web is running", [new(null, "stop shop-web", "the image changed", null, "")], [new("2026-01-01 00:00:00Z", "start shop-web", "it was made", "done", "shop/web"), new("2026-01-01 00:00:09Z", "pull x", "it is missing", "no such image", "shop/web")]);
        Assert.Equal("""
            web: shop-web is running

            now
              stop shop-web  because the image changed

            before
              2026-01-01 00:00:00Z  start shop-web  because it was made
              2026-01-01 00:00:09Z  pull x          because it is missing; no such image

            """, CliText.Why(why).ReplaceLineEndings("\n"));
        Assert.Equal("1.  stop a    because x\n2.  start bc  because y\n", CliText.Plan(new([new(null, "stop a", "x", null, ""), new(null, "start bc", "y", null, "")])).ReplaceLineEndings("\n"));
        Assert.StartsWith("Nothing to do", CliText.Plan(new([])), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, "0s")]
    [InlineData(59.9, "59s")]
    [InlineData(61, "1min 1s")]
    [InlineData(7200, "2h 0min")]
    [InlineData(90000, "1d 1h")]
    public void Says_a_time_in_its_two_largest_units(double seconds, string text) => Assert.Equal(text, CliText.Span(seconds));
}
