using System.Net;
using System.Net.Sockets;

namespace OsBuild.Supervisor.DeviceApi;

/// <summary>The engine on TCP, for tools that build on the device and change files in containers. Whoever reaches it owns the device, so it is
/// open in development mode only.</summary>
internal static class EngineRelay
{
    public const int Port = 2375;
    private const int MaxConnections = 64;

    public static async Task RunAsync(IPEndPoint endpoint, string engineSocket, CancellationToken stop)
    {
        using var listener = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (endpoint.AddressFamily == AddressFamily.InterNetworkV6) listener.DualMode = true;
        listener.Bind(endpoint);
        listener.Listen(16);
        using var places = new SemaphoreSlim(MaxConnections);
        while (true)
        {
            var client = await listener.AcceptAsync(stop);
            await places.WaitAsync(stop);
            _ = Task.Run(async () =>
            {
                try
                {
                    await ServeAsync(client, engineSocket, stop);
                }
                finally
                {
                    places.Release();
                }
            }, CancellationToken.None);
        }
    }

    private static async Task ServeAsync(Socket client, string engineSocket, CancellationToken stop)
    {
        using var engine = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using (client)
        using (stop.Register(() => { client.Dispose(); engine.Dispose(); }))
        {
            try
            {
                client.NoDelay = true;
                await engine.ConnectAsync(new UnixDomainSocketEndPoint(engineSocket), stop);
                await Task.WhenAll(CopyAsync(client, engine), CopyAsync(engine, client));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // One side is gone, and the other is closed with it.
            }
        }
    }

    /// <summary>Copies one direction; its end is passed on, since an attached terminal ends one side before the other.</summary>
    private static async Task CopyAsync(Socket from, Socket to)
    {
        var buffer = new byte[32 * 1024];
        try
        {
            for (int count; (count = await from.ReceiveAsync(buffer, SocketFlags.None)) > 0;)
                for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None);
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            from.Dispose();
            to.Dispose();
            throw;
        }
    }
}
