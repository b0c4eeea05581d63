using System.Net;
using System.Net.Sockets;

namespace OsBuild.Tests.Supervisor.Fleet;

/// <summary>A wire with a meter on it: everything that passes to and from a port is counted.</summary>
internal sealed class Meter : IDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly int to;
    private long bytes;
    private int connections;

    public Meter(int to)
    {
        this.to = to;
        listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;
    public long Bytes => Interlocked.Read(ref bytes);
    public int Connections => connections;

    public void Dispose() => listener.Dispose();

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var client = await listener.AcceptTcpClientAsync();
                Interlocked.Increment(ref connections);
                var server = new TcpClient();
                await server.ConnectAsync(IPAddress.Loopback, to);
                _ = CopyAsync(client, server);
                _ = CopyAsync(server, client);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task CopyAsync(TcpClient from, TcpClient target)
    {
        try
        {
            var buffer = new byte[16 * 1024];
            for (int count; (count = await from.GetStream().ReadAsync(buffer)) > 0;)
            {
                Interlocked.Add(ref bytes, count);
                await target.GetStream().WriteAsync(buffer.AsMemory(0, count));
            }

            target.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            from.Dispose();
            target.Dispose();
        }
    }
}
