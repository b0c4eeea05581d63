using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.Supervisor.Api;

/// <summary>A request as far as the supervisor's faces need it.</summary>
internal sealed record HttpRequest(string Method, string Path, IReadOnlyDictionary<string, string> Query, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string? Header(string name) => Headers.GetValueOrDefault(name.ToLowerInvariant());
}

/// <summary>An answer: a body at once, or a stream that is written for as long as there is something to say.</summary>
internal sealed record HttpAnswer(int Status, string ContentType, byte[] Body)
{
    public Func<Stream, CancellationToken, Task>? Stream { get; init; }
    public IReadOnlyDictionary<string, string>? Headers { get; init; }

    public static HttpAnswer Text(int status, string text) => new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text));

    public static HttpAnswer Json(byte[] json, int status = 200) => new(status, "application/json", json);
}

/// <summary>HTTP/1.1 in the small: one listener, bounded requests, keep-alive, chunked streams. ASP.NET would double the supervisor.</summary>
internal sealed class HttpServer(Func<HttpRequest, CancellationToken, Task<HttpAnswer>> handle, int maxBody = 10 << 20)
{
    private const int MaxHead = 16 * 1024;
    private const int MaxConnections = 64;
    private static readonly TimeSpan HeadTime = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan BodyTime = TimeSpan.FromMinutes(2);

    private int connections;

    public async Task ListenAsync(Socket listener, CancellationToken stop)
    {
        while (true)
        {
            var client = await listener.AcceptAsync(stop);
            if (Interlocked.Increment(ref connections) > MaxConnections)
            {
                Interlocked.Decrement(ref connections);
                client.Dispose();
                continue;
            }

            _ = ServeAsync(client, stop);
        }
    }

    private async Task ServeAsync(Socket client, CancellationToken stop)
    {
        try
        {
            using var owned = client;
            await using var stream = new NetworkStream(client);
            var buffer = new List<byte>();
            while (await ReadAsync(stream, buffer, stop) is { } request)
            {
                var keep = request.Header("connection")?.Equals("close", StringComparison.OrdinalIgnoreCase) != true;
                if (!await AnswerAsync(stream, request, keep, stop) || !keep) return;
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
        }
        finally
        {
            Interlocked.Decrement(ref connections);
        }
    }

    private async Task<bool> AnswerAsync(NetworkStream stream, HttpRequest request, bool keep, CancellationToken stop)
    {
        HttpAnswer answer;
        try
        {
            answer = request.Method.Length == 0 ? HttpAnswer.Text(400, "bad request\n") : await handle(request, stop);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            answer = HttpAnswer.Text(500, e.Message + "\n");
        }

        var head = new StringBuilder($"HTTP/1.1 {answer.Status} {Reason(answer.Status)}\r\nContent-Type: {answer.ContentType}\r\n");
        foreach (var (name, value) in answer.Headers ?? new Dictionary<string, string>()) head.Append($"{name}: {value}\r\n");
        if (answer.Stream is null)
        {
            head.Append($"Content-Length: {answer.Body.Length}\r\nConnection: {(keep ? "keep-alive" : "close")}\r\n\r\n");
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head.ToString()), stop);
            await stream.WriteAsync(answer.Body, stop);
            return request.Method.Length > 0;
        }

        head.Append("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.ToString()), stop);
        await using (var chunked = new ChunkedStream(stream)) await answer.Stream(chunked, stop);
        await stream.WriteAsync("0\r\n\r\n"u8.ToArray(), stop);
        return false;
    }

