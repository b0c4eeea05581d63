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

    /// <summary>Opens the addresses of a service, or leads those that are open to another container. With other ports than before the new ones are opened
    /// first: when one cannot be had, everything stays as it was.</summary>
    public void Publish(string key, string container, string address, List<PortSpec> ports, TimeSpan now)
    {
        if (relays.TryGetValue(key, out var relay)) relay.Lead(container, address, ports, now);
        else relays[key] = new Relay(container, address, ports, now);
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
        private readonly Dictionary<Door, Socket> listeners = [];
        private readonly CancellationTokenSource stop = new();
        private readonly ConcurrentDictionary<string, int> connections = new();
        private volatile Destination destination;
        private int total;

        /// <summary>What a client knows: an address of the host (null: all of them) and its port.</summary>
        private sealed record Door(string? Address, int Port);

        private sealed record Destination(string Container, string Address, TimeSpan Since, Dictionary<Door, int> Ports);

        public Relay(string container, string address, List<PortSpec> ports, TimeSpan now)
        {
            destination = new(container, address, now, []);
            try
            {
                Lead(container, address, ports, now);
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public RelayState Observe() => new(destination.Container, destination.Address, destination.Since, new(connections.Where(c => c.Value > 0).ToDictionary()));

        public void Lead(string container, string address, List<PortSpec> ports, TimeSpan now)
        {
            var doors = ports.GroupBy(p => new Door(p.HostAddress, p.HostPort)).ToDictionary(g => g.Key, g => g.First().ContainerPort);
            var opened = new Dictionary<Door, Socket>();
            try
            {
                foreach (var door in doors.Keys.Where(d => !listeners.ContainsKey(d))) opened[door] = Open(door);
            }
            catch (SocketException e)
            {
                foreach (var listener in opened.Values) listener.Dispose();
                throw new Engine.EngineRefusedException(null, $"a port of {string.Join(", ", ports)} cannot be opened: {e.Message}");
            }

            destination = new(container, address, now, doors);
            foreach (var (door, listener) in opened)
            {
                listeners[door] = listener;
                _ = AcceptAsync(listener, door);
            }

            foreach (var door in listeners.Keys.Where(d => !doors.ContainsKey(d)).ToList())
            {
                listeners[door].Dispose();
                listeners.Remove(door);
            }
        }

        public void Dispose()
        {
            stop.Cancel();
            foreach (var listener in listeners.Values) listener.Dispose();
        }

        private static Socket Open(Door door)
        {
            var address = door.Address is null ? IPAddress.IPv6Any : IPAddress.Parse(door.Address);
            var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (door.Address is null) listener.DualMode = true;
                listener.Bind(new IPEndPoint(address, door.Port));
                listener.Listen(1024);
                return listener;
            }
            catch
            {
                listener.Dispose();
                throw;
            }
        }

        private async Task AcceptAsync(Socket listener, Door door)
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    var client = await listener.AcceptAsync(stop.Token);
                    if (Volatile.Read(ref total) >= MaxConnections) client.Dispose();
                    else _ = ServeAsync(client, door);
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

        private async Task ServeAsync(Socket client, Door door)
        {
            Interlocked.Increment(ref total);
            string? container = null;
            try
            {
                client.NoDelay = true;
                (var server, container) = await ConnectAsync(door);
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
        private async Task<(Socket Server, string Container)> ConnectAsync(Door door)
        {
            var until = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
            while (true)
            {
                var to = destination;
                // The door was closed while the client waited behind it.
                if (!to.Ports.TryGetValue(door, out var port)) throw new IOException($"port {door.Port} is closed");
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
