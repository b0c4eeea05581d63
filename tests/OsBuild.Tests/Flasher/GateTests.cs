using System.Text;
using OsBuild.Flasher.Web;

namespace OsBuild.Tests.Flasher;

/// <summary>Who may talk to the page's server.</summary>
public sealed class GateTests
{
    private static readonly Dictionary<string, string> Own = new(StringComparer.OrdinalIgnoreCase) { ["Host"] = "127.0.0.1:4000", ["Cookie"] = "a=b; flasher-4000=session" };

    private static Gate New() => new(4000, "token", "session");

    private static Request Ask(string method, string path, params (string Name, string? Value)[] headers)
    {
        Dictionary<string, string> all = new(Own, StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in headers)
        {
            if (value is null) all.Remove(name);
            else all[name] = value;
        }

        var question = path.IndexOf("?token=", StringComparison.Ordinal);
        return new Request(method, question < 0 ? path : path[..question], question < 0 ? new Dictionary<string, string>() : new() { ["token"] = path[(question + 7)..] }, all, default);
    }

    [Fact]
    public void The_token_works_once_and_becomes_a_session()
    {
        var gate = New();
        var visit = gate.Stop(Ask("GET", "/?token=token", ("Cookie", null)))!;
        Assert.Equal(303, visit.Status);
        Assert.Contains(("Set-Cookie", "flasher-4000=session; Path=/; HttpOnly; SameSite=Strict"), visit.Headers);
        Assert.Equal(403, gate.Stop(Ask("GET", "/?token=token", ("Cookie", null)))!.Status);
        Assert.Equal(303, gate.Stop(Ask("GET", "/?token=token"))!.Status);
        Assert.Null(gate.Stop(Ask("GET", "/")));
    }

    [Fact]
    public void A_wrong_token_does_not_use_up_the_right_one()
    {
        var gate = New();
        Assert.Equal(403, gate.Stop(Ask("GET", "/?token=tokem", ("Cookie", null)))!.Status);
        Assert.Equal(303, gate.Stop(Ask("GET", "/?token=token", ("Cookie", null)))!.Status);
    }

    [Fact]
    public void Of_many_visits_at_once_one_gets_in()
    {
        var gate = New();
        var got = new int[64];
        Parallel.For(0, got.Length, i => got[i] = gate.Stop(Ask("GET", "/?token=token", ("Cookie", null)))!.Status);
        Assert.Single(got, s => s == 303);
    }

    [Theory]
    [InlineData("GET", "/", "Cookie", null)]
    [InlineData("GET", "/events", "Cookie", "flasher-4000=other")]
    [InlineData("GET", "/events", "Cookie", "flasher-4001=session")]
    [InlineData("GET", "/", "Host", "evil.example:4000")]
    [InlineData("GET", "/", "Host", "127.0.0.1:4001")]
    [InlineData("GET", "/", "Host", "")]
    [InlineData("GET", "/files", "Origin", "http://evil.example")]
    [InlineData("GET", "/files", "Origin", "null")]
    [InlineData("GET", "/files", "Sec-Fetch-Site", "cross-site")]
    [InlineData("GET", "/files", "Sec-Fetch-Site", "same-site")]
    [InlineData("POST", "/write", "Origin", null)]
    [InlineData("POST", "/write", "Origin", "http://127.0.0.1:4001")]
    [InlineData("POST", "/write", "Origin", "https://127.0.0.1:4000")]
    [InlineData("PUT", "/write", "Origin", "http://127.0.0.1:4000")]
    public void What_is_not_the_page_itself_is_refused(string method, string path, string header, string? value)
    {
        var request = Ask(method, path, ("Content-Type", "application/json"), ("Origin", method == "POST" ? "http://127.0.0.1:4000" : null), (header, value));
        Assert.Equal(403, New().Stop(request)!.Status);
    }

    [Fact]
    public void A_form_of_another_page_is_refused_whatever_it_carries() =>
        Assert.Equal(403, New().Stop(Ask("POST", "/write", ("Origin", "http://127.0.0.1:4000"), ("Content-Type", "text/plain")))!.Status);

    [Theory]
    [InlineData("GET", "/", "127.0.0.1:4000")]
    [InlineData("POST", "/write", "127.0.0.1:4000")]
    [InlineData("POST", "/write", "localhost:4000")]
    public void The_page_itself_gets_in(string method, string path, string host) =>
        Assert.Null(New().Stop(Ask(method, path, ("Host", host), ("Origin", method == "POST" ? $"http://{host}" : null), ("Content-Type", "application/json; charset=utf-8"), ("Sec-Fetch-Site", "same-origin"))));

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / ")]
    [InlineData("GET /files?path=%2Fa%20b&all HTTP/1.1\r\nHost: a\r\n\r\n", "GET /files path=/a b&all=")]
    [InlineData("POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", "POST /x hi")]
    [InlineData("GET http://a/ HTTP/1.1\r\n\r\n", null)]
    [InlineData("GET / HTTP/2\r\n\r\n", null)]
    [InlineData("GET /\r\n\r\n", null)]
    [InlineData("GET / HTTP/1.1\r\nnothing\r\n\r\n", null)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", null)]
    [InlineData("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", null)]
    [InlineData("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", null)]
    [InlineData("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", null)]
    [InlineData("GET / HTTP/1.1\r\n", null)]
    [InlineData("", null)]
    public async Task Requests_are_read_strictly(string text, string? expected)
    {
        // One byte at a time, as a slow network would bring them.
        var request = await HttpServer.Read(new DripStream(Encoding.ASCII.GetBytes(text)), TestContext.Current.CancellationToken);
        Assert.Equal(expected, request is null ? null : $"{request.Method} {request.Path} {string.Join('&', request.Query.Select(q => $"{q.Key}={q.Value}"))}{Encoding.ASCII.GetString(request.Body.Span)}");
    }

    [Fact]
    public async Task A_head_without_end_is_cut_off() =>
        Assert.Null(await HttpServer.Read(new MemoryStream(Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nA: " + new string('x', 100_000))), TestContext.Current.CancellationToken));

    private sealed class DripStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
