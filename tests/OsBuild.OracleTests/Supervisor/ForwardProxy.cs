using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OsBuild.OracleTests.Supervisor;

/// <summary>An HTTP proxy on loopback behind which a host of this name is to be found, and nothing else.</summary>
internal sealed class ForwardProxy : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly string name;
    private readonly int to;
    private readonly Task accepting;
    private int requests;

    /// <param name="name">HOST:PORT as clients know it.</param>
    /// <param name="to">The port of loopback where it really is.</param>
    public ForwardProxy(string name, int to)
    {
        (this.name, this.to) = (name, to);
        listener.Start();
        accepting = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>How many requests went through it.</summary>
    public int Requests => requests;

    public async ValueTask DisposeAsync()
    {
        listener.Dispose();
        await accepting;
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptTcpClientAsync());
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }

    /// <summary>One request of a connection: what the engine asks has no body.</summary>
    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                await using var stream = client.GetStream();
                var head = await HeadAsync(stream);
                var target = head.Split(' ')[1];
                if (!target.StartsWith($"http://{name}/", StringComparison.Ordinal))
                {
                    await stream.WriteAsync("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
                    return;
                }

                Interlocked.Increment(ref requests);
                var lines = head.Replace(target, target[$"http://{name}".Length..], StringComparison.Ordinal).Split("\r\n", StringSplitOptions.RemoveEmptyEntries)
                    .Where(l => !l.StartsWith("Host:", StringComparison.OrdinalIgnoreCase) && !l.StartsWith("Connection:", StringComparison.OrdinalIgnoreCase) && !l.StartsWith("Proxy-", StringComparison.OrdinalIgnoreCase));
                using var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, to);
                await using var inner = server.GetStream();
                await inner.WriteAsync(Encoding.ASCII.GetBytes(string.Join("\r\n", [.. lines, $"Host: 127.0.0.1:{to}", "Connection: close", "", ""])));
                await inner.CopyToAsync(stream);
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                // The client sees that its connection ended.
            }
        }
    }

    private static async Task<string> HeadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) == 1) head.Append((char)one[0]);
        return head.ToString();
    }
}
