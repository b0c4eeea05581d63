using OsBuild.Supervisor.Api;

namespace OsBuild.Tests.Supervisor.Api;

public sealed class AccessTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly string directory = Directory.CreateTempSubdirectory("osb-key-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private AccessKey Key() => AccessKey.LoadOrMake(directory);

    private static HttpRequest Request(string method, string path, params (string, string)[] headers) => new(method, path, new Dictionary<string, string>(), headers.ToDictionary(h => h.Item1, h => h.Item2), []);

    [Fact]
    public void The_key_is_kept_and_read_by_root_alone()
    {
        var first = Key();
        Assert.Null(first.WriteError);
        Assert.Matches("^([0-9A-HJKMNP-TV-Z]{5}-){3}[0-9A-HJKMNP-TV-Z]{5}$", first.Text);
        Assert.Equal(first.Text, Key().Text);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(directory, "key")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("\0\0\0\0\0\0")]
    public void A_damaged_key_is_replaced(string text)
    {
        File.WriteAllText(Path.Combine(directory, "key"), text);
        Assert.Equal(23, Key().Text.Length);
        Assert.Equal(Key().Text, Key().Text);
    }

    [Fact]
    public void A_state_that_cannot_be_written_still_has_a_key_for_this_boot()
    {
        var key = AccessKey.LoadOrMake("/proc/nowhere");
        Assert.Equal(23, key.Text.Length);
        Assert.NotNull(key.WriteError);
    }

    [Fact]
    public void It_fits_however_a_person_types_it()
    {
        File.WriteAllText(Path.Combine(directory, "key"), "0ABC1-DEFGH-JKMNP-QRSTV\n");
        var key = Key();
        foreach (var typed in (string[])["0ABC1-DEFGH-JKMNP-QRSTV", " oabcl defgh jkmnp qrstv ", "OABCIDEFGHJKMNPQRSTV"]) Assert.True(key.Matches(typed), typed);
        foreach (var other in (string[])["", "0ABC1-DEFGH-JKMNP-QRSTW", "0ABC1-DEFGH-JKMNP", "0ABC1-DEFGH-JKMNP-QRSTVV", new string('0', 5000)]) Assert.False(key.Matches(other), other);
    }

    [Fact]
    public void A_session_ends_with_its_time_with_the_key_and_when_it_is_changed()
    {
        var key = Key();
        var session = key.Session(Now);
        Assert.True(key.Admits(session, Now.AddDays(29)));
        Assert.False(key.Admits(session, Now.AddDays(31)));
        Assert.False(key.Admits("9" + session, Now));
        foreach (var other in (string[])["", ".", "1.", session[..^1], session + "0", "99999999999." + session.Split('.')[1]]) Assert.False(key.Admits(other, Now), other);
        key.Renew();
        Assert.False(key.Admits(session, Now));
    }

    [Theory]
    [InlineData("GET", "/v1/status")]
    [InlineData("GET", "/metrics")]
    [InlineData("GET", "/v1/logs")]
    [InlineData("GET", "/v1/events")]
    [InlineData("POST", "/v1/login")]
    [InlineData("POST", "/v1/compose")]
    [InlineData("POST", "/v1/services/web/stop")]
    [InlineData("POST", "/")]
    [InlineData("GET", "/v1/key")]
    [InlineData("GET", "/nothing")]
    public void Nothing_but_the_page_itself_is_open_without_the_key(string method, string path)
    {
        var key = Key();
        Assert.Equal(401, Gatekeeper.Look(Request(method, path), key, Now)?.Status);
        Assert.Equal(401, Gatekeeper.Look(Request(method, path, ("authorization", "Bearer 00000-00000-00000-00000")), key, Now)?.Status);
        Assert.Equal(401, Gatekeeper.Look(Request(method, path, ("authorization", "Basic " + key.Text)), key, Now)?.Status);
        Assert.Equal(401, Gatekeeper.Look(Request(method, path, ("cookie", "osbuild=1.2")), key, Now)?.Status);
        Assert.Null(Gatekeeper.Look(Request(method, path, ("authorization", "Bearer " + key.Text)), key, Now));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/app.js")]
    [InlineData("/style.css")]
    [InlineData("/ping")]
    public void The_page_itself_is_open(string path) => Assert.Null(Gatekeeper.Look(Request("GET", path), Key(), Now));

    [Theory]
    [InlineData("http://10.0.0.5:8008", null)]
    [InlineData("http://evil.example", 403)]
    [InlineData("null", 403)]
    [InlineData("", 403)]
    public void A_page_of_another_site_cannot_use_the_session(string origin, int? status)
    {
        var key = Key();
        var session = ("cookie", "other=1; osbuild=" + key.Session(Now));
        Assert.Equal(status, Gatekeeper.Look(Request("POST", "/v1/services/web/stop", session, ("host", "10.0.0.5:8008"), ("origin", origin)), key, Now)?.Status);
        Assert.Null(Gatekeeper.Look(Request("GET", "/v1/status", session), key, Now));
    }

    [Fact]
    public void A_post_without_an_origin_needs_the_key()
    {
        var key = Key();
        Assert.Equal(403, Gatekeeper.Look(Request("POST", "/v1/compose", ("cookie", "osbuild=" + key.Session(Now)), ("host", "x")), key, Now)?.Status);
    }
}
