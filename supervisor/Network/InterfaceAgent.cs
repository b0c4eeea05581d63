using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using OsBuild.Supervisor.Identity;

namespace OsBuild.Supervisor.Network;

/// <summary>What an interface has now.</summary>
internal sealed record InterfaceSettings(string Name, IPAddress Address, int PrefixLength, IReadOnlyList<IPAddress> Dns, IReadOnlyList<IPAddress> Ntp, string? Domain);

/// <summary>Keeps one interface configured: fixed, by DHCP, or link-local while there is no server.</summary>
internal sealed class InterfaceAgent(Link link, InterfaceConfig config, string hostName, Action<InterfaceSettings?> changed, Action<string> log)
{
    private readonly DhcpIdentity _who = new(link.Hardware, hostName);
    private (IPAddress Address, int Prefix)? _current;

    public async Task RunAsync(CancellationToken stop)
    {
        using (var netlink = new RouteSocket()) netlink.SetUp(link.Index);
        var state = DhcpState.Off;
        var up = false;
        DhcpSocket? socket = null;
        try
        {
            while (!stop.IsCancellationRequested)
            {
                var carrier = HasCarrier();
                if (carrier != up)
                {
                    up = carrier;
                    log($"{link.Name} {(up ? "has a link" : "has no link")}");
                    if (config.Address is not null) Fixed(up);
                    else
                    {
                        if (up) socket ??= new DhcpSocket(link.Name);
                        state = Perform(state, up ? new DhcpEvent.LinkUp() : new DhcpEvent.LinkDown(), socket);
                    }
                }

                var patience = TimeSpan.FromMilliseconds(Math.Clamp(state.Due - Environment.TickCount64, 10, up ? 1000 : 250));
                if (socket is null) await Task.Delay(patience, stop);
                else if (await socket.ReceiveAsync(patience, stop) is { } message) state = Perform(state, new DhcpEvent.Received(message), socket);
                if (Environment.TickCount64 >= state.Due) state = Perform(state, new DhcpEvent.Tick(), socket);
            }
        }
        finally
        {
            socket?.Dispose();
        }
    }

    private DhcpState Perform(DhcpState state, DhcpEvent happened, DhcpSocket? socket)
    {
        var (next, actions) = DhcpClient.Next(state, happened, Environment.TickCount64, BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(4)), _who);
        foreach (var action in actions)
        {
            try
            {
                Do(action, socket);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                log($"{link.Name}: {action}: {e.Message}"); // the state machine asks again by itself
            }
        }

        return next;
    }

    private void Do(DhcpAction action, DhcpSocket? socket)
    {
        switch (action)
        {
            case DhcpAction.Send s: socket?.Send(s.Message, s.To); break;
            case DhcpAction.Configure c: Configure(c.Lease); break;
            case DhcpAction.Unconfigure: Clear(); break;
            case DhcpAction.FallBack:
                Set(LinkLocal.For(link.Hardware), LinkLocal.PrefixLength, null, [], 0);
                changed(new InterfaceSettings(link.Name, LinkLocal.For(link.Hardware), LinkLocal.PrefixLength, config.Dns, [], null));
                break;
            default: throw new System.Diagnostics.UnreachableException();
        }
    }

    private void Configure(DhcpLease lease)
    {
        Set(lease.Address, lease.PrefixLength, lease.BroadcastAddress, lease.Routes, lease.Mtu ?? 0);
        changed(new InterfaceSettings(link.Name, lease.Address, lease.PrefixLength, [.. config.Dns, .. lease.Dns], lease.Ntp, lease.Domain));
    }

    private void Fixed(bool up)
    {
        var address = config.Address!.Value;
        if (!up)
        {
            Clear();
            return;
        }

        try
        {
            Set(address.Address, address.PrefixLength, null, config.Gateway is { } gateway ? [new DhcpRoute(IPAddress.Any, 0, gateway)] : [], 0);
            changed(new InterfaceSettings(link.Name, address.Address, address.PrefixLength, config.Dns, [], null));
        }
        catch (IOException e)
        {
            log($"{link.Name}: {e.Message}; check its entry in config.yaml");
        }
    }

    /// <summary>The new address first, then the old one goes: a renewal that brings the same one breaks no connection.</summary>
    private void Set(IPAddress address, int prefix, IPAddress? broadcast, IReadOnlyList<DhcpRoute> routes, int mtu)
    {
        using var netlink = new RouteSocket();
        if (mtu > 0) netlink.SetUp(link.Index, mtu: mtu);
        netlink.AddAddress(link.Index, address, prefix, broadcast);
        if (_current is { } old && !(old.Address.Equals(address) && old.Prefix == prefix)) netlink.DeleteAddress(link.Index, old.Address, old.Prefix);
        _current = (address, prefix);

        // Routes on the link first: a gateway must be reachable before a route may go through it. The metric tells interfaces apart.
        foreach (var route in routes.OrderBy(r => r.Gateway is null ? 0 : 1).ThenByDescending(r => r.PrefixLength))
        {
            try
            {
                netlink.AddRoute(link.Index, route.Destination, route.PrefixLength, route.Gateway, 100 + link.Index);
            }
            catch (IOException e)
            {
                log($"{link.Name}: {e.Message}");
            }
        }
    }

    private void Clear()
    {
        if (_current is { } old)
        {
            using var netlink = new RouteSocket();
            netlink.DeleteAddress(link.Index, old.Address, old.Prefix); // its routes go with it
        }

        _current = null;
        changed(null);
    }

    private bool HasCarrier()
    {
        try
        {
            return File.ReadAllText($"/sys/class/net/{link.Name}/carrier").Trim() == "1";
        }
        catch (IOException)
        {
            return false; // down or unplugged
        }
    }
}
