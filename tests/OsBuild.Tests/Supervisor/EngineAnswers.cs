using System.Net;
using System.Net.Sockets;
using System.Text;
using OsBuild.Supervisor.Engine;

namespace OsBuild.Tests.Supervisor;

/// <summary>Answers of an engine that a real one gives only in bad moments, from a socket that says what it is told to.</summary>
public sealed class EngineAnswers : IAsyncDisposable
{
    private readonly string path = Path.Combine(Path.GetTempPath(), $"osb-e{Environment.ProcessId}-{Random.Shared.Next():x}.sock");
    private readonly CancellationTokenSource stop = new();
    private readonly List<string> requests = [];
    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Task serving;
    private readonly EngineClient engine;
    private (int Status, string Body)? answer = (200, "{}");

    public EngineAnswers()
    {
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        serving = ServeAsync();
        engine = new EngineClient(path) { Patience = TimeSpan.FromSeconds(10), PullPatience = TimeSpan.FromSeconds(10) };
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await serving;
        engine.Dispose();
        File.Delete(path);
    }

    private async Task ServeAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                _ = AnswerAsync(await listener.AcceptAsync(stop.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task AnswerAsync(Socket connection)
    {
        using (connection)
        {
            var text = new StringBuilder();
            var buffer = new byte[8192];
            while (!IsWhole(text.ToString()))
            {
                var count = await connection.ReceiveAsync(buffer, stop.Token);
                if (count == 0) return;
                text.Append(Encoding.ASCII.GetString(buffer, 0, count));
            }

            lock (requests) requests.Add(text.ToString().Split("\r\n")[0]);
            if (answer is not { } a)
            {
                await Task.Delay(Timeout.Infinite, stop.Token);
                return;
            }

            var body = Encoding.UTF8.GetBytes(a.Body);
            await connection.SendAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {a.Status} X\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"));
            // Torn into pieces that end anywhere, as a network does.
            for (var at = 0; at < body.Length; at += 7)
            {
                var piece = body.AsMemory(at, Math.Min(7, body.Length - at));
                await connection.SendAsync(Encoding.ASCII.GetBytes($"{piece.Length:x}\r\n"));
                await connection.SendAsync(piece);
                await connection.SendAsync("\r\n"u8.ToArray());
            }

            await connection.SendAsync("0\r\n\r\n"u8.ToArray());
        }
    }

    /// <summary>Head and body, chunked or of a known length: an answer before that would break the pipe.</summary>
    private static bool IsWhole(string request)
    {
        var head = request.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0) return false;
        if (request.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase)) return request.EndsWith("0\r\n\r\n", StringComparison.Ordinal);
        var length = request[..head].Split("\r\n").FirstOrDefault(l => l.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
        return length is null || request.Length >= head + 4 + int.Parse(length["Content-Length:".Length..], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Theory]
    [InlineData(404, "No such container: x")]
    [InlineData(409, "removal of container x is already in progress")]
    [InlineData(204, "")]
    public async Task S49_What_is_gone_or_going_is_removed(int status, string message)
    {
        answer = (status, $$"""{"message":"{{message}}"}""");
        await engine.RemoveAsync("x", CancellationToken.None);
    }

    [Theory]
    [InlineData(304)]
    [InlineData(404)]
    public async Task S49_What_is_stopped_already_or_gone_is_stopped(int status)
    {
        answer = (status, "");
        await engine.StopAsync("x", TimeSpan.FromSeconds(1), CancellationToken.None);
    }

    [Fact]
    public async Task S49_A_name_that_is_taken_is_refused_with_the_engine_s_own_words()
    {
        answer = (409, """{"message":"Conflict. The container name \"/web\" is already in use"}""");
        var refused = await Assert.ThrowsAsync<EngineRefusedException>(() => engine.CreateAsync(new() { Image = "a" }, CancellationToken.None));
        Assert.Equal((HttpStatusCode.Conflict, "Conflict. The container name \"/web\" is already in use"), (refused.Status, refused.Message));
    }

    [Fact]
    public async Task S50_A_download_that_fails_after_it_was_accepted_is_a_failure()
    {
        answer = (200, "{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"no space left on device\"},\"error\":\"no space left on device\"}\r\n");
        var refused = await Assert.ThrowsAsync<EngineRefusedException>(() => engine.PullAsync("web:1", null, null, CancellationToken.None));
        Assert.Equal("no space left on device", refused.Message);
        answer = (200, "{\"status\":\"Pulling\"}\r\n{\"status\":\"Downloaded newer image for web:1\"}\r\n");
        await engine.PullAsync("web:1", null, null, CancellationToken.None);
    }

    [Fact]
    public async Task S50_An_archive_that_fails_after_it_was_accepted_is_a_failure()
    {
        answer = (200, "{\"errorDetail\":{\"message\":\"unexpected EOF\"}}\r\n");
        var refused = await Assert.ThrowsAsync<EngineRefusedException>(() => engine.LoadAsync(new MemoryStream(new byte[10]), CancellationToken.None));
        Assert.Equal("unexpected EOF", refused.Message);
    }

    [Fact]
    public async Task S43_48_An_engine_that_says_nothing_is_given_up()
    {
        answer = null;
        using var hasty = new EngineClient(path) { Patience = TimeSpan.FromSeconds(0.2) };
        var silent = await Assert.ThrowsAsync<EngineUnreachableException>(() => hasty.VersionAsync(CancellationToken.None));
        Assert.Contains("did not answer within", silent.Message);
    }

    [Fact]
    public async Task S48_An_engine_that_is_not_there_or_answers_nonsense_is_unreachable()
    {
        using var nobody = new EngineClient(path + ".none");
        await Assert.ThrowsAsync<EngineUnreachableException>(() => nobody.VersionAsync(CancellationToken.None));
        answer = (200, "<html>");
        await Assert.ThrowsAsync<EngineUnreachableException>(() => engine.VersionAsync(CancellationToken.None));
    }

    [Fact]
    public async Task S52_No_call_asks_for_a_newer_version_of_the_api_than_the_oldest_engine_has()
    {
        answer = (200, "[]");
        await engine.ListContainersAsync(CancellationToken.None);
        await engine.ListImagesAsync(CancellationToken.None);
        lock (requests) Assert.All(requests, r => Assert.True(!r.Contains("/v1.", StringComparison.Ordinal) || r.Contains("/v1.40/", StringComparison.Ordinal), r));
    }
}
