using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using OsBuild.Supervisor.State;

namespace OsBuild.Supervisor.Running;

/// <summary>The published addresses that the supervisor owns. A listener stays open while the container behind it changes: new connections go
/// to the new one, those that are open stay where they are until they end.</summary>
/// <remarks>Done in user space: a few copied bytes per connection against kernel rules that no one may lose count of. While nobody listens
/// behind an address, a new connection is held and tried again for <see cref="Patience"/>, so that even a restart refuses nobody.</remarks>
internal sealed class Relays : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private const int MaxConnections = 4096;

    private readonly ConcurrentDictionary<string, Relay> relays = new();

    public SortedDictionary<string, RelayState> Observe() => new(relays.ToDictionary(r => r.Key, r => r.Value.Observe()), StringComparer.Ordinal);

    /// <summary>Opens the addresses of a service, or leads those that are open to another container.</summary>
    public void Publish(string key, string container, string address, List<PortSpec> ports, TimeSpan now)
    {
        if (relays.TryGetValue(key, out var relay) && relay.Ports.SequenceEqual(ports))
        {
            relay.Lead(container, address, now);
            return;
        }

        // Other ports: the new set is opened before the old one is closed, except for what both have.
        if (relays.TryRemove(key, out var before)) before.Dispose();
        relays[key] = new Relay(container, address, ports, now);
    }

    public void Withdraw(string key)
    {
        if (relays.TryRemove(key, out var relay)) relay.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        foreach (var key in relays.Keys) Withdraw(key);
        return ValueTask.CompletedTask;
    }

    private sealed class Relay : IDisposable
    {
        private readonly List<Socket> listeners = [];
        private readonly CancellationTokenSource stop = new();
        private readonly ConcurrentDictionary<string, int> connections = new();
        private volatile Destination destination;
        private int total;

        private sealed record Destination(string Container, string Address, TimeSpan Since);

        public Relay(string container, string address, List<PortSpec> ports, TimeSpan now)
        {
            destination = new(container, address, now);
            Ports = [.. ports];
            try
            {
                foreach (var port in ports) Listen(port);
            }
            catch (SocketException e)
            {
                Dispose();
                throw new Engine.EngineRefusedException(null, $"a port of {string.Join(", ", ports)} cannot be opened: {e.Message}");
            }
        }

        public List<PortSpec> Ports { get; }

        public RelayState Observe() => new(destination.Container, destination.Address, destination.Since, new(connections.Where(c => c.Value > 0).ToDictionary()));

        public void Lead(string container, string address, TimeSpan now) => destination = new(container, address, now);

        public void Dispose()
        {
            stop.Cancel();
            foreach (var listener in listeners) listener.Dispose();
        }

        private void Listen(PortSpec port)
        {
            var address = port.HostAddress is null ? IPAddress.IPv6Any : IPAddress.Parse(port.HostAddress);
            var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listeners.Add(listener);
            if (port.HostAddress is null) listener.DualMode = true;
            listener.Bind(new IPEndPoint(address, port.HostPort));
            listener.Listen(1024);
            _ = AcceptAsync(listener, port.ContainerPort);
        }

        private async Task AcceptAsync(Socket listener, int port)
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    var client = await listener.AcceptAsync(stop.Token);
                    if (Volatile.Read(ref total) >= MaxConnections) client.Dispose();
                    else _ = ServeAsync(client, port);
                }
                catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
                {
                    return;
                }
                catch (SocketException)
                {
                    // Out of descriptors or a connection that ended before it was taken: the listener itself is fine.
                    await Task.Delay(50, CancellationToken.None);
                }
            }
        }

        private async Task ServeAsync(Socket client, int port)
        {
            Interlocked.Increment(ref total);
            string? container = null;
            try
            {
                client.NoDelay = true;
                (var server, container) = await ConnectAsync(port);
                using (server) await Task.WhenAll(CopyAsync(client, server), CopyAsync(server, client));
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
            {
            }
            finally
            {
                client.Dispose();
                if (container is not null) connections.AddOrUpdate(container, 0, (_, n) => n - 1);
                Interlocked.Decrement(ref total);
            }
        }

        /// <summary>Connects to the container the address leads to at this moment; a refused one is tried again, wherever it leads then.</summary>
        private async Task<(Socket Server, string Container)> ConnectAsync(int port)
        {
            var until = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
            while (true)
            {
                var to = destination;
                var server = new Socket(IPAddress.Parse(to.Address).AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                // Counted before it is connected, so that the old container is not stopped in between.
                connections.AddOrUpdate(to.Container, 1, (_, n) => n + 1);
                try
                {
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
                    limit.CancelAfter(TimeSpan.FromSeconds(2));
                    await server.ConnectAsync(new IPEndPoint(IPAddress.Parse(to.Address), port), limit.Token);
                    return (server, to.Container);
                }
                catch (Exception e) when (e is SocketException or OperationCanceledException && !stop.IsCancellationRequested && Environment.TickCount64 < until)
                {
                    server.Dispose();
                    connections.AddOrUpdate(to.Container, 0, (_, n) => n - 1);
                    await Task.Delay(50, stop.Token);
                }
                catch
                {
                    server.Dispose();
                    connections.AddOrUpdate(to.Container, 0, (_, n) => n - 1);
                    throw;
                }
            }
        }

        private static async Task CopyAsync(Socket from, Socket to)
        {
            var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(16 * 1024);
            try
            {
                // Wait for data without holding on to more than one buffer per direction.
                for (int count; (count = await from.ReceiveAsync(buffer, SocketFlags.None)) > 0;)
                    for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None);
                to.Shutdown(SocketShutdown.Send);
            }
            catch (SocketException)
            {
                // One side is gone: the other must see it, or the pair would stay for ever.
                from.Dispose();
                to.Dispose();
            }
            finally
            {
                System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }
}
