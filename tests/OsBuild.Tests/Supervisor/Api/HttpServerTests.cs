using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OsBuild.Supervisor.Api;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace OsBuild.Tests.Supervisor.Api;

/// <summary>The server over real connections: what it takes, and what it does not put up with.</summary>
public sealed class HttpServerTests : IDisposable, ILogEventSink
{
    private const int MaxBody = 1 << 20;
    private readonly CancellationTokenSource stop = new();
    private readonly Socket listener = new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
    private readonly ConcurrentQueue<string> logged = new();
    private readonly TaskCompletionSource left = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HttpServerTests()
    {
        listener.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        listener.Listen();
        var server = new HttpServer(HandleAsync, new LoggerConfiguration().WriteTo.Sink(this).CreateLogger(), MaxBody)
        {
            Gate = r => r.Path.StartsWith("/closed", StringComparison.Ordinal) ? HttpAnswer.Text(401, "no\n") : null,
            Streams = r => r.Path == "/count",
        };
        _ = server.ListenAsync(listener, stop.Token);
    }

    void ILogEventSink.Emit(LogEvent logEvent) => logged.Enqueue($"{logEvent.RenderMessage(CultureInfo.InvariantCulture)}: {logEvent.Exception?.Message}");

    public void Dispose()
    {
        stop.Cancel();
        listener.Dispose();
        stop.Dispose();
    }

    private async Task<HttpAnswer> HandleAsync(HttpRequest request, CancellationToken stopped) => request.Path switch
    {
        "/echo" => new(200, "application/octet-stream", request.Body),
        "/query" => HttpAnswer.Text(200, $"{request.Query["a"]}|{request.Query["b"]}|{request.From}"),
        "/count" => HttpAnswer.Text(200, $"{await CountAsync(request.Input!, stopped)}"),
        "/throw" or "/a\nb" => throw new InvalidOperationException("it broke"),
        "/talk" => new(200, "text/plain", []) { Stream = TalkAsync },
        "/break" => new(200, "text/plain", []) { Stream = BreakAsync },
        "/listen" => new(200, "text/plain", []) { Stream = ListenAsync },
        _ => HttpAnswer.Text(404, "nothing\n"),
    };

    private static async Task<long> CountAsync(Stream input, CancellationToken stopped)
    {
        var (buffer, total) = (new byte[1 << 16], 0L);
        for (int n; (n = await input.ReadAsync(buffer, stopped)) > 0;) total += n;
        return total;
    }

    private static async Task TalkAsync(Stream to, CancellationToken stopped)
    {
        foreach (var word in (string[])["one ", "two ", "three"]) await to.WriteAsync(Encoding.UTF8.GetBytes(word), stopped);
    }

    private static async Task BreakAsync(Stream to, CancellationToken stopped)
    {
        await to.WriteAsync("one "u8.ToArray(), stopped);
        throw new InvalidOperationException("it broke off");
    }

    private async Task ListenAsync(Stream to, CancellationToken stopped)
    {
        try
        {
            await to.WriteAsync("here\n"u8.ToArray(), stopped);
            await Task.Delay(Timeout.Infinite, stopped);
        }
        finally
        {
            left.TrySetResult();
        }
    }

    private int Port => ((IPEndPoint)listener.LocalEndPoint!).Port;

    private HttpClient Client() => new() { BaseAddress = new Uri($"http://127.0.0.1:{Port}/") };