    /// <summary>One request, or null when the other side is done. A malformed one has an empty method.</summary>
    private async Task<HttpRequest?> ReadAsync(NetworkStream stream, List<byte> buffer, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(HeadTime);
        var chunk = new byte[8192];
        int end;
        while ((end = EndOfHead(buffer)) < 0)
        {
            if (buffer.Count > MaxHead) return Bad();
            var count = await stream.ReadAsync(chunk, limit.Token);
            if (count == 0) return null;
            buffer.AddRange(chunk.AsSpan(0, count));
        }

        var lines = Encoding.Latin1.GetString([.. buffer[..end]]).Split("\r\n");
        buffer.RemoveRange(0, end + 4);
        var first = lines[0].Split(' ');
        if (first.Length != 3 || !first[1].StartsWith('/') || !first[2].StartsWith("HTTP/1.", StringComparison.Ordinal)) return Bad();
        var headers = new Dictionary<string, string>();
        foreach (var line in lines[1..])
        {
            var colon = line.IndexOf(':');
            if (colon < 1) return Bad();
            headers[line[..colon].ToLowerInvariant()] = line[(colon + 1)..].Trim();
        }

        limit.CancelAfter(BodyTime);
        if (await BodyAsync(stream, buffer, headers, limit.Token) is not { } body) return Bad();
        var question = first[1].IndexOf('?');
        var query = new Dictionary<string, string>();
        foreach (var pair in question < 0 ? [] : first[1][(question + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=');
            query[Uri.UnescapeDataString(equals < 0 ? pair : pair[..equals])] = equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..].Replace('+', ' '));
        }

        return new(first[0], Uri.UnescapeDataString(question < 0 ? first[1] : first[1][..question]), query, headers, body);
    }

    private async Task<byte[]?> BodyAsync(NetworkStream stream, List<byte> buffer, Dictionary<string, string> headers, CancellationToken stop)
    {
        if (headers.GetValueOrDefault("expect")?.Equals("100-continue", StringComparison.OrdinalIgnoreCase) == true) await stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), stop);
        if (headers.GetValueOrDefault("transfer-encoding")?.Contains("chunked", StringComparison.OrdinalIgnoreCase) == true) return await ChunksAsync(stream, buffer, stop);
        if (!headers.TryGetValue("content-length", out var text)) return [];
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length > maxBody) return null;
        await FillAsync(stream, buffer, length, stop);
        byte[] body = [.. buffer[..length]];
        buffer.RemoveRange(0, length);
        return body;
    }

    private async Task<byte[]?> ChunksAsync(NetworkStream stream, List<byte> buffer, CancellationToken stop)
    {
        var body = new List<byte>();
        while (true)
        {
            int line;
            while ((line = buffer.IndexOf((byte)'\n')) < 0)
            {
                if (buffer.Count > MaxHead) return null;
                await FillAsync(stream, buffer, buffer.Count + 1, stop);
            }

            var size = Encoding.ASCII.GetString([.. buffer[..line]]).Split(';')[0].Trim();
            buffer.RemoveRange(0, line + 1);
            if (!int.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var length) || length < 0 || body.Count + length > maxBody) return null;
            await FillAsync(stream, buffer, length + 2, stop);
            body.AddRange(buffer[..length]);
            buffer.RemoveRange(0, length + 2);
            if (length == 0) return [.. body];
        }
    }

    private static async Task FillAsync(NetworkStream stream, List<byte> buffer, int length, CancellationToken stop)
    {
        var chunk = new byte[8192];
        while (buffer.Count < length)
        {
            var count = await stream.ReadAsync(chunk, stop);
            if (count == 0) throw new IOException("the request ended early");
            buffer.AddRange(chunk.AsSpan(0, count));
        }
    }

    private static int EndOfHead(List<byte> buffer)
    {
        for (var i = 0; i + 3 < buffer.Count; i++)
            if (buffer[i] == '\r' && buffer[i + 1] == '\n' && buffer[i + 2] == '\r' && buffer[i + 3] == '\n') return i;
        return -1;
    }

    private static HttpRequest Bad() => new("", "/", new Dictionary<string, string>(), new Dictionary<string, string>(), []);

    private static string Reason(int status) => status switch { 200 => "OK", 202 => "Accepted", 204 => "No Content", 400 => "Bad Request", 401 => "Unauthorized", 404 => "Not Found", 405 => "Method Not Allowed", 409 => "Conflict", 422 => "Unprocessable Content", 423 => "Locked", 503 => "Service Unavailable", _ => "Status" };

    /// <summary>Writes every block as one chunk and sends it at once.</summary>
    private sealed class ChunkedStream(Stream inner) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (buffer.Length == 0) return;
            var block = new byte[buffer.Length + 16];
            var head = Encoding.ASCII.GetBytes($"{buffer.Length:x}\r\n", block);
            buffer.CopyTo(block.AsMemory(head));
            "\r\n"u8.CopyTo(block.AsSpan(head + buffer.Length));
            await inner.WriteAsync(block.AsMemory(0, head + buffer.Length + 2), cancellationToken);
        }

        public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
