using System.Net;
using OsBuild.Supervisor.Linux;

namespace OsBuild.Supervisor.Network;

/// <summary>The kernel's routing socket: one request, one answer.</summary>
internal sealed class RouteSocket : IDisposable
{
    private readonly NetlinkFile _socket = new(protocol: 0); // NETLINK_ROUTE
    private uint _sequence;

    public void SetUp(int index, bool up = true, int mtu = 0) => Do(RouteMessage.LinkState(index, up, mtu), "set up a link");

    public void AddAddress(int index, IPAddress address, int prefix, IPAddress? broadcast) =>
        Do(RouteMessage.Address(true, index, address, prefix, broadcast), $"add address {address}/{prefix}");

    public void DeleteAddress(int index, IPAddress address, int prefix) =>
        Do(RouteMessage.Address(false, index, address, prefix, null), $"delete address {address}/{prefix}", missingIsFine: true);

    public void AddRoute(int index, IPAddress destination, int prefix, IPAddress? gateway, int metric) =>
        Do(RouteMessage.Route(true, index, destination, prefix, gateway, metric), $"add route {destination}/{prefix} via {gateway}");

    public void Dispose() => _socket.Dispose();

    private void Do(RouteMessage message, string what, bool missingIsFine = false)
    {
        var sequence = ++_sequence;
        _socket.Send(message.ToBytes(sequence));
        var buffer = new byte[8192];
        for (var tries = 0; tries < 16; tries++)
        {
            var got = _socket.Receive(buffer);
            if (RouteMessage.Answer(buffer.AsSpan(0, got), sequence) is not { } error) continue;
            if (error == 0) return;
            if (missingIsFine && error is 99 or 3 or Libc.ENODEV) return; // EADDRNOTAVAIL, ESRCH
            throw new LinuxException(what, error);
        }

        throw new IOException($"{what}: the kernel did not answer");
    }
}