    /// <summary>Sends bytes as they are and gives all that comes until the other side closes.</summary>
    private async Task<string> RawAsync(string text)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(text), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(100_000, false)]
    [InlineData(MaxBody, false)]
    [InlineData(0, true)]
    [InlineData(100_000, true)]
    public async Task A_body_comes_through_by_length_and_in_chunks(int size, bool chunked)
    {
        using var http = Client();
        var body = new byte[size];
        new Random(size).NextBytes(body);
        using var request = new HttpRequestMessage(HttpMethod.Post, "echo") { Content = new ByteArrayContent(body) };
        if (chunked) request.Headers.TransferEncodingChunked = true;
        for (var i = 0; i < 2; i++)
        {
            using var again = new HttpRequestMessage(HttpMethod.Post, "echo") { Content = new ByteArrayContent(body) };
            again.Headers.TransferEncodingChunked = chunked ? true : null;
            using var answer = await http.SendAsync(again, TestContext.Current.CancellationToken);
            Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_and_one_that_is_streamed_is_not()
    {
        using var http = Client();
        using var large = await http.PostAsync("echo", new ByteArrayContent(new byte[MaxBody + 1]), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        using var streamed = await http.PostAsync("count", new ByteArrayContent(new byte[5 * MaxBody]), TestContext.Current.CancellationToken);
        Assert.Equal($"{5 * MaxBody}", await streamed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_gate_answers_before_the_body_is_read()
    {
        // The body never comes; the answer does.
        var answer = await RawAsync("POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 401", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_unix_socket_is_served_alike_and_nobody_there_has_an_address()
    {
        var path = Path.Combine(Path.GetTempPath(), $"osb-{Environment.ProcessId}-{Port}.sock");
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen();
        _ = new HttpServer(HandleAsync, Logger.None).ListenAsync(socket, stop.Token);
        using var client = OsBuild.Supervisor.Api.Client.Local(path);
        for (var i = 0; i < 50; i++)
        {
            using var answer = await client.SendAsync(new(HttpMethod.Get, "query?a=1&b=2"), TestContext.Current.CancellationToken);
            Assert.Equal("1|2|", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        File.Delete(path);
    }

    [Fact]
    public async Task Query_and_address_arrive_decoded()
    {
        using var http = Client();
        Assert.Equal("x y|ü&|::ffff:127.0.0.1", await http.GetStringAsync("query?a=x+y&b=%C3%BC%26", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_fault_is_an_answer_and_in_the_log_and_the_server_goes_on()
    {
        using var http = Client();
        using var answer = await http.GetAsync("throw", TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.InternalServerError, "it broke\n"), (answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)));
        using var broken = await http.GetAsync("a%0Ab?apikey=secret", TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync("break", TestContext.Current.CancellationToken));
        Assert.Equal("one two three", await http.GetStringAsync("talk", TestContext.Current.CancellationToken));
        for (var i = 0; i < 200 && logged.Count < 3; i++) await Task.Delay(50, TestContext.Current.CancellationToken);
        Assert.Equal(["\"GET\" \"/throw\" failed: it broke", "\"GET\" \"/a%0Ab\" failed: it broke", "\"GET\" \"/break\" failed: it broke off"], logged);
    }

    [Fact]
    public async Task What_is_refused_or_no_request_is_no_fault_of_the_server()
    {
        using var http = Client();
        using var closed = await http.GetAsync("closed", TestContext.Current.CancellationToken);
        await RawAsync("nonsense\r\n\r\n");
        Assert.Empty(logged);
    }

    [Theory]
    [InlineData("nonsense\r\n\r\n")]
    [InlineData("GET nowhere HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/3\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nno colon\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\n folded: x\r\n\r\n")]
    [InlineData("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello")]
    [InlineData("POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello")]
    [InlineData("POST /echo HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello")]
    [InlineData("POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nhello")]
    public async Task What_is_no_request_is_refused(string text) => Assert.StartsWith("HTTP/1.1 400", await RawAsync(text), StringComparison.Ordinal);

    [Fact]
    public async Task A_head_without_end_is_refused() => Assert.StartsWith("HTTP/1.1 400", await RawAsync("GET / HTTP/1.1\r\nx: " + new string('a', 20_000)), StringComparison.Ordinal);

    [Fact]
    public async Task A_chunk_that_lies_about_its_size_ends_the_connection() =>
        Assert.Equal("", await RawAsync("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"));

    [Fact]
    public async Task A_listener_who_leaves_is_noticed_although_nothing_is_said()
    {
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
            await client.GetStream().WriteAsync("GET /listen HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            Assert.True(await client.GetStream().ReadAsync(new byte[100], TestContext.Current.CancellationToken) > 0);
        }

        await left.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task One_address_cannot_take_every_connection()
    {
        var open = new List<TcpClient>();
        try
        {
            for (var i = 0; i < 40; i++)
            {
                var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, Port, TestContext.Current.CancellationToken);
                open.Add(client);
            }

            // The last ones are closed at once; a read says so.
            var closed = await open[^1].GetStream().ReadAsync(new byte[1], TestContext.Current.CancellationToken);
            Assert.Equal(0, closed);
            foreach (var client in open) client.Dispose();
            using var http = Client();
            HttpResponseMessage? answer = null;
            for (var i = 0; i < 100 && answer is null; i++)
            {
                try
                {
                    answer = await http.GetAsync("talk", TestContext.Current.CancellationToken);
                }
                catch (HttpRequestException)
                {
                    await Task.Delay(50, TestContext.Current.CancellationToken);
                }
            }

            Assert.Equal(HttpStatusCode.OK, answer?.StatusCode);
        }
        finally
        {
            foreach (var client in open) client.Dispose();
        }
    }
}
