using System.Net;
using OsBuild.Supervisor.Fleet;
using OsBuild.Supervisor.Identity;
using OsBuild.Supervisor.Init;
using OsBuild.Supervisor.Network;
using OsBuild.Tests.Supervisor.Fleet;

namespace OsBuild.Tests.Supervisor.Network;

/// <summary>The proxy of config.yaml: read, told to the engine, used for the fleet, left out for what it names.</summary>
public sealed class HostProxyTests
{
    private readonly List<string> said = [];

    private HostProxy? Proxy(string yaml) => HostConfig.Parse(yaml, said.Add).Proxy;

    [Theory]
    [InlineData("http://10.0.0.1:3128")]
    [InlineData("https://proxy.example")]
    [InlineData("socks5://me:secret@10.0.0.1:1080")]
    public void Is_read_from_config_yaml(string server)
    {
        Assert.Equal(new Uri(server), Proxy($"proxy: {server}")!.Server);
        Assert.Empty(said);
    }

    [Theory]
    [InlineData("proxy: 10.0.0.1:3128")]
    [InlineData("proxy: ftp://10.0.0.1")]
    [InlineData("proxy: http://10.0.0.1/path")]
    [InlineData("proxy: [a, b]")]
    public void What_is_none_is_said_with_its_line_and_left_out(string yaml)
    {
        Assert.Null(Proxy("hostname: kitchen\n" + yaml));
        Assert.StartsWith("config.yaml line 2: proxy must be like http://10.0.0.1:3128", Assert.Single(said));
    }

    [Fact]
    public void Without_one_there_is_none() => Assert.Null(Proxy("no-proxy: [a]"));

    [Theory]
    [InlineData("http://api.fleet.example/x", true)]
    [InlineData("http://localhost:8008", false)]
    [InlineData("http://127.0.0.2", false)]
    [InlineData("http://[::1]:80", false)]
    [InlineData("http://10.1.2.3", false)]
    [InlineData("http://11.1.2.3", true)]
    [InlineData("http://192.168.7.7", false)]
    [InlineData("http://inside.example", false)]
    [InlineData("http://a.INSIDE.example", false)]
    [InlineData("http://notinside.example", true)]
    [InlineData("http://below.example", true)]
    [InlineData("http://a.below.example", false)]
    public void What_no_proxy_names_is_asked_directly(string address, bool proxied)
    {
        var proxy = Proxy("proxy: http://10.0.0.1:3128\nno-proxy: [10.0.0.0/8, 192.168.7.7, inside.example, .below.example]")!;
        Assert.Equal(proxied ? proxy.Server : null, proxy.GetProxy(new Uri(address)));
    }

    [Fact]
    public void A_star_turns_it_off() => Assert.Null(Proxy("proxy: http://10.0.0.1:3128\nno-proxy: '*'")!.GetProxy(new Uri("http://anything.example")));

    [Fact]
    public void S58_The_engine_is_told_of_it_and_without_one_of_none()
    {
        var told = EngineChild.Find(_ => true, "/data", "/run/docker.sock", Proxy("proxy: http://me:a%20b@10.0.0.1:3128/\nno-proxy: registry.local"))!.Environment;
        Assert.Equal("http://me:a%20b@10.0.0.1:3128", told["HTTP_PROXY"]);
        Assert.Equal(told["HTTP_PROXY"], told["HTTPS_PROXY"]);
        Assert.Equal("localhost,127.0.0.0/8,::1,registry.local", told["NO_PROXY"]);
        Assert.DoesNotContain(EngineChild.Find(_ => true, "/data", "/run/docker.sock")!.Environment.Keys, k => k.Contains("PROXY", StringComparison.Ordinal));
    }

    /// <summary>A real proxy on loopback: the fleet's name means nothing here, so only the proxy can have answered.</summary>
    [Fact]
    public async Task S58_The_fleet_is_asked_through_it_with_its_password()
    {
        var asked = new List<(string Path, string? Password)>();
        await using var server = new MiniHttp(r =>
        {
            asked.Add((r.Path, r.Header("Proxy-Authorization")));
            return Task.FromResult(r.Header("Proxy-Authorization") is null ? new MiniAnswer(407, "", ("Proxy-Authenticate", "Basic realm=\"x\"")) : new MiniAnswer(200, "{}"));
        });
        using var api = new FleetApi(new("http://api.fleet.invalid"), null, HostProxy.Parse($"http://me:secret@127.0.0.1:{server.Port}", ["other.invalid"]));
        var answer = await api.TargetAsync(new("f", 1, RecordedWalk.Uuid, "key", Registered: true), null, TestContext.Current.CancellationToken);
        Assert.True(answer.Ok, answer.Explain);
        Assert.All(asked, a => Assert.Equal($"http://api.fleet.invalid/device/v3/{RecordedWalk.Uuid}/state", a.Path));
        Assert.Equal("Basic " + Convert.ToBase64String("me:secret"u8), asked[^1].Password);
    }

    [Fact]
    public async Task A_proxy_that_is_not_there_is_a_fleet_that_cannot_be_reached()
    {
        using var api = new FleetApi(new("http://api.fleet.invalid"), null, HostProxy.Parse("http://127.0.0.1:1", []));
        var answer = await api.TargetAsync(new("f", 1, RecordedWalk.Uuid, "key", Registered: true), null, TestContext.Current.CancellationToken);
        Assert.Equal(0, answer.Status);
        Assert.Contains("the fleet cannot be reached", answer.Explain);
    }

    [Fact]
    public void Its_password_can_be_read_but_not_set()
    {
        var proxy = HostProxy.Parse("http://me:p%40ss@10.0.0.1:3128", [])!;
        Assert.Equal(("me", "p@ss"), proxy.Credentials is NetworkCredential c ? (c.UserName, c.Password) : default);
        Assert.Null(HostProxy.Parse("http://10.0.0.1:3128", [])!.Credentials);
        Assert.Throws<NotSupportedException>(() => proxy.Credentials = null);
    }
}
