using System.Net;
using System.Net.Sockets;
using OsBuild.Supervisor.Engine;
using OsBuild.Supervisor.Running;
using OsBuild.Supervisor.State;

namespace OsBuild.Tests.Supervisor;

/// <summary>The addresses the supervisor owns, with real sockets: whom a client reaches while they are led from one container to the next.</summary>
public sealed class RelayTests : IAsyncDisposable
{
    private readonly Relays relays = new();
    private readonly List<TcpListener> containers = [];

    public async ValueTask DisposeAsync()
    {
        await relays.DisposeAsync();
        foreach (var container in containers) container.Dispose();
    }

    /// <summary>Something that says its name to whoever connects; gives its port.</summary>
    private int Container(string name)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        containers.Add(listener);
        _ = ServeAsync();
        return Port(listener);

        async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    using var client = await listener.AcceptTcpClientAsync();
                    await client.GetStream().WriteAsync(System.Text.Encoding.ASCII.GetBytes(name));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
            }
        }
    }

    private static int Port(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return Port(listener);
    }

    private void Publish(string container, params (int Host, int Container)[] ports) =>
        relays.Publish("app/a", container, "127.0.0.1", [.. ports.Select(p => new PortSpec(p.Container, p.Host, HostAddress: "127.0.0.1"))], TimeSpan.Zero);

    private static async Task<string> AskAsync(int port)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        return await new StreamReader(client.GetStream()).ReadToEndAsync();
    }

    [Fact]
    public async Task The_next_client_reaches_the_next_container_also_on_another_port_of_it()
    {
        var (door, one, two) = (FreePort(), Container("one"), Container("two"));
        Publish("1", (door, one));
        Assert.Equal("one", await AskAsync(door));
        Publish("2", (door, two));
        Assert.Equal("two", await AskAsync(door));
        Assert.Equal("2", relays.Observe()["app/a"].ContainerId);
    }

    [Fact]
    public async Task A_port_that_cannot_be_had_leaves_everything_as_it_was()
    {
        var (door, one, two, taken) = (FreePort(), Container("one"), Container("two"), Container("foreign"));
        Publish("1", (door, one));
        var refused = Assert.Throws<EngineRefusedException>(() => Publish("2", (door, two), (FreePort(), two), (taken, two)));
        Assert.Contains("cannot be opened", refused.Message, StringComparison.Ordinal);
        Assert.Equal("one", await AskAsync(door));
        Assert.Equal("1", relays.Observe()["app/a"].ContainerId);
        Assert.Equal("foreign", await AskAsync(taken));
    }

    [Fact]
    public async Task Ports_that_are_no_longer_wanted_are_closed_and_free_again()
    {
        var (before, after, one, two) = (FreePort(), FreePort(), Container("one"), Container("two"));
        Publish("1", (before, one));
        Publish("2", (after, two));
        Assert.Equal("two", await AskAsync(after));
        await Assert.ThrowsAsync<SocketException>(() => AskAsync(before));
        Publish("1", (before, one));
        Assert.Equal("one", await AskAsync(before));
        relays.Withdraw("app/a");
        await Assert.ThrowsAsync<SocketException>(() => AskAsync(before));
    }

    [Fact]
    public async Task A_client_that_comes_while_nobody_listens_waits_for_the_next_container()
    {
        var (door, nobody, two) = (FreePort(), FreePort(), Container("two"));
        Publish("1", (door, nobody));
        var asking = AskAsync(door);
        Assert.NotSame(asking, await Task.WhenAny(asking, Task.Delay(200)));
        Publish("2", (door, two));
        Assert.Equal("two", await asking);
    }
}
