using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Serilog;

namespace OsBuild.Supervisor.Api;

/// <summary>HTTP/1.1 in the small: bounded requests, keep-alive, chunked streams. ASP.NET would double the supervisor.</summary>
/// <remarks>Nobody can hold it up: heads, bodies and every write have a time, connections are counted in all and per address, and a gate decides
/// on the head alone, before a byte of the body is read.</remarks>
internal sealed class HttpServer(Func<HttpRequest, CancellationToken, Task<HttpAnswer>> handle, ILogger log, int maxBody = 10 << 20)
{
    private const int MaxConnections = 64;
    private const int MaxPerAddress = 32;
    private static readonly TimeSpan HeadTime = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan BodyTime = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan WriteTime = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LingerTime = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<IPAddress, int> addresses = new();
    private int connections;

    /// <summary>Looks at a head; an answer refuses the request.</summary>
    public Func<HttpRequest, HttpAnswer?> Gate { get; init; } = _ => null;

    /// <summary>True for a call that takes its body as it comes, without limit of size or time.</summary>
    public Func<HttpRequest, bool> Streams { get; init; } = _ => false;

    public async Task ListenAsync(Socket listener, CancellationToken stop)
    {
        while (true)
        {
            var client = await listener.AcceptAsync(stop);
            var from = (client.RemoteEndPoint as IPEndPoint)?.Address;
            if (!Enter(from))
            {
                client.Dispose();
                continue;
            }

            _ = ServeAsync(client, from, stop);
        }
    }

    private bool Enter(IPAddress? from)
    {
        var mine = from is null ? 1 : addresses.AddOrUpdate(from, 1, (_, n) => n + 1);
        if (Interlocked.Increment(ref connections) <= MaxConnections && mine <= MaxPerAddress) return true;
        Leave(from);
        return false;
    }

    private void Leave(IPAddress? from)
    {
        Interlocked.Decrement(ref connections);
        if (from is not null && addresses.AddOrUpdate(from, 0, (_, n) => n - 1) == 0) addresses.TryRemove(new(from, 0));
    }

    private async Task ServeAsync(Socket client, IPAddress? from, CancellationToken stop)
    {
        try
        {
            using var owned = client;
            if (from is not null) client.NoDelay = true;
            await using var stream = new NetworkStream(client);
            var reader = new HttpReader(stream, maxBody);
            while (await ServeOneAsync(stream, reader, from, stop))
            {
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
        }
        finally
        {
            Leave(from);
        }
    }

    /// <summary>One request and its answer. False when the connection is done.</summary>
    private async Task<bool> ServeOneAsync(NetworkStream stream, HttpReader reader, IPAddress? from, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var (keep, watch) = (false, true);
        HttpRequest? asked = null;
        HttpAnswer answer;
        try
        {
            limit.CancelAfter(HeadTime);
            asked = await reader.HeadAsync(limit.Token);
            if (asked is null) return false;
            asked = asked with { From = from };
            answer = Gate(asked) ?? await TakeAsync(asked);
        }
        catch (BadRequestException e)
        {
            answer = HttpAnswer.Text(e.Status, e.Message + "\n");
        }
        catch (Exception e) when (e is not (OperationCanceledException or IOException))
        {
            Tell(asked, e);
            answer = HttpAnswer.Text(500, e.Message + "\n");
        }

        try
        {
            return await AnswerAsync(stream, answer, keep && answer.Stream is null, watch, stop);
        }
        catch (Exception e) when (e is not (OperationCanceledException or IOException or SocketException or ObjectDisposedException))
        {
            Tell(asked, e); // in the middle of a stream nothing can be answered any more
            return false;
        }

        async Task<HttpAnswer> TakeAsync(HttpRequest request)
        {
            if (request.Header("expect")?.Equals("100-continue", StringComparison.OrdinalIgnoreCase) == true) await stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), limit.Token);
            if (Streams(request))
            {
                limit.CancelAfter(Timeout.InfiniteTimeSpan);
                watch = false;
                return await handle(request with { Input = reader.Input(request) }, stop);
            }

            limit.CancelAfter(BodyTime);
            request = request with { Body = await reader.BodyAsync(request, limit.Token) };
            keep = request.Header("connection")?.Equals("close", StringComparison.OrdinalIgnoreCase) != true;
            return await handle(request, stop);
        }
    }

    /// <summary>Method and path are the client's: what could end the line is escaped. The query may hold a key and is left out.</summary>
    private void Tell(HttpRequest? request, Exception fault) =>
        log.Error(fault, "{Method} {Path} failed", Escape(request?.Method), Escape(request?.Path));

    private static string Escape(string? text) => Uri.EscapeDataString(text ?? "?").Replace("%2F", "/", StringComparison.Ordinal);

    private static async Task<bool> AnswerAsync(NetworkStream stream, HttpAnswer answer, bool keep, bool watch, CancellationToken stop)
    {
        var head = new StringBuilder($"HTTP/1.1 {answer.Status} {HttpAnswer.Reason(answer.Status)}\r\nContent-Type: {answer.ContentType}\r\n");
        foreach (var (name, value) in answer.Headers ?? new Dictionary<string, string>()) head.Append($"{name}: {value}\r\n");
        head.Append(answer.Stream is null ? $"Content-Length: {answer.Body.Length}\r\n" : "Transfer-Encoding: chunked\r\n").Append($"Connection: {(keep ? "keep-alive" : "close")}\r\n\r\n");
        await WriteAsync(stream, (byte[])[.. Encoding.ASCII.GetBytes(head.ToString()), .. answer.Body], stop);
        if (answer.Stream is null) return keep || await LingerAsync(stream, stop);
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var end = watch ? EndAsync(stream, gone) : Task.CompletedTask;
        try
        {
            await answer.Stream(new ChunkedStream(stream), gone.Token);
            await WriteAsync(stream, "0\r\n\r\n"u8.ToArray(), stop);
        }
        finally
        {
            await gone.CancelAsync();
            await end;
        }

        return false;
    }

    /// <summary>Gives up on a reader that takes nothing for a while.</summary>
    private static async ValueTask WriteAsync(NetworkStream stream, ReadOnlyMemory<byte> block, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(WriteTime);
        await stream.WriteAsync(block, limit.Token);
    }

    /// <summary>Whoever listens to a stream writes nothing more: a read that ends means that he is gone.</summary>
    private static async Task EndAsync(NetworkStream stream, CancellationTokenSource gone)
    {
        try
        {
            var nothing = new byte[64];
            while (await stream.ReadAsync(nothing, gone.Token) > 0)
            {
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
        }

        await gone.CancelAsync();
    }

    /// <summary>A close with unread bytes resets the connection, and the answer may be lost with it: the rest is read for a moment first.</summary>
    private static async Task<bool> LingerAsync(NetworkStream stream, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(LingerTime);
        stream.Socket.Shutdown(SocketShutdown.Send);
        var rest = new byte[8192];
        while (await stream.ReadAsync(rest, limit.Token) > 0)
        {
        }

        return false;
    }

    /// <summary>Writes every block as one chunk and sends it at once.</summary>
    private sealed class ChunkedStream(NetworkStream inner) : Stream
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
            await HttpServer.WriteAsync(inner, block.AsMemory(0, head + buffer.Length + 2), cancellationToken);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
        public override void Write(byte[] buffer, int offset, int count) => WriteAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
