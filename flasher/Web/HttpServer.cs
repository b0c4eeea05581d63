using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OsBuild.Flasher.Writing;

namespace OsBuild.Flasher.Web;

/// <summary>A request of the page.</summary>
internal sealed record Request(string Method, string Path, IReadOnlyDictionary<string, string> Query, IReadOnlyDictionary<string, string> Headers, ReadOnlyMemory<byte> Body)
{
    public string Header(string name) => Headers.GetValueOrDefault(name, "");
}

/// <summary>An answer: bytes at once, or events for as long as the page listens.</summary>
internal sealed record Answer(int Status, string Type, ReadOnlyMemory<byte> Body)
{
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    public Func<Stream, CancellationToken, Task>? Events { get; init; }

    public static Answer Text(int status, string text) => new(status, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(text + "\n"));
}

/// <summary>HTTP/1.1 for one page on this computer: loopback only, one request a connection, everything bounded. ASP.NET would triple the file.</summary>
internal sealed class HttpServer : IDisposable
{
    private const int MaxHead = 16 << 10, MaxBody = 2 << 20, MaxConnections = 32;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly TcpListener _listener;
    private int _connections;

    /// <param name="port">The port, or 0 for any that is free.</param>
    /// <exception cref="RefusedException">The port is taken.</exception>
    public HttpServer(int port)
    {
        _listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            _listener.Start();
        }
        catch (SocketException e)
        {
            throw new RefusedException($"Port {port} cannot be used ({e.Message.TrimEnd('.')}); take another one with --port, or none for any that is free.");
        }
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public async Task Run(Func<Request, Answer> handle, CancellationToken stop)
    {
        while (true)
        {
            var client = await _listener.AcceptTcpClientAsync(stop);
            if (Interlocked.Increment(ref _connections) <= MaxConnections)
            {
                _ = Serve(client, handle, stop);
                continue;
            }

            Interlocked.Decrement(ref _connections);
            client.Dispose();
        }
    }

    private async Task Serve(TcpClient client, Func<Request, Answer> handle, CancellationToken stop)
    {
        try
        {
            using var owned = client;
            await using var stream = client.GetStream();
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
            patience.CancelAfter(Patience);
            var request = await Read(stream, patience.Token);
            // Handlers look at disks and files, which may take a while: not on the threads that serve the others.
            var answer = request is null ? Answer.Text(400, "That is no request this page would make.") : await Task.Run(() => handle(request), stop);
            await Write(stream, answer, stop);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // The page has gone.
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
        }
    }

    /// <summary>Reads a request; null when it is not one.</summary>
    internal static async Task<Request?> Read(Stream stream, CancellationToken stop)
    {
        var buffer = new byte[MaxHead];
        int filled = 0, end;
        while ((end = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) < 0)
        {
            if (filled == buffer.Length) return null;
            var got = await stream.ReadAsync(buffer.AsMemory(filled), stop);
            if (got == 0) return null;
            filled += got;
        }

        var lines = Encoding.Latin1.GetString(buffer, 0, end).Split("\r\n");
        if (lines[0].Split(' ') is not [var method, ['/', ..] target, "HTTP/1.1" or "HTTP/1.0"]) return null;
        Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
        foreach (var line in lines[1..])
        {
            var colon = line.IndexOf(':');
            // Two of a kind are how one part of a chain is made to see another request than the next.
            if (colon < 1 || !headers.TryAdd(line[..colon], line[(colon + 1)..].Trim())) return null;
        }

        var length = 0;
        if (headers.ContainsKey("Transfer-Encoding")) return null;
        if (headers.TryGetValue("Content-Length", out var text) && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > MaxBody)) return null;
        var body = new byte[length];
        var early = Math.Min(length, filled - end - 4);
        buffer.AsSpan(end + 4, early).CopyTo(body);
        await stream.ReadExactlyAsync(body.AsMemory(early), stop);
        var question = target.IndexOf('?');
        return new Request(method, Uri.UnescapeDataString(question < 0 ? target : target[..question]), Query(question < 0 ? "" : target[(question + 1)..]), headers, body);
    }

    private static Dictionary<string, string> Query(string text)
    {
        Dictionary<string, string> query = [];
        foreach (var pair in text.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=');
            query[Uri.UnescapeDataString(equals < 0 ? pair : pair[..equals])] = equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..].Replace('+', ' '));
        }

        return query;
    }

    private static async Task Write(Stream stream, Answer answer, CancellationToken stop)
    {
        var head = new StringBuilder().Append(CultureInfo.InvariantCulture, $"HTTP/1.1 {answer.Status} {(answer.Status < 400 ? "OK" : "Refused")}\r\nContent-Type: {answer.Type}\r\nConnection: close\r\n");
        if (answer.Events is null) head.Append(CultureInfo.InvariantCulture, $"Content-Length: {answer.Body.Length}\r\n");
        foreach (var (name, value) in answer.Headers) head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), stop);
        if (answer.Events is null) await stream.WriteAsync(answer.Body, stop);
        else await answer.Events(stream, stop);
    }

    public void Dispose() => _listener.Dispose();
}
