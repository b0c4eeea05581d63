using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.OracleTests.Flasher;

/// <summary>An HTTP server for one file that tears connections, forgets ranges, changes the file and falls silent as it is told.</summary>
internal sealed class ImageServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private int _requests;

    public ImageServer(byte[] content)
    {
        Content = content;
        _listener.Start();
        _ = Accept();
    }

    /// <summary>The file; may be changed while it is fetched.</summary>
    public byte[] Content { get; set; }

    public string? Tag { get; set; } = "\"1\"";

    public bool Ranges { get; init; } = true;

    /// <summary>Bytes after which a connection is torn; 0 for never.</summary>
    public int TearAfter { get; init; }

    /// <summary>Status for the request of a number, from 1; 0 serves the file.</summary>
    public Func<int, int> Status { get; init; } = _ => 0;

    /// <summary>Bytes after which the server says nothing more, but keeps the connection.</summary>
    public int SilentAfter { get; init; }

    /// <summary>Called before each answer.</summary>
    public Action<int>? Before { get; set; }

    /// <summary>Says how long the file is.</summary>
    public bool TellsLength { get; init; } = true;

    public int Requests => Volatile.Read(ref _requests);

    public string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/images/a.img";

    private async Task Accept()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                _ = Serve(await _listener.AcceptTcpClientAsync(_stop.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task Serve(TcpClient client)
    {
        using var owned = client;
        try
        {
            var stream = client.GetStream();
            var head = new byte[4096];
            var filled = 0;
            while (head.AsSpan(0, filled).IndexOf("\r\n\r\n"u8) < 0) filled += await stream.ReadAsync(head.AsMemory(filled), _stop.Token);
            var lines = Encoding.ASCII.GetString(head, 0, filled).Split("\r\n");
            var number = Interlocked.Increment(ref _requests);
            Before?.Invoke(number);
            if (Status(number) is var status and not 0)
            {
                var where = status == 302 ? $"Location: {Address}?moved\r\n" : "";
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} No\r\n{where}Content-Length: 0\r\nConnection: close\r\n\r\n"), _stop.Token);
                return;
            }

            await Send(stream, Value(lines, "Range"), Value(lines, "If-Range"));
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            // The flasher has gone.
        }
    }

    private static string? Value(string[] lines, string name) => lines.FirstOrDefault(l => l.StartsWith(name + ": ", StringComparison.OrdinalIgnoreCase))?[(name.Length + 2)..];

    private async Task Send(NetworkStream stream, string? range, string? ifRange)
    {
        var content = Content;
        var from = Ranges && range is not null && (ifRange is null || ifRange == Tag) ? int.Parse(range["bytes=".Length..].TrimEnd('-')) : 0;
        var tag = Tag is null ? "" : $"ETag: {Tag}\r\n";
        var part = from > 0 ? $"206 Partial Content\r\nContent-Range: bytes {from}-{content.Length - 1}/{content.Length}" : "200 OK";
        var length = TellsLength ? $"Content-Length: {content.Length - from}\r\n" : "";
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {part}\r\n{tag}{length}Connection: close\r\n\r\n"), _stop.Token);
        var end = TearAfter > 0 ? Math.Min(content.Length, from + TearAfter) : SilentAfter > 0 ? Math.Min(content.Length, SilentAfter) : content.Length;
        if (end > from) await stream.WriteAsync(content.AsMemory(from, end - from), _stop.Token);
        if (SilentAfter > 0 && end < content.Length) await Task.Delay(Timeout.Infinite, _stop.Token);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }
}
