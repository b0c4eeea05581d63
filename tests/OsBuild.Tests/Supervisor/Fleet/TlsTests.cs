using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using OsBuild.Supervisor.Fleet;
using static OsBuild.Tests.Supervisor.TestCertificates;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>A fleet of one's own has a root certificate of its own: config.json brings it, and nothing else is trusted.</summary>
public sealed class TlsTests
{
    private static readonly FleetIdentity Identity = new("f", 1, RecordedWalk.Uuid, "key", Registered: true);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>One poll of a TLS server with this certificate by a device whose config.json has this root.</summary>
    private static async Task<ApiAnswer> PollAsync(X509Certificate2 leaf, X509Certificate2? root, string host = "127.0.0.1")
    {
        await using var server = new MiniHttp(_ => Task.FromResult(new MiniAnswer(200, "{}", ("ETag", "\"1\""))), leaf);
        var json = new JsonObject { ["apiEndpoint"] = $"https://{host}:{server.Port}" };
        if (root is not null) json["balenaRootCA"] = Convert.ToBase64String(Encoding.ASCII.GetBytes(root.ExportCertificatePem()));
        var config = FleetConfig.Parse(json.ToJsonString(), Assert.Fail);
        using var api = new FleetApi(config.ApiEndpoint!, config.RootCertificate);
        return await api.TargetAsync(Identity, null, Stop);
    }

    [Fact]
    public async Task The_root_of_config_json_is_trusted()
    {
        using var root = Root("fleet root");
        using var leaf = Leaf(root);
        var answer = await PollAsync(leaf, root);
        Assert.True(answer.Ok, answer.Explain);
        Assert.Equal("\"1\"", answer.ETag);
    }

    [Fact]
    public async Task Nothing_else_is_trusted_and_it_says_what_to_look_at()
    {
        using var root = Root("fleet root");
        using var stranger = Root("fleet root");
        using var leaf = Leaf(root);
        foreach (var trusted in (X509Certificate2?[])[null, stranger])
        {
            var answer = await PollAsync(leaf, trusted);
            Assert.Equal(0, answer.Status);
            Assert.Contains("the fleet's certificate is not trusted", answer.Explain);
            Assert.Contains("balenaRootCA", answer.Explain);
        }
    }

    [Theory]
    [InlineData("%%")]
    [InlineData("aGVsbG8=")]
    [InlineData("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmFHVnNiRzg9Ci0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K")]
    public void A_root_that_is_no_certificate_is_named_and_left_out(string text)
    {
        var problems = new List<string>();
        Assert.Null(FleetConfig.Parse($$"""{"balenaRootCA":"{{text}}"}""", problems.Add).RootCertificate);
        Assert.Equal(["config.json: balenaRootCA must be a PEM certificate in base64; it is ignored"], problems);
    }

    [Theory]
    [InlineData(-20, -10)]
    [InlineData(10, 20)]
    public async Task A_certificate_of_another_time_is_not_trusted_and_the_clock_is_named(int from, int to)
    {
        using var root = Root("fleet root");
        using var leaf = Leaf(root, from, to);
        Assert.Contains("is the device's clock right?", (await PollAsync(leaf, root)).Explain);
    }

    [Fact]
    public async Task A_certificate_for_another_name_is_not_trusted()
    {
        using var root = Root("fleet root");
        using var leaf = Leaf(root);
        var answer = await PollAsync(leaf, root, "localhost");
        Assert.Equal(0, answer.Status);
        Assert.Contains("not trusted", answer.Explain);
    }
}
